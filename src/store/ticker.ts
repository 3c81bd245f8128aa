import { limits } from '../base/limits.js'
import type { Clock } from '../base/ports.js'

/**
 * Turns real time into election time: at most one tick per turn taken, so time in which this process did not run never counts
 * towards an election. After a stall, one heartbeat interval passes without ticks, so that what waits in the sockets is heard
 * before anybody campaigns; stalls that follow each other hold ticks back only once per election timeout.
 *
 * A tick at which nobody acts takes no turn: it is counted as its timer fires. That is the same rule, for what it protects is that
 * nobody acts on time before hearing what came in that time. Between two ticks that count, this process ran its timer twice, so it
 * polled its sockets and took the turn of whatever they held; and the tick at which somebody acts waits for its turn, behind the
 * frames, and lets no other pass before it (test: 'a tick that somebody waits for passes in a turn, behind the frames').
 */
export class Ticker {
  readonly #clock: Clock
  readonly #isIdle: (tick: number) => boolean
  readonly #wake: () => void
  #now = 0
  #due = false
  #cancel: (() => void) | null = null
  #lastMs = 0
  #heldTicks = 0
  #freeTicks: number = limits.electionTicksMax

  /** `isIdle`: nobody acts at that tick, which is the next. `wake`: somebody does, a turn is to `take` it. */
  constructor(clock: Clock, { isIdle, wake }: { isIdle(tick: number): boolean; wake(): void }) {
    this.#clock = clock
    this.#isIdle = isIdle
    this.#wake = wake
  }

  /** Ticks that have passed. */
  get now(): number {
    return this.#now
  }

  start(): void {
    this.#lastMs = this.#clock.monotonicMs()
    this.#arm()
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = null
  }

  #arm(): void {
    this.#cancel = this.#clock.setTimer(limits.tickMs, () => {
      const now = this.#clock.monotonicMs()
      const lateMs = now - this.#lastMs - limits.tickMs
      this.#lastMs = now
      if (lateMs > limits.tickMs * limits.heartbeatTicks && this.#freeTicks >= limits.electionTicksMax) {
        this.#heldTicks = limits.heartbeatTicks
        this.#freeTicks = 0
      }
      this.#arm()
      this.#fired()
    })
  }

  #fired(): void {
    if (this.#heldTicks > 0) {
      this.#heldTicks--
      this.#due = false
    } else if (!this.#due && this.#isIdle(this.#now + 1)) {
      this.#count()
    } else {
      this.#due = true
      this.#wake()
    }
  }

  /** Whether this turn holds a tick. */
  take(): boolean {
    if (!this.#due) return false
    this.#due = false
    this.#count()
    return true
  }

  #count(): void {
    this.#now++
    this.#freeTicks++
  }
}
