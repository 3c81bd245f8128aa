import { assert } from '../../base/assert.js'
import type { LogIndex, RangeId } from '../../base/ids.js'
import type { Entry } from '../../raft/types.js'
import type { RangeLog } from './range-log.js'
import type { LogContents } from './ranges.js'
import { entryRecord, type LogRecord } from './records.js'

/** Segments that may stand full beside what is needed of them, before quiet ranges are carried on. */
const SEGMENTS_KEPT = 4
/** The log may take this many times what is needed of it, beside those. */
const GARBAGE_FACTOR = 4

interface CarryOptions {
  readonly contents: LogContents
  readonly segmentBytes: number
  /** All of a range's entries, first to last. */
  readonly read: (range: RangeId, bounds: { from: LogIndex; to: LogIndex }) => readonly Entry[]
}

/**
 * Keeps ranges that write little from holding the oldest segment for ever: what they have in the log is written again, whole to the
 * last index (a record replaces all that follows its index), and the segment goes.
 *
 * It begins when the log takes four times what is needed of it, and four segments. A range is carried at most once until all that was
 * older has gone, so at most what is needed is copied for three times as much freed: a third more writing at worst, and the log stays
 * bounded by what its ranges need. Ranges with a damaged entry wait for its repair.
 */
export class Carrier {
  readonly #options: CarryOptions
  /** Ranges that hold the oldest segment, and which one that was. */
  #queue: RangeId[] = []
  #queuedFor = 0

  constructor(options: CarryOptions) {
    this.#options = options
  }

  /** Records to go into the next batch, in front of what else it holds. */
  take({ oldest, current, writtenBytes }: { oldest: number; current: number; writtenBytes: number }): LogRecord[] {
    const { contents, segmentBytes } = this.#options
    const bytesMax = SEGMENTS_KEPT * segmentBytes + GARBAGE_FACTOR * contents.liveBytes
    if (writtenBytes <= bytesMax || oldest === current) return []
    if (this.#queuedFor !== oldest) {
      this.#queuedFor = oldest
      this.#queue = [...contents.ranges].filter(([, log]) => log.firstSegment === oldest).map(([range]) => range)
    }
    const records: LogRecord[] = []
    let bytes = 0
    while (this.#queue.length > 0 && bytes < segmentBytes / 8) {
      const range = this.#queue.pop()!
      const log = contents.range(range)
      if (log === undefined || log.firstSegment !== oldest || log.damaged.length > 0) continue
      bytes += log.bytes
      // One by one: a tail may be longer than a call's list of arguments.
      for (const record of this.#tail(range, log)) records.push(record)
    }
    return records
  }

  #tail(range: RangeId, log: RangeLog): LogRecord[] {
    const from = log.first as LogIndex
    const to = log.last as LogIndex
    const entries = this.#options.read(range, { from, to })
    assert(entries.length === to - from + 1, 'a tail is carried whole', range, from, to)
    return entries.map((entry) => entryRecord('entry', range, entry))
  }
}
