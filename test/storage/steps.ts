/** Virtual time for a test: what was scheduled runs when the test says so, in order of time, then of arrival. */
export class Steps {
  #nowMs = 0
  #waiting: { readonly atMs: number; readonly action: () => void }[] = []

  readonly schedule = (latencyMs: number, action: () => void): void => {
    this.#waiting.push({ atMs: this.#nowMs + latencyMs, action })
    this.#waiting.sort((a, b) => a.atMs - b.atMs)
  }

  /** The timers of a Clock. */
  readonly clock = {
    setTimer: (delayMs: number, action: () => void): (() => void) => {
      let cancelled = false
      this.schedule(delayMs, () => {
        if (!cancelled) action()
      })
      return () => {
        cancelled = true
      }
    },
  }

  /** Runs one. False: nothing waits. */
  step(): boolean {
    const next = this.#waiting.shift()
    if (next === undefined) return false
    this.#nowMs = next.atMs
    next.action()
    return true
  }

  runAll(): void {
    while (this.step()) {}
  }
}

/** A small generator of its own, so that a test's crash is a function of its seed (mulberry32, T. Ettinger). */
export function seededRandom(seed: number): { next(): number } {
  let state = seed
  return {
    next(): number {
      state = (state + 0x6d2b79f5) | 0
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
    },
  }
}
