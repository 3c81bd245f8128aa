import { assert } from '../../base/assert.js'
import type { LogIndex, RangeId, ReplicaId } from '../../base/ids.js'
import type { LogReader } from '../../raft/types.js'
import type { LogItem, NodeLog, NodeRecord, RecoveredRange } from '../types.js'
import { admit } from './admission.js'
import { Carrier } from './carry.js'
import { BatchEncoder, type EncodedBatch } from './encode.js'
import { BLOCK_BYTES, RECORD_HEADER_BYTES, ROW_BYTES, roundUp } from './layout.js'
import type { LogContents } from './ranges.js'
import { RangeReader } from './reader.js'
import type { LogRecord } from './records.js'
import { type Recovery, recover } from './recover.js'
import { failure, type LogOptions, type Segment, type Segments } from './segments.js'

/**
 * Opens the node's log in the directory `log/`, makes an empty one where there is none. It was read and checked whole,
 * and made durable, when this resolves.
 *
 * Throws LogForgot, naming file and offset, when nobody can tell any more what the log held, and HoldfastError INTERNAL when it
 * cannot be written. Afterwards every failure to write, sync or read is `fatal`.
 */
export async function openNodeLog(options: LogOptions): Promise<NodeLog> {
  return new SegmentedLog(options, await recover(options))
}

/** A segment is at least this many times its head. */
const HEAD_SHARE = 4

class SegmentedLog implements NodeLog {
  readonly recovered: ReadonlyMap<RangeId, RecoveredRange>
  readonly #options: LogOptions
  readonly #contents: LogContents
  readonly #segments: Segments
  readonly #encoder = new BatchEncoder()
  readonly #carrier: Carrier
  #number: number
  #at: number
  #appendedBytes = 0
  /** What the head of the newest segment took. */
  #headBytes = 0
  #isOpen = true
  /** Null: no append is under way. */
  #appendingSinceMs: number | null = null

  constructor(options: LogOptions, { contents, segments, nextNumber, nextAt }: Recovery) {
    this.#options = options
    this.#contents = contents
    this.#segments = segments
    this.#number = nextNumber
    this.#at = nextAt
    this.recovered = contents.recovered()
    for (const [range, { forgot }] of this.recovered) {
      const what = 'the log may have forgotten what this replica promised: it stays silent until its range replaces it'
      if (forgot) options.logger.log('error', what, { range })
    }
    this.#carrier = new Carrier({
      contents,
      segmentBytes: options.segmentBytes,
      read: (range, bounds) => this.reader(range).entries({ ...bounds, bytesMax: Number.MAX_SAFE_INTEGER }),
    })
    this.#free()
  }

  get tombstones(): ReadonlyMap<RangeId, ReplicaId> {
    return this.#contents.tombstones
  }

  get node(): NodeRecord {
    return this.#contents.node
  }

  get isFull(): boolean {
    return this.#segments.isFull
  }

  whenSpace(action: () => void): void {
    this.#segments.whenSpace(action)
  }

  get oldestUnsyncedMs(): number {
    const since = this.#appendingSinceMs
    return since === null ? 0 : this.#options.clock.monotonicMs() - since
  }

  get lastBatch(): number {
    return this.#number - 1
  }

  get appendedBytes(): number {
    return this.#appendedBytes
  }

  get diskBytes(): number {
    return this.#segments.diskBytes
  }

  append(items: readonly LogItem[], done: () => void): void {
    assert(
      this.#isOpen && this.#appendingSinceMs === null,
      'an append to a log that is closed or still busy with another',
    )
    const admitted = admit(items, this.#contents)
    this.#appendingSinceMs = this.#options.clock.monotonicMs()
    const records = [...this.#carried(), ...admitted]
    const batch = this.#encoder.encode(records)
    const { current } = this.#segments
    if (this.#at + batch.length <= current.bytes) return this.#write(current, batch, done)
    this.#roll(records, done)
  }

  reader(range: RangeId): LogReader {
    return new RangeReader(range, this.#contents, this.#segments, this.#options.fatal)
  }

  configurations(range: RangeId): readonly LogIndex[] {
    return this.#contents.configurations(range)
  }

  damaged(range: RangeId): readonly LogIndex[] {
    return this.#contents.damaged(range)
  }

  async close(): Promise<void> {
    assert(this.#appendingSinceMs === null, 'a log is closed while it appends')
    this.#isOpen = false
    await this.#segments.close()
  }

  /** A disk without room has none for copies either. */
  #carried(): LogRecord[] {
    const { isFull, oldest, current, writtenBytes } = this.#segments
    return isFull ? [] : this.#carrier.take({ oldest: oldest.sequence, current: current.sequence, writtenBytes })
  }

  /** The new segment's first batch says again what must outlive the old ones, in one sync with what is appended. */
  #roll(records: readonly LogRecord[], done: () => void): void {
    const head = this.#contents.head()
    this.#headBytes = head.reduce((sum, record) => sum + ROW_BYTES * 2 + RECORD_HEADER_BYTES + record.length, 0)
    const batch = this.#encoder.encode([...head, ...records])
    this.#segments.advance(batch.length, (segment) => {
      this.#at = 0
      this.#write(segment, batch, done)
    })
  }

  #write(segment: Segment, batch: EncodedBatch, done: () => void): void {
    const at = this.#at
    const place = { number: this.#number, segment: segment.sequence, offset: at, segmentBytes: segment.bytes }
    segment.file.writeAndSync({ bytes: this.#encoder.seal(batch, place), at }, (error) => {
      if (error !== null) this.#options.fatal(failure(`cannot write the log ${segment.path}`, error), error)
      this.#written(segment, batch, at)
      done()
    })
  }

  /** Only now are the batch's effects seen: until it is synced the log on disk may still be the old one. */
  #written(segment: Segment, { records, offsets, length }: EncodedBatch, at: number): void {
    for (const [position, record] of records.entries()) {
      const place = { segment: segment.sequence, offset: at + offsets[position]! }
      this.#contents.apply(record, record.body, place)
    }
    this.#number += 1
    this.#at = at + length
    this.#appendedBytes += length
    this.#appendingSinceMs = null
    this.#free()
    this.#segments.prepareNext(this.#nextSegmentBytes)
  }

  /** With very many ranges the head is large: it is never more than a part of what is written. */
  get #nextSegmentBytes(): number {
    return Math.max(this.#options.segmentBytes, roundUp(this.#headBytes * HEAD_SHARE, BLOCK_BYTES))
  }

  #free(): void {
    this.#segments.maybeFree((sequence) => this.#contents.liveEntries(sequence) > 0)
  }
}
