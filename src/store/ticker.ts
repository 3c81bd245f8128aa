import { limits } from '../base/limits.js'
import type { Clock } from '../base/ports.js'

/**
 * Turns real time into election time: at most one tick per turn taken, so time in which this process did not run never counts
 * towards an election. After a stall, one heartbeat interval passes without ticks, so that what waits in the sockets is heard
 * before anybody campaigns; stalls that follow each other hold ticks back only once per election timeout.
 */
export class Ticker {
  readonly #clock: Clock
  readonly #wake: () => void
  #due = false
  #cancel: (() => void) | null = null
  #lastMs = 0
  #heldTicks = 0
  #freeTicks: number = limits.electionTicksMax

  constructor(clock: Clock, wake: () => void) {
    this.#clock = clock
    this.#wake = wake
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
      this.#due = true
      this.#arm()
      this.#wake()
    })
  }

  /** Whether this turn holds a tick. */
  take(): boolean {
    if (!this.#due) return false
    this.#due = false
    if (this.#heldTicks > 0) {
      this.#heldTicks--
      return false
    }
    this.#freeTicks++
    return true
  }
}
