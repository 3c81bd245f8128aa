import { assert } from '../base/assert.js'
import type { LogIndex, Term } from '../base/ids.js'
import { NO_INDEX } from '../base/ids.js'
import type { Bookkeeping } from '../kv/types.js'
import type { Entry } from '../raft/types.js'
import type { Checkpoint, Vacated } from '../storage/types.js'
import { LogKept } from './log-kept.js'

interface Place {
  readonly index: LogIndex
  readonly term: Term
}

/** Where a replica stands in our log: its newest durable checkpoint, and where its log begins. */
export class Checkpoints {
  #truncated: Place
  /** Applied index of the newest checkpoint; null: none is there yet. */
  #at: LogIndex | null
  #durable: Bookkeeping | null
  #vacated: Vacated | null
  /** The log may be cut up to here, whoever else may need it. */
  #cutTo: LogIndex = NO_INDEX
  readonly #kept: LogKept

  constructor(start: {
    truncated: Place
    at: LogIndex | null
    bookkeeping: Bookkeeping
    vacated: Vacated | null
    logBytes: number
  }) {
    this.#truncated = start.truncated
    this.#at = start.at
    this.#durable = start.at === null ? null : start.bookkeeping
    this.#vacated = start.vacated
    this.#kept = new LogKept(start.truncated.index, start.logBytes)
  }

  get truncated(): Place {
    return this.#truncated
  }

  /** Bookkeeping as of D; null: no checkpoint is there yet. */
  get durable(): Bookkeeping | null {
    return this.#durable
  }

  get isThere(): boolean {
    return this.#at !== null
  }

  isNeeded({ applied, truncateTo }: { applied: LogIndex; truncateTo: LogIndex }): boolean {
    if (this.#at === null || applied > this.#at) return true
    return truncateTo > this.#truncated.index
  }

  logged(entries: readonly Entry[]): void {
    this.#kept.added(entries)
  }

  /** Also for the sake of other replicas: entries up to here are damaged, and applied. */
  cutLogTo(index: LogIndex): void {
    if (index > this.#cutTo) this.#cutTo = index
  }

  /** What decides how far the log may go. `last` is its last index. */
  truncatable({ last, allPersisted }: { last: LogIndex; allPersisted: LogIndex }): {
    allPersisted: LogIndex
    keptAbove(index: LogIndex): number
  } {
    this.#kept.note(last)
    const all = Math.max(allPersisted, this.#cutTo) as LogIndex
    return { allPersisted: all, keptAbove: (index) => this.#kept.above(index) }
  }

  /** The truncation point of a checkpoint that cuts the log to `to`, or leaves it. */
  truncation(to: LogIndex, applied: Place, termAt: (index: LogIndex) => Term): Place {
    if (to <= this.#truncated.index) return this.#truncated
    assert(to <= applied.index, 'the log goes no further than what is applied', to, applied.index)
    return to === applied.index ? applied : { index: to, term: termAt(to) }
  }

  /**
   * A checkpoint with this place is on its way to our log: whatever follows it there begins no earlier, also if the one on its way
   * is void when it is durable (test: 'while a checkpoint that cuts its log is on its way to the log').
   */
  leaves(truncated: Place): void {
    this.#truncated = truncated
  }

  /** The checkpoint is durable in our log. */
  written({ applied, bookkeeping, truncated }: Checkpoint): void {
    this.#at = applied.index
    this.#durable = bookkeeping
    this.#truncated = truncated
    this.#kept.truncated(truncated.index)
  }

  /** What was held before the first snapshot that passed over a split. All that later ones pass over lies within it. */
  get vacated(): Vacated | null {
    return this.#vacated
  }

  /** Another state was installed, and what that `vacated`; no checkpoint of it is durable yet. */
  restart(truncated: Place, vacated: Vacated | null): void {
    this.#truncated = truncated
    this.#at = null
    this.#durable = null
    this.#vacated ??= vacated
  }
}
