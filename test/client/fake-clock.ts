import type { Clock, Random } from '../../src/base/ports.js'

interface Timer {
  readonly dueMs: number
  readonly order: number
  readonly action: () => void
}

/** Time that stands still until a test moves it. */
export class FakeClock implements Clock {
  nowMs = 1_000
  timersSet = 0
  #timers: Timer[] = []
  #deferred: (() => void)[] = []

  wallMs(): number {
    return 1_700_000_000_000 + this.nowMs
  }

  monotonicMs(): number {
    return this.nowMs
  }

  get timers(): number {
    return this.#timers.length
  }

  setTimer(delayMs: number, action: () => void): () => void {
    const timer = { dueMs: this.nowMs + delayMs, order: this.timersSet++, action }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  defer(action: () => void): void {
    this.#deferred.push(action)
  }

  /** Runs what was deferred, and what that defers. */
  turn(): void {
    while (this.#deferred.length > 0) for (const action of this.#deferred.splice(0)) action()
  }

  /** Moves time on, running what becomes due in order. */
  advance(ms: number): void {
    const until = this.nowMs + ms
    this.turn()
    for (;;) {
      const [next] = this.#timers.filter((timer) => timer.dueMs <= until).sort(byTime)
      if (next === undefined) break
      this.#timers = this.#timers.filter((other) => other !== next)
      this.nowMs = Math.max(this.nowMs, next.dueMs)
      next.action()
      this.turn()
    }
    this.nowMs = until
  }

  /** A stall: time passes, and nothing ran meanwhile. */
  jump(ms: number): void {
    this.nowMs += ms
  }
}

/** Always the same draw. */
export const steadyRandom: Random = { next: () => 0.5 }

function byTime(a: Timer, b: Timer): number {
  return a.dueMs - b.dueMs || a.order - b.order
}
