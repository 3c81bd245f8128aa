import { assert } from '../../base/assert.js'
import type { LogIndex, RangeId, StorageId, Term, Version } from '../../base/ids.js'
import type { HardState } from '../../raft/types.js'
import type { Checkpoint, RecoveredRange } from '../types.js'
import { unpackCheckpoint, unpackHardState, unpackNextStorage } from './bodies.js'
import { checkpointRecord, hardStateRecord, type LogRecord, nodeRecord } from './encode.js'
import type { Row } from './layout.js'
import { PlaceTable } from './places.js'

/** What one range has in the log. */
interface RangeInLog {
  readonly places: PlaceTable
  /** The latest of each, as it stands in the log, for the head of the next segment. */
  hardState: Uint8Array | null
  checkpoint: Uint8Array | null
  truncated: { readonly index: number; readonly term: number }
  lastTimestamp: number
}

/** Where a record was written. */
export interface RecordPlace {
  readonly segment: number
  /** Of the record's header, in the segment. */
  readonly offset: number
}

const initialHardState: HardState = { term: 0 as Term, vote: null, commit: 0 as LogIndex }
const start = { index: 0, term: 0 }

/** What the log holds, by range: filled by replay at open, then by every batch that became durable. */
export class LogContents {
  #ranges = new Map<number, RangeInLog>()
  /** Per segment: entries that are neither replaced nor truncated. */
  #liveEntries = new Map<number, number>()
  nextStorage = 1 as StorageId

  /** Before a batch is written: its entries follow what the log holds, and no truncation point goes back. */
  check(rows: readonly Row[]): void {
    const ends = new Map<number, { last: number; truncated: number }>()
    for (const { type, range, index } of rows) {
      if (type !== 'entry' && type !== 'checkpoint') continue
      const end = ends.get(range) ?? this.#end(range)
      ends.set(range, end)
      if (type === 'entry') {
        assert(index > end.truncated, 'an entry at or below the truncation point', range, index, end.truncated)
        assert(index <= end.last + 1, 'a gap in the log of a range', range, end.last, index)
        end.last = index
      } else {
        assert(index >= end.truncated, 'a truncation point went back', range, end.truncated, index)
        end.truncated = index
        end.last = Math.max(end.last, index)
      }
    }
  }

  /**
   * Takes one record in, in the order written. A gap is let be: at replay the truncation that explains it may still
   * follow (see firstGap), and what is appended was checked.
   */
  apply(row: Row, body: Uint8Array, place: RecordPlace): void {
    switch (row.type) {
      case 'entry':
        return this.#applyEntry(row, place)
      case 'hardState':
        this.#range(row.range).hardState = new Uint8Array(body)
        return
      case 'checkpoint':
        return this.#applyCheckpoint(row, new Uint8Array(body))
      case 'node':
        this.nextStorage = unpackNextStorage(body)
    }
  }

  liveEntries(segment: number): number {
    return this.#liveEntries.get(segment) ?? 0
  }

  forget(segment: number): void {
    this.#liveEntries.delete(segment)
  }

  /** What every new segment begins with, so that older ones can go. */
  head(): LogRecord[] {
    const records = [nodeRecord(this.nextStorage)]
    for (const [range, { hardState, checkpoint, truncated }] of this.#ranges) {
      if (hardState !== null) records.push(hardStateRecord(range, hardState))
      if (checkpoint !== null) records.push(checkpointRecord(range, truncated, checkpoint))
    }
    return records
  }

  /** null: the range has no entry at `index`. */
  place(range: RangeId, index: number) {
    const places = this.#ranges.get(range)?.places
    return places === undefined || places.size === 0 || index < places.first || index > places.last
      ? null
      : places.get(index)
  }

  /** Term of an entry at or above the truncation point; null where nothing is known of it. */
  term(range: RangeId, index: number): Term | null {
    const truncated = this.#ranges.get(range)?.truncated ?? start
    return index === truncated.index
      ? (truncated.term as Term)
      : ((this.place(range, index)?.term ?? null) as Term | null)
  }

  /** A range whose entries do not follow its truncation point: some that are needed are not in the log. */
  firstGap(): { readonly range: number; readonly from: number; readonly to: number } | null {
    for (const [range, { places, truncated }] of this.#ranges) {
      if (places.size > 0 && places.first !== truncated.index + 1) {
        return { range, from: truncated.index + 1, to: places.first - 1 }
      }
    }
    return null
  }

  recovered(): ReadonlyMap<RangeId, RecoveredRange> {
    const recovered = new Map<RangeId, RecoveredRange>()
    for (const [range, inLog] of this.#ranges) recovered.set(range as RangeId, recoveredRange(inLog))
    return recovered
  }

  #range(range: number): RangeInLog {
    let found = this.#ranges.get(range)
    if (found === undefined) {
      found = { places: new PlaceTable(), hardState: null, checkpoint: null, truncated: start, lastTimestamp: 0 }
      this.#ranges.set(range, found)
    }
    return found
  }

  #end(range: number): { last: number; truncated: number } {
    const inLog = this.#ranges.get(range)
    if (inLog === undefined) return { last: 0, truncated: 0 }
    const { places, truncated } = inLog
    return { last: places.size === 0 ? truncated.index : places.last, truncated: truncated.index }
  }

  #applyEntry(row: Row, place: RecordPlace): void {
    const inLog = this.#range(row.range)
    const { places, truncated } = inLog
    while (places.size > 0 && places.last >= row.index) this.#bury(places.popLast())
    const next = places.size === 0 ? truncated.index + 1 : places.last + 1
    if (row.index > next) while (places.size > 0) this.#bury(places.popLast())
    places.push(row.index, { segment: place.segment, offset: place.offset, length: row.length, term: row.term })
    this.#liveEntries.set(place.segment, this.liveEntries(place.segment) + 1)
    inLog.lastTimestamp = row.timestamp
  }

  #applyCheckpoint(row: Row, body: Uint8Array): void {
    const inLog = this.#range(row.range)
    const truncated = { index: row.index, term: row.term }
    assert(
      truncated.index >= inLog.truncated.index,
      'a truncation point went back',
      row.range,
      inLog.truncated,
      truncated,
    )
    while (inLog.places.size > 0 && inLog.places.first <= truncated.index) this.#bury(inLog.places.popFirst())
    inLog.truncated = truncated
    inLog.checkpoint = body
  }

  #bury(segment: number): void {
    this.#liveEntries.set(segment, this.liveEntries(segment) - 1)
  }
}

function recoveredRange({ places, truncated, hardState, checkpoint, lastTimestamp }: RangeInLog): RecoveredRange {
  const known: Checkpoint | null = checkpoint === null ? null : unpackCheckpoint(checkpoint)
  const isEmpty = places.size === 0
  return {
    hardState: hardState === null ? initialHardState : unpackHardState(hardState),
    checkpoint: known,
    lastIndex: (isEmpty ? truncated.index : places.last) as LogIndex,
    lastTerm: (isEmpty ? truncated.term : places.term(places.last)) as Term,
    // An empty log was truncated up to what is applied, and that is where the range's clock stands.
    lastTimestamp: (isEmpty ? (known?.bookkeeping.clock ?? 0) : lastTimestamp) as Version,
  }
}
