import type { Clock, Metrics } from '../base/ports.js'

/** A loop that took a turn so lately runs; an idle one is asked for a turn and has as long again to take it. */
const TURN_AGE_MS_MAX = 2_000
const LOOK_EVERY_MS = 20

/** Measures turns, and tells whether they are still taken. */
export class LoopWatch {
  readonly #metrics: Metrics
  readonly #clock: Clock
  #lastTurnMs: number

  /** `clock`: the one that is measured. */
  constructor(metrics: Metrics, clock: Clock) {
    this.#metrics = metrics
    this.#clock = clock
    this.#lastTurnMs = clock.monotonicMs()
  }

  /** That clock; what the store defers is its turn. */
  get clock(): Clock {
    const clock = this.#clock
    return {
      wallMs: () => clock.wallMs(),
      monotonicMs: () => clock.monotonicMs(),
      setTimer: (delayMs, action) => clock.setTimer(delayMs, action),
      defer: (action) => clock.defer(() => this.#measure(action)),
    }
  }

  /** `ask` makes an idle loop take a turn. */
  async runs(ask: () => void): Promise<boolean> {
    const from = this.#clock.monotonicMs()
    if (from - this.#lastTurnMs <= TURN_AGE_MS_MAX) return true
    ask()
    while (this.#lastTurnMs < from && this.#clock.monotonicMs() - from < TURN_AGE_MS_MAX) {
      await new Promise<void>((resolve) => this.#clock.setTimer(LOOK_EVERY_MS, resolve))
    }
    return this.#lastTurnMs >= from
  }

  #measure(turn: () => void): void {
    const began = this.#clock.monotonicMs()
    turn()
    this.#lastTurnMs = this.#clock.monotonicMs()
    this.#metrics.observe('turn_seconds', (this.#lastTurnMs - began) / 1_000)
  }
}
