import { assert } from '../../base/assert.js'
import type { LogIndex, RangeId, Term, Version } from '../../base/ids.js'
import type { Fatal } from '../../base/ports.js'
import type { Entry, LogReader } from '../../raft/types.js'
import { dataView, RECORD_HEADER_BYTES, readRow, recordCrc } from './layout.js'
import type { Place } from './places.js'
import type { LogContents } from './ranges.js'
import type { Segments } from './segments.js'

/** Reads a range's entries from the segment files; every read is checked. */
export class RangeReader implements LogReader {
  readonly #range: RangeId
  readonly #contents: LogContents
  readonly #segments: Segments
  readonly #fatal: Fatal

  constructor(range: RangeId, contents: LogContents, segments: Segments, fatal: Fatal) {
    this.#range = range
    this.#contents = contents
    this.#segments = segments
    this.#fatal = fatal
  }

  entries({ from, to, bytesMax }: { from: LogIndex; to: LogIndex; bytesMax: number }): readonly Entry[] {
    const entries: Entry[] = []
    let bytes = 0
    for (let index: number = from; index <= to; index += 1) {
      const place = this.#contents.place(this.#range, index)
      assert(place !== null, 'the log does not hold this entry', this.#range, index)
      bytes += place.length
      if (entries.length > 0 && bytes > bytesMax) break
      entries.push(this.#read(index as LogIndex, place))
    }
    return entries
  }

  term(index: LogIndex): Term {
    const term = this.#contents.term(this.#range, index)
    assert(term !== null, 'the log does not know the term of this entry', this.#range, index)
    return term
  }

  #read(index: LogIndex, { segment, offset, length, term }: Place): Entry {
    const { file, path } = this.#segments.get(segment)
    let bytes: Uint8Array
    try {
      bytes = file.readSync({ at: offset, length: RECORD_HEADER_BYTES + length })
    } catch (error) {
      return this.#fatal(`cannot read the log ${path} at offset ${offset}`, error)
    }
    const view = dataView(bytes)
    const isWhole = bytes.length === RECORD_HEADER_BYTES + length
    if (!isWhole || view.getUint32(0, true) !== recordCrc(bytes, 0, length)) {
      return this.#fatal(`the log is damaged: ${path} at offset ${offset} (entry ${index} of range ${this.#range})`)
    }
    const row = readRow(view, 0)
    assert(row.range === this.#range && row.index === index && row.term === term, 'another entry stands here', row)
    assert(row.kind !== null, 'an entry without a kind', this.#range, index)
    const payload = bytes.subarray(RECORD_HEADER_BYTES)
    return { index, term: row.term as Term, timestamp: row.timestamp as Version, kind: row.kind, payload }
  }
}
