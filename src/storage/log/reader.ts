import { assert } from '../../base/assert.js'
import type { LogIndex, RangeId, Term, Version } from '../../base/ids.js'
import type { Fatal } from '../../base/ports.js'
import type { Entry, LogReader } from '../../raft/types.js'
import { dataView, RECORD_HEADER_BYTES, readRow, recordCrc } from './layout.js'
import type { Place } from './places.js'
import type { LogContents } from './ranges.js'
import type { Segments } from './segments.js'

/** Records that stand this near are read with one call, and what is between them is thrown away: that costs less than a second call. */
const GAP_BYTES_MAX = 4 * 1024
/** Read with one call, if not a single record is larger. */
const READ_BYTES_MAX = 256 * 1024

interface PlacedEntry {
  readonly index: LogIndex
  readonly place: Place
}

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

  entries(bounds: { from: LogIndex; to: LogIndex; bytesMax: number }): readonly Entry[] {
    const placed = this.#find(bounds)
    const entries: Entry[] = []
    for (let at = 0; at < placed.length; ) {
      const end = endOfNeighbours(placed, at)
      this.#read(placed.slice(at, end), entries)
      at = end
    }
    return entries
  }

  term(index: LogIndex): Term {
    const term = this.#contents.term(this.#range, index)
    assert(term !== null, 'the log does not know the term of this entry', this.#range, index)
    return term
  }

  #find({ from, to, bytesMax }: { from: LogIndex; to: LogIndex; bytesMax: number }): PlacedEntry[] {
    const placed: PlacedEntry[] = []
    let bytes = 0
    for (let index = from; index <= to; index = (index + 1) as LogIndex) {
      const place = this.#contents.place(this.#range, index)
      assert(place !== null, 'the log does not hold this entry', this.#range, index)
      bytes += place.length
      if (placed.length > 0 && bytes > bytesMax) break
      if (this.#contents.range(this.#range)!.isDamaged(index)) {
        assert(placed.length > 0, 'this entry is damaged, and nothing of it is known but its place', this.#range, index)
        break
      }
      placed.push({ index, place })
    }
    return placed
  }

  /** Records of one segment, in the order they stand in. */
  #read(placed: readonly PlacedEntry[], entries: Entry[]): void {
    const { segment, offset: start } = placed[0]!.place
    const { file, path } = this.#segments.get(segment)
    let bytes: Uint8Array
    try {
      bytes = file.readSync({ at: start, length: endOf(placed.at(-1)!.place) - start })
    } catch (error) {
      return this.#fatal(`cannot read the log ${path} at offset ${start}`, error)
    }
    const view = dataView(bytes)
    for (const { index, place } of placed) {
      const at = place.offset - start
      const bodyEnd = at + RECORD_HEADER_BYTES + place.length
      if (bodyEnd > bytes.length || view.getUint32(at, true) !== recordCrc(bytes, at, place.length)) {
        const what = `entry ${index} of range ${this.#range}`
        return this.#fatal(`the log is damaged: ${path} at offset ${place.offset} (${what})`)
      }
      const row = readRow(view, at)
      const isSame = row.range === this.#range && row.index === index && row.term === place.term
      assert(isSame && row.kind !== null, 'another entry stands here', row)
      // A copy: a view would keep all that was read with it.
      const payload = bytes.slice(at + RECORD_HEADER_BYTES, bodyEnd)
      entries.push({ index, term: row.term as Term, timestamp: row.timestamp as Version, kind: row.kind, payload })
    }
  }
}

function endOf({ offset, length }: Place): number {
  return offset + RECORD_HEADER_BYTES + length
}

/** Where the records end that are read together with the one at `at`. */
function endOfNeighbours(placed: readonly PlacedEntry[], at: number): number {
  const first = placed[at]!.place
  let last = first
  let end = at + 1
  for (; end < placed.length; end += 1) {
    const { place } = placed[end]!
    const gap = place.offset - endOf(last)
    if (place.segment !== first.segment || gap < 0 || gap > GAP_BYTES_MAX) break
    if (endOf(place) - first.offset > READ_BYTES_MAX) break
    last = place
  }
  return end
}
