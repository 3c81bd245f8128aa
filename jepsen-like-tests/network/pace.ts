import { between } from '../random.js'

const KEPT_MS = { from: 50, to: 400 }

/**
 * How much of the jitter one direction of one connection has just now, from 0 to 1. It is kept for a while: pieces of a connection stay
 * in order, so a draw for each would soon bring all of them, and all connections, to the longest delay, and none would overtake another.
 */
export class Pace {
  readonly #random: () => number
  readonly #nowMs: () => number
  #share = 0
  #untilMs = Number.NEGATIVE_INFINITY

  /** `nowMs`: on any clock that does not go back. */
  constructor(random: () => number, nowMs: () => number) {
    this.#random = random
    this.#nowMs = nowMs
  }

  get share(): number {
    const nowMs = this.#nowMs()
    if (nowMs >= this.#untilMs) {
      this.#share = this.#random()
      this.#untilMs = nowMs + between(this.#random, KEPT_MS)
    }
    return this.#share
  }
}
