import { assert } from '../base/assert.js'
import type { LogIndex } from '../base/ids.js'
import type { Ready } from './types.js'

interface ReadRound {
  readonly round: number
  readonly index: LogIndex
  readonly contexts: readonly number[]
}

/**
 * ReadIndex (thesis 6.4) for the leader of one term. Every broadcast of heartbeats is a round, numbered from 1. A read
 * joins the next round to begin, never one whose heartbeats have left: a reply to those may be older than the read.
 */
export class ReadRounds {
  #waiting: number[] = []
  #open: ReadRound[] = []
  #lastRound = 0

  get lastRound(): number {
    return this.#lastRound
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0
  }

  get isOpen(): boolean {
    return this.#open.length > 0
  }

  add(context: number): void {
    this.#waiting.push(context)
  }

  /**
   * A broadcast leaves now. Reads that wait join it with `index`, the commit of this moment; with null (nothing
   * committed in this term yet) they go on waiting. Returns the round's number.
   */
  begin(index: LogIndex | null): number {
    this.#lastRound += 1
    if (index !== null && this.#waiting.length > 0) {
      const previous = this.#open.at(-1)
      assert(previous === undefined || previous.index <= index, 'read indexes go back', index)
      this.#open.push({ round: this.#lastRound, index, contexts: this.#waiting })
      this.#waiting = []
    }
    return this.#lastRound
  }

  /** A majority answered a broadcast that left no earlier than `round`: its reads and all older ones are good. */
  confirm(round: number): Ready['reads'] {
    assert(round <= this.#lastRound, 'a round is confirmed before it began', round, this.#lastRound)
    const confirmed: { context: number; index: LogIndex }[] = []
    let count = 0
    for (const open of this.#open) {
      if (open.round > round) break
      count += 1
      for (const context of open.contexts) confirmed.push({ context, index: open.index })
    }
    this.#open.splice(0, count)
    return confirmed
  }

  /** The lead is lost: everything not confirmed. */
  abandon(): readonly number[] {
    return [...this.#open.flatMap(({ contexts }) => contexts), ...this.#waiting]
  }
}
