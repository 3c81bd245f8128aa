import { assert } from '../../base/assert.js'
import {
  BLOCK_BYTES,
  dataView,
  FILLER,
  HEADER_BYTES,
  isSparse,
  RECORD_HEADER_BYTES,
  ROW_BYTES,
  recordCrc,
  roundUp,
  SECTOR_BYTES,
  SPARSE_RUN_BYTES,
  writeHeaders,
  writeRow,
} from './layout.js'
import type { LogRecord } from './records.js'

/** A batch in staging memory: whole but for its headers, which name the place it goes to. */
export interface EncodedBatch {
  readonly length: number
  readonly records: readonly LogRecord[]
  /** Per record, of its header, from the batch's start. */
  readonly offsets: readonly number[]
  readonly recordsEnd: number
  readonly backAt: number
  readonly sparseRuns: number
}

export interface BatchPlace {
  readonly number: number
  readonly segment: number
  readonly offset: number
  readonly segmentBytes: number
}

const STAGING_BYTES = 256 * 1024
const SMALL_BATCHES_BEFORE_SHRINK = 256

/**
 * Encodes batches straight into shared memory, which the thread that writes and syncs reads where it is: a payload is
 * copied once. One batch at a time: the next encode overwrites the last.
 */
export class BatchEncoder {
  #staging: Uint8Array = new Uint8Array(0)
  #view = dataView(this.#staging)
  #smallBatches = 0

  encode(records: readonly LogRecord[]): EncodedBatch {
    const recordsAt = HEADER_BYTES + records.length * ROW_BYTES
    let recordsEnd = recordsAt
    for (const record of records) recordsEnd += RECORD_HEADER_BYTES + record.length
    const backAt = Math.max(BLOCK_BYTES, roundUp(recordsEnd, BLOCK_BYTES))
    this.#reserve(backAt, recordsAt)
    const offsets = this.#writeRecords(records, recordsAt)
    this.#staging.fill(FILLER, recordsEnd, backAt)
    this.#staging.copyWithin(backAt + HEADER_BYTES, HEADER_BYTES, recordsAt)
    const runsAt = backAt + recordsAt
    const sparseRuns = this.#writeSparseRuns({ from: recordsAt, to: backAt, at: runsAt })
    const end = runsAt + sparseRuns * SPARSE_RUN_BYTES
    const length = roundUp(end, BLOCK_BYTES)
    this.#staging.fill(FILLER, end, length)
    return { length, records, offsets, recordsEnd, backAt, sparseRuns }
  }

  /** Writes both headers; the bytes are good until the next encode. */
  seal(batch: EncodedBatch, place: BatchPlace): Uint8Array {
    const { length, recordsEnd, backAt, sparseRuns } = batch
    const rows = batch.records.length
    writeHeaders(this.#staging, this.#view, { ...place, length, rows, recordsEnd, backAt, sparseRuns })
    return this.#staging.subarray(0, length)
  }

  #reserve(backAt: number, tableBytes: number): void {
    const runsMax = Math.ceil(backAt / SECTOR_BYTES)
    const needed = roundUp(backAt + tableBytes + runsMax * SPARSE_RUN_BYTES, BLOCK_BYTES)
    if (needed > this.#staging.length) {
      return this.#allocate(Math.max(STAGING_BYTES, 2 ** Math.ceil(Math.log2(needed))))
    }
    // A rare large batch must not hold its memory for ever.
    this.#smallBatches = needed <= STAGING_BYTES ? this.#smallBatches + 1 : 0
    if (this.#smallBatches >= SMALL_BATCHES_BEFORE_SHRINK && this.#staging.length > STAGING_BYTES) {
      this.#allocate(STAGING_BYTES)
    }
  }

  #allocate(bytes: number): void {
    this.#staging = new Uint8Array(new SharedArrayBuffer(bytes))
    this.#view = dataView(this.#staging)
    this.#smallBatches = 0
  }

  #writeRecords(records: readonly LogRecord[], recordsAt: number): number[] {
    const offsets: number[] = []
    let at = recordsAt
    let rowAt = HEADER_BYTES
    for (const record of records) {
      assert(record.length === record.body.length, 'a record of another length than its body')
      writeRow(this.#view, at, 0, record)
      this.#staging.set(record.body, at + RECORD_HEADER_BYTES)
      this.#view.setUint32(at, recordCrc(this.#staging, at, record.length), true)
      writeRow(this.#view, rowAt, at, record)
      offsets.push(at)
      at += RECORD_HEADER_BYTES + record.length
      rowAt += ROW_BYTES
    }
    return offsets
  }

  /** Lists the sectors among the records that content leaves (nearly) empty, as (first sector, count). */
  #writeSparseRuns(area: { from: number; to: number; at: number }): number {
    let runs = 0
    let start = -1
    const last = area.to / SECTOR_BYTES
    for (let sector = Math.floor(area.from / SECTOR_BYTES); sector <= last; sector += 1) {
      const sparse = sector < last && isSparse(this.#staging, sector * SECTOR_BYTES)
      if (sparse && start < 0) start = sector
      if (sparse || start < 0) continue
      const at = area.at + runs * SPARSE_RUN_BYTES
      this.#view.setUint32(at, start, true)
      this.#view.setUint32(at + 4, sector - start, true)
      runs += 1
      start = -1
    }
    return runs
  }
}
