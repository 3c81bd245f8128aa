import { assert } from '../base/assert.js'
import { type LogIndex, NO_INDEX, NO_VERSION, type Term, type Version } from '../base/ids.js'
import type { Entry, InitialState, LogReader, SnapshotPoint } from './types.js'

/**
 * The replica's log as the core sees it: a tail in memory, and everything before it behind the LogReader.
 *
 * What is in memory: every entry that came in since the start and is not yet both persisted and applied, and up to
 * `tailBytesMax` of payload below that, for followers. What lies before `#first` is durable and will never be replaced,
 * or was there when the replica started; in both cases the disk is the log.
 */
export class ReplicaLog {
  readonly #reader: LogReader
  #truncated: InitialState['truncated']
  #unreadable = NO_INDEX
  readonly #tailBytesMax: number
  /** Slots before #head are evicted; #head is the entry at #first. */
  #entries: Entry[] = []
  #head = 0
  #first: LogIndex
  /** Persisted and applied up to here: entries at or below may be evicted. Never goes back. */
  #settled: LogIndex
  /** Payload bytes of #first..#settled. */
  #settledBytes = 0
  #lastIndex: LogIndex
  #lastTerm: Term
  #lastTimestamp: Version

  constructor(initial: InitialState, reader: LogReader, tailBytesMax: number) {
    this.#reader = reader
    this.#truncated = initial.truncated
    this.#tailBytesMax = tailBytesMax
    this.#lastIndex = initial.lastIndex
    this.#lastTerm = initial.lastTerm
    this.#lastTimestamp = initial.lastTimestamp
    this.#first = (initial.lastIndex + 1) as LogIndex
    this.#settled = initial.applied
    assert(initial.truncated.index <= initial.applied, 'applied lies before the start of the log', initial.applied)
    assert(initial.applied <= initial.lastIndex, 'applied lies behind the end of the log', initial.applied)
    assert(initial.truncated.term <= initial.lastTerm, 'terms go back', initial.truncated.term, initial.lastTerm)
  }

  get lastIndex(): LogIndex {
    return this.#lastIndex
  }

  get lastTerm(): Term {
    return this.#lastTerm
  }

  get lastTimestamp(): Version {
    return this.#lastTimestamp
  }

  /** The log begins behind this place, which still has a term. */
  get truncated(): InitialState['truncated'] {
    return this.#truncated
  }

  /** Entries up to here can't be sent: they were truncated, or the disk has lost what stood in them. */
  get unsendable(): LogIndex {
    return Math.max(this.#truncated.index, this.#unreadable) as LogIndex
  }

  set unreadable(index: LogIndex) {
    this.#unreadable = index
  }

  /** Lowest index held in memory; lastIndex + 1 when nothing is. */
  get firstInMemory(): LogIndex {
    return this.#first
  }

  /** Term of an entry from the truncation point to the last; 0 at index 0. */
  term(index: LogIndex): Term {
    assert(index <= this.#lastIndex, 'no such entry', index, this.#lastIndex)
    assert(index >= this.#truncated.index, 'this entry was truncated', index, this.#truncated.index)
    if (index === this.#lastIndex) return this.#lastTerm
    if (index === this.#truncated.index) return this.#truncated.term
    return index >= this.#first ? this.#at(index).term : this.#reader.term(index)
  }

  has({ index, term }: { index: LogIndex; term: Term }): boolean {
    return index >= this.#truncated.index && index <= this.#lastIndex && this.term(index) === term
  }

  /** The last place at or before `from` whose term is at most `term`; `floor` when there is none above it. */
  lastAtMostTerm({ from, term, floor }: { from: LogIndex; term: Term; floor: LogIndex }): LogIndex {
    let index = Math.min(from, this.#lastIndex) as LogIndex
    while (index > floor && this.term(index) > term) index = (index - 1) as LogIndex
    return Math.max(index, floor) as LogIndex
  }

  /**
   * Entries from..to, at least one, cut off once `bytesMax` of payload is reached. One call reads either memory or disk,
   * so it may also end where the memory begins: ask again.
   */
  read({ from, to, bytesMax }: { from: LogIndex; to: LogIndex; bytesMax: number }): readonly Entry[] {
    assert(from <= to && to <= this.#lastIndex, 'no such entries', from, to, this.#lastIndex)
    if (from >= this.#first) return this.#slice(from, to, bytesMax)
    const lastOnDisk = Math.min(to, this.#first - 1) as LogIndex
    const entries = this.#reader.entries({ from, to: lastOnDisk, bytesMax })
    assert(entries.length > 0 && entries[0]!.index === from, 'the log reader left out an entry', from)
    return entries
  }

  /** Entries from..last, which must be in memory. */
  readTail(from: LogIndex): readonly Entry[] {
    assert(from >= this.#first, 'an entry that is not persisted left the memory', from, this.#first)
    return this.#entries.slice(this.#slot(from))
  }

  /** Adds one entry behind the last. */
  append(entry: Entry): void {
    assert(entry.index === this.#lastIndex + 1, 'a gap in the log', entry.index, this.#lastIndex)
    assert(entry.term >= this.#lastTerm, 'terms go back', entry.term, this.#lastTerm)
    assert(entry.timestamp > this.#lastTimestamp, 'timestamps must increase', entry.timestamp, this.#lastTimestamp)
    this.#entries.push(entry)
    this.#lastIndex = entry.index
    this.#lastTerm = entry.term
    this.#lastTimestamp = entry.timestamp
  }

  /** Drops everything from `index` on. At least one entry is appended right after it: the last timestamp may be unknown. */
  truncateFrom(index: LogIndex): void {
    assert(index > this.#settled, 'an applied entry is replaced', index, this.#settled)
    assert(index <= this.#lastIndex, 'there is nothing to replace', index, this.#lastIndex)
    const previous = (index - 1) as LogIndex
    this.#lastTerm = this.term(previous)
    this.#lastIndex = previous
    this.#lastTimestamp = previous >= this.#first ? this.#at(previous).timestamp : NO_VERSION
    if (index <= this.#first) {
      this.#entries = []
      this.#head = 0
      this.#first = index
    } else {
      this.#entries.length = this.#slot(index)
    }
  }

  /** Nothing at or below `point`, a place of this log, is asked for any more. A lower one than before changes nothing. */
  truncateTo({ index, term }: { index: LogIndex; term: Term }): void {
    if (index <= this.#truncated.index) return
    assert(this.has({ index, term }), 'truncated at a place that is not in the log', index, term)
    this.#truncated = { index, term }
  }

  /** The log is empty and begins behind `point`. */
  restart({ index, term, timestamp }: SnapshotPoint): void {
    this.#truncated = { index, term }
    this.#lastIndex = index
    this.#lastTerm = term
    this.#lastTimestamp = timestamp
    this.#entries = []
    this.#head = 0
    this.#first = (index + 1) as LogIndex
    this.#settled = index
    this.#settledBytes = 0
  }

  /** Of entries in memory. */
  payloadBytes({ from, to }: { from: LogIndex; to: LogIndex }): number {
    let bytes = 0
    for (let index = from; index <= to; index = (index + 1) as LogIndex) bytes += this.#at(index).payload.length
    return bytes
  }

  /** Everything up to `index` is persisted and applied. */
  settle(index: LogIndex): void {
    assert(index <= this.#lastIndex, 'settled behind the end of the log', index, this.#lastIndex)
    for (let next = Math.max(this.#settled + 1, this.#first); next <= index; next += 1) {
      this.#settledBytes += this.#at(next as LogIndex).payload.length
    }
    if (index > this.#settled) this.#settled = index
    while (this.#settledBytes > this.#tailBytesMax) this.#evict()
    if (this.#head * 2 > this.#entries.length) {
      this.#entries.splice(0, this.#head)
      this.#head = 0
    }
  }

  #evict(): void {
    const entry = this.#entries[this.#head]
    assert(entry !== undefined && entry.index === this.#first, 'the tail lost count', this.#first)
    assert(entry.index <= this.#settled, 'an entry that is still needed is evicted', entry.index)
    this.#settledBytes -= entry.payload.length
    this.#head += 1
    this.#first = (this.#first + 1) as LogIndex
  }

  #slice(from: LogIndex, to: LogIndex, bytesMax: number): readonly Entry[] {
    const start = this.#slot(from)
    const stop = this.#slot(to) + 1
    let bytes = this.#entries[start]!.payload.length
    let end = start + 1
    while (end < stop && bytes + this.#entries[end]!.payload.length <= bytesMax) {
      bytes += this.#entries[end]!.payload.length
      end += 1
    }
    return this.#entries.slice(start, end)
  }

  #slot(index: LogIndex): number {
    return this.#head + (index - this.#first)
  }

  #at(index: LogIndex): Entry {
    const entry = this.#entries[this.#slot(index)]
    assert(entry !== undefined && entry.index === index, 'not in memory', index, this.#first, this.#lastIndex)
    return entry
  }
}
