import { assert } from '../../base/assert.js'
import type { RangeId, StorageId } from '../../base/ids.js'
import type { LogReader } from '../../raft/types.js'
import type { LogItem, NodeLog, RecoveredRange } from '../types.js'
import { BatchEncoder, type EncodedBatch, type LogRecord, toRecords } from './encode.js'
import type { LogContents } from './ranges.js'
import { RangeReader } from './reader.js'
import { type Recovery, recover } from './recover.js'
import { failure, type LogOptions, type Segment, type Segments } from './segments.js'

/**
 * Opens the node's log in the directory `log/`, makes an empty one where there is none. It was read and checked whole,
 * and made durable, when this resolves.
 *
 * Throws HoldfastError INTERNAL, naming file and offset, when the log is damaged or cannot be written. Afterwards every
 * failure to write, sync or read is `fatal`.
 */
export async function openNodeLog(options: LogOptions): Promise<NodeLog> {
  return new SegmentedLog(options, await recover(options))
}

class SegmentedLog implements NodeLog {
  readonly recovered: ReadonlyMap<RangeId, RecoveredRange>
  readonly #options: LogOptions
  readonly #contents: LogContents
  readonly #segments: Segments
  readonly #encoder = new BatchEncoder()
  #number: number
  #at: number
  #appendedBytes = 0
  #isOpen = true
  #isAppending = false

  constructor(options: LogOptions, { contents, segments, nextNumber, nextAt }: Recovery) {
    this.#options = options
    this.#contents = contents
    this.#segments = segments
    this.#number = nextNumber
    this.#at = nextAt
    this.recovered = contents.recovered()
    this.#free()
  }

  get nextStorage(): StorageId {
    return this.#contents.nextStorage
  }

  get appendedBytes(): number {
    return this.#appendedBytes
  }

  get diskBytes(): number {
    return this.#segments.diskBytes
  }

  append(items: readonly LogItem[], done: () => void): void {
    assert(this.#isOpen && !this.#isAppending, 'an append to a log that is closed or still busy with another')
    const records = toRecords(items)
    this.#contents.check(records)
    this.#isAppending = true
    const batch = this.#encoder.encode(records)
    const { current } = this.#segments
    if (this.#at + batch.length <= current.bytes) return this.#write(current, batch, done)
    this.#roll(records, done)
  }

  reader(range: RangeId): LogReader {
    return new RangeReader(range, this.#contents, this.#segments, this.#options.fatal)
  }

  async close(): Promise<void> {
    assert(!this.#isAppending, 'a log is closed while it appends')
    this.#isOpen = false
    await this.#segments.close()
  }

  /** The new segment's first batch says again what must outlive the old ones, in one sync with what is appended. */
  #roll(records: readonly LogRecord[], done: () => void): void {
    const batch = this.#encoder.encode([...this.#contents.head(), ...records])
    void this.#segments.advance(batch.length).then((segment) => {
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
    this.#isAppending = false
    this.#free()
    // Early enough to be there in time, late enough that a node with little to do keeps little.
    if (this.#at * 4 >= segment.bytes) this.#segments.prepareNext()
  }

  #free(): void {
    this.#segments.maybeFree((sequence) => this.#contents.liveEntries(sequence) > 0)
  }
}
