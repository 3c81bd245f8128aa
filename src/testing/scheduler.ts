import { assert } from '../base/assert.js'

interface Event {
  readonly atMs: number
  readonly order: number
  /** null: cancelled. */
  action: (() => void) | null
  /** Promises may have been settled by it: what waits for them runs before the next event. */
  readonly settles: boolean
}

/**
 * Virtual time: a queue of events, ordered by time and, at the same time, by when they were scheduled.
 * Running takes no wall time but its own work, and the same calls give the same order always.
 */
export class Scheduler {
  #nowMs = 0
  #order = 0
  #stopped = false
  #mustSettle = false
  readonly #heap: Event[] = []

  get nowMs(): number {
    return this.#nowMs
  }

  /**
   * Runs `action` after `delayMs` of virtual time. `settles` (default false) is for actions that promise-based code
   * waits for. Returns a function that cancels it.
   */
  schedule(delayMs: number, action: () => void, settles = false): () => void {
    assert(delayMs >= 0, 'a delay is never negative', delayMs)
    const event: Event = { atMs: this.#nowMs + delayMs, order: this.#order++, action, settles }
    this.#push(event)
    return () => {
      event.action = null
    }
  }

  /** The present event keeps promises: what waits for them runs before the next event, though nobody knew when it was scheduled. */
  settle(): void {
    this.#mustSettle = true
  }

  /** Runs everything due up to `untilMs` and moves the clock there. */
  async runUntil(untilMs: number): Promise<void> {
    await this.runWhile(() => true, untilMs)
    if (!this.#stopped) this.#nowMs = Math.max(this.#nowMs, untilMs)
  }

  /**
   * Runs events while `condition` holds (asked before each) and they are due by `untilMs`.
   * Returns whether it ended because the condition no longer holds.
   */
  async runWhile(condition: () => boolean, untilMs: number): Promise<boolean> {
    await this.#settled()
    while (!this.#stopped) {
      if (!condition()) return true
      const next = this.#heap[0]
      if (next === undefined || next.atMs > untilMs) return false
      this.#pop()
      if (next.action === null) continue
      this.#nowMs = next.atMs
      next.action()
      if (next.settles || this.#mustSettle) await this.#settled()
    }
    return false
  }

  /** Ends the running loop after the present event, for good. */
  stop(): void {
    this.#stopped = true
  }

  async #settled(): Promise<void> {
    await settled()
    this.#mustSettle = false
  }

  #push(event: Event): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!before(event, heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = event
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++
      if (!before(heap[child]!, last)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
  }
}

function before(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}

/** All microtasks have run when an immediate does: the one way to know that no promise has anything left to say. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
