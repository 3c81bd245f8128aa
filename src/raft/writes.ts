import { assert } from '../base/assert.js'
import type { LogIndex, ReplicaId, Term } from '../base/ids.js'
import type { ReplicaLog } from './log.js'
import type { HardState, InitialState, Ready } from './types.js'

/** What one Ready wrote, as its caller reports it back. */
export interface Written {
  readonly hardState: HardState | null
  readonly restored: Ready['restored']
  readonly lastEntry: { readonly index: LogIndex; readonly term: Term } | null
}

interface WriteInFlight {
  readonly term: Term
  readonly vote: ReplicaId | null
  readonly restored: Written['restored']
  readonly lastEntry: Written['lastEntry']
  /** Up to here this write is still part of the log: lowered when a later write replaces some of it. */
  validTo: LogIndex
  readonly sinceTick: number
}

/**
 * What was handed out to be written, and what of it is durable.
 *
 * A write of entries 5..10 that is replaced from 8 on while its fsync runs counts up to 7 and never more, even if the
 * same entries come back later: between the two the disk holds something else. Hence the bound per write in flight,
 * and not a comparison of (index, term) when the fsync is done.
 */
export class Writes {
  #handed: HardState
  #handedIndex: LogIndex
  #durableTerm: Term
  #durableVote: ReplicaId | null
  #persistedIndex: LogIndex
  /** A snapshot was restored: the next write says so. */
  #restored: Ready['restored'] = null
  readonly #inFlight: WriteInFlight[] = []

  constructor(initial: InitialState, commit: LogIndex) {
    this.#handed = { ...initial.hardState, commit }
    this.#handedIndex = initial.lastIndex
    this.#durableTerm = initial.hardState.term
    this.#durableVote = initial.hardState.vote
    this.#persistedIndex = initial.lastIndex
  }

  get persistedIndex(): LogIndex {
    return this.#persistedIndex
  }

  isDurable(term: Term, vote: ReplicaId | null): boolean {
    return this.#durableTerm === term && this.#durableVote === vote
  }

  /** The tick at which the oldest unfinished write was handed out; null when all is durable. */
  get oldestSinceTick(): number | null {
    return this.#inFlight[0]?.sinceTick ?? null
  }

  hasWork(now: { term: Term; vote: ReplicaId | null; commit: LogIndex }, log: ReplicaLog): boolean {
    const handed = this.#handed
    return (
      this.#restored !== null ||
      now.term !== handed.term ||
      now.vote !== handed.vote ||
      now.commit !== handed.commit ||
      log.lastIndex > this.#handedIndex
    )
  }

  /** Hands out what is new. `now` is the hard state of this moment. */
  take(now: HardState, log: ReplicaLog, tick: number): Pick<Ready, 'hardState' | 'mustSync' | 'restored' | 'entries'> {
    const promises = now.term !== this.#handed.term || now.vote !== this.#handed.vote
    const changed = promises || now.commit !== this.#handed.commit
    assert(now.term >= this.#handed.term, 'the term goes back', now.term, this.#handed.term)
    assert(now.commit >= this.#handed.commit, 'the commit goes back', now.commit, this.#handed.commit)
    const entries = log.lastIndex > this.#handedIndex ? log.readTail((this.#handedIndex + 1) as LogIndex) : []
    const restored = this.#restored
    const mustSync = promises || entries.length > 0 || restored !== null
    this.#restored = null
    this.#handed = now
    this.#handedIndex = log.lastIndex
    if (mustSync) {
      const lastEntry = entries.length > 0 ? { index: log.lastIndex, term: log.lastTerm } : null
      const validTo = lastEntry?.index ?? (Math.max(this.#persistedIndex, restored?.index ?? 0) as LogIndex)
      this.#inFlight.push({ term: now.term, vote: now.vote, restored, lastEntry, validTo, sinceTick: tick })
    }
    return { hardState: changed || restored !== null ? now : null, mustSync, restored, entries }
  }

  /** The log is replaced from `index` on. */
  truncateFrom(index: LogIndex): void {
    const before = (index - 1) as LogIndex
    if (this.#handedIndex > before) this.#handedIndex = before
    if (this.#persistedIndex > before) this.#persistedIndex = before
    for (const write of this.#inFlight) if (write.validTo > before) write.validTo = before
  }

  /** The log has this place, and everything up to it is in a snapshot: what was not handed out of it never is. */
  restoredWithin(point: { index: LogIndex; term: Term }): void {
    this.#restored = point
    if (this.#handedIndex < point.index) this.#handedIndex = point.index
  }

  /** The log is replaced by a snapshot at `point`. What is durable of it counts up to `commit`: that much is the same. */
  restoredAnew(point: { index: LogIndex; term: Term }, commit: LogIndex): void {
    this.truncateFrom((commit + 1) as LogIndex)
    this.#restored = point
    this.#handedIndex = point.index
  }

  /** The oldest write in flight is durable. What did not have to be synced may be reported or not. */
  persisted(written: Written): void {
    const { hardState, restored, lastEntry } = written
    if (
      lastEntry === null &&
      restored === null &&
      (hardState === null || this.isDurable(hardState.term, hardState.vote))
    )
      return
    const write = this.#inFlight.shift()
    assert(write !== undefined, 'more was persisted than was handed out')
    assert(
      lastEntry?.index === write.lastEntry?.index && lastEntry?.term === write.lastEntry?.term,
      'persisted out of order',
      lastEntry,
      write.lastEntry,
    )
    assert(restored?.index === write.restored?.index, 'persisted out of order', restored, write.restored)
    assert(hardState === null || hardState.term === write.term, 'persisted out of order', hardState, write.term)
    assert(write.term >= this.#durableTerm, 'the durable term goes back', write.term, this.#durableTerm)
    this.#durableTerm = write.term
    this.#durableVote = write.vote
    if (write.validTo > this.#persistedIndex) this.#persistedIndex = write.validTo
    assert(this.#persistedIndex <= this.#handedIndex, 'persisted more than handed out', this.#persistedIndex)
  }
}
