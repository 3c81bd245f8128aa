import { assert } from '../../base/assert.js'
import type { LogIndex, Term, Version } from '../../base/ids.js'
import type { HardState } from '../../raft/types.js'
import type { Checkpoint, RecoveredRange } from '../types.js'
import { unpackCheckpoint } from './bodies.js'
import { RECORD_HEADER_BYTES, type Row } from './layout.js'
import { PlaceTable } from './places.js'
import { checkpointRecord, FORGOTTEN_CHECKPOINT, hardStateOf, hardStateRecord, type LogRecord } from './records.js'

/** Where a record was written. */
export interface RecordPlace {
  readonly segment: number
  /** Of the record's header, in the segment. */
  readonly offset: number
}

/** Hears which segments hold something that is still needed. */
export interface SegmentUse {
  use(segment: number, bytes: number): void
  release(segment: number, bytes: number): void
}

const initialHardState: HardState = { term: 0 as Term, vote: null, commit: 0 as LogIndex }

/** What one range has in the log. */
export class RangeLog {
  readonly #use: SegmentUse
  readonly #places = new PlaceTable()
  #hardState: HardState | null = null
  /** The latest, as it stands in the log, for the head of the next segment. */
  #checkpoint: Uint8Array | null = null
  #forgot = false
  #truncated = { index: 0, term: 0 }
  #lastTimestamp = 0
  /** Up to here the log held entries once, says a checkpoint, and nothing read since says what became of them. */
  #promised = 0
  readonly #damaged = new Set<number>()
  #configurations: number[] = []
  /**
   * Where a repaired entry stood first. That segment stays as long as the entry does: entries may only be missing from the front
   * of what a replay finds (see firstSegment).
   */
  readonly #repaired = new Map<number, number>()

  constructor(use: SegmentUse) {
    this.#use = use
  }

  get truncated(): { readonly index: number; readonly term: number } {
    return this.#truncated
  }

  /** Of its entries; meaningless where it has none. */
  get first(): number {
    return this.#places.first
  }

  get last(): number {
    return this.#places.size === 0 ? this.#truncated.index : this.#places.last
  }

  get configurations(): readonly LogIndex[] {
    return this.#configurations as LogIndex[]
  }

  get damaged(): readonly LogIndex[] {
    return [...this.#damaged].sort((a, b) => a - b) as LogIndex[]
  }

  isDamaged(index: number): boolean {
    return this.#damaged.has(index)
  }

  /** The oldest segment that holds an entry of the range: segments do not fall as indexes rise. null: it has no entries. */
  get firstSegment(): number | null {
    if (this.#places.size === 0) return null
    const { first } = this.#places
    return this.#repaired.get(first) ?? this.#places.get(first).segment
  }

  /** Of its entries, in the log. */
  get bytes(): number {
    let bytes = 0
    for (let index = this.#places.first; index <= this.#places.last; index += 1) {
      bytes += RECORD_HEADER_BYTES + this.#places.get(index).length
    }
    return bytes
  }

  /** null: the range has no entry at `index`. */
  place(index: number) {
    const places = this.#places
    return places.size === 0 || index < places.first || index > places.last ? null : places.get(index)
  }

  /** Term of an entry at or above the truncation point; null where nothing is known of it. */
  term(index: number): number | null {
    return index === this.#truncated.index ? this.#truncated.term : (this.place(index)?.term ?? null)
  }

  takeHardState(row: Row): void {
    this.#hardState = hardStateOf(row)
  }

  /** A gap is let be: at replay the truncation that explains it may still follow (see isWhole). */
  takeEntry(row: Row, place: RecordPlace, isDamaged: boolean): void {
    this.#cutFrom(row.index)
    if (row.index > this.last + 1) this.#cutFrom(0)
    this.#places.push(row.index, { ...place, length: row.length, term: row.term })
    this.#use.use(place.segment, RECORD_HEADER_BYTES + row.length)
    if (isDamaged) this.#damaged.add(row.index)
    if (row.kind === 'configuration') this.#configurations.push(row.index)
    this.#lastTimestamp = row.timestamp
    this.#promised = Math.min(this.#promised, row.index - 1)
  }

  /** What it repaired may have been let go of since, with the segment that told so. */
  takeRepair(row: Row, place: RecordPlace): void {
    const damaged = this.place(row.index)
    if (damaged === null || damaged.term !== row.term) return
    if (!this.#repaired.has(row.index)) this.#repaired.set(row.index, damaged.segment)
    else this.#use.release(damaged.segment, 0)
    this.#use.use(place.segment, 0)
    this.#places.set(row.index, { ...place, length: row.length, term: row.term })
    this.#damaged.delete(row.index)
  }

  /** `body` null: it is damaged. */
  takeCheckpoint(row: Row, body: Uint8Array | null): void {
    const truncated = { index: row.index, term: row.term }
    const isForward = truncated.index >= this.#truncated.index
    assert(isForward, 'a truncation point went back', row.range, this.#truncated, truncated)
    const last = row.timestamp
    this.#cutFrom(last + 1)
    while (this.#places.size > 0 && this.#places.first <= truncated.index) this.#popFirst()
    this.#configurations = this.#configurations.filter((index) => index > truncated.index)
    this.#truncated = truncated
    this.#promised = last > this.last ? last : 0
    this.#forgot = body === null || body.length === 0
    this.#checkpoint = this.#forgot ? null : body
  }

  /** The range is gone: nothing of it is needed any more. */
  drop(): void {
    this.#cutFrom(0)
  }

  /** Records for the head of a new segment. */
  head(range: number): LogRecord[] {
    const records: LogRecord[] = []
    if (this.#hardState !== null) records.push(hardStateRecord(range, this.#hardState))
    const body = this.#forgot ? FORGOTTEN_CHECKPOINT : this.#checkpoint
    if (body === null) return records
    const last = Math.max(this.last, this.#promised)
    records.push(checkpointRecord(range, { truncated: this.#truncated, last, body }))
    return records
  }

  recovered(): RecoveredRange {
    const isEmpty = this.#places.size === 0
    const checkpoint: Checkpoint | null = this.#checkpoint === null ? null : unpackCheckpoint(this.#checkpoint)
    return {
      hardState: this.#hardState ?? initialHardState,
      checkpoint,
      lastIndex: this.last as LogIndex,
      lastTerm: (isEmpty ? this.#truncated.term : this.#places.term(this.#places.last)) as Term,
      // An empty log was truncated up to what is applied, and that is where the range's clock stands.
      lastTimestamp: (isEmpty ? (checkpoint?.bookkeeping.clock ?? 0) : this.#lastTimestamp) as Version,
      configurations: [...this.configurations],
      damaged: this.damaged,
      forgot: this.#forgot || this.#isMissing,
    }
  }

  /** Entries that are needed are not in the log: they do not follow the truncation point, or end before what was promised. */
  get #isMissing(): boolean {
    const { size, first } = this.#places
    return (size > 0 && first !== this.#truncated.index + 1) || this.last < this.#promised
  }

  #cutFrom(index: number): void {
    const places = this.#places
    while (places.size > 0 && places.last >= index) this.#release(places.last, places.popLast())
    while ((this.#configurations.at(-1) ?? -1) >= index) this.#configurations.pop()
  }

  #popFirst(): void {
    this.#release(this.#places.first, this.#places.popFirst())
  }

  #release(index: number, { segment, length }: { segment: number; length: number }): void {
    const bytes = RECORD_HEADER_BYTES + length
    const first = this.#repaired.get(index)
    this.#repaired.delete(index)
    this.#damaged.delete(index)
    this.#use.release(segment, first === undefined ? bytes : 0)
    if (first !== undefined) this.#use.release(first, bytes)
  }
}
