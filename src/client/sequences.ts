import { assert } from '../base/assert.js'

/** Hands out a session's sequences and knows the lowest one still waited for: below it ranges remember no outcome. */
export class Sequences {
  #next = 1
  #lowest = 1
  readonly #settled = new Set<number>()

  open(): number {
    return this.#next++
  }

  /** The caller was told the outcome, or that it is unknown: a late copy must not run any more. */
  settle(sequence: number): void {
    assert(sequence >= this.#lowest && sequence < this.#next, 'a sequence is settled once', sequence)
    if (sequence !== this.#lowest) {
      this.#settled.add(sequence)
      return
    }
    this.#lowest++
    while (this.#settled.delete(this.#lowest)) this.#lowest++
  }

  /** Nothing below it is waited for; the next one to be handed out when nothing is. */
  get lowest(): number {
    return this.#lowest
  }
}
