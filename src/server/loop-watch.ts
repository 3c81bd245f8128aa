import type { Clock, Metrics } from '../base/ports.js'
import { realClock } from './real-ports.js'

/** A loop that took a turn so lately runs; an idle one is asked for a turn and has as long again to take it. */
const TURN_AGE_MS_MAX = 2_000
const LOOK_EVERY_MS = 20

/** Measures turns, and tells whether they are still taken. */
export class LoopWatch {
  readonly #metrics: Metrics
  #lastTurnMs = realClock.monotonicMs()

  constructor(metrics: Metrics) {
    this.#metrics = metrics
  }

  /** The real clock; what the store defers is its turn. */
  get clock(): Clock {
    return { ...realClock, defer: (action) => realClock.defer(() => this.#measure(action)) }
  }

  /** `ask` makes an idle loop take a turn. */
  async runs(ask: () => void): Promise<boolean> {
    const from = realClock.monotonicMs()
    if (from - this.#lastTurnMs <= TURN_AGE_MS_MAX) return true
    ask()
    while (this.#lastTurnMs < from && realClock.monotonicMs() - from < TURN_AGE_MS_MAX) {
      await new Promise<void>((resolve) => realClock.setTimer(LOOK_EVERY_MS, resolve))
    }
    return this.#lastTurnMs >= from
  }

  #measure(turn: () => void): void {
    const began = realClock.monotonicMs()
    turn()
    this.#lastTurnMs = realClock.monotonicMs()
    this.#metrics.observe('turn_seconds', (this.#lastTurnMs - began) / 1_000)
  }
}
