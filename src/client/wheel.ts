import { assert } from '../base/assert.js'
import type { Clock } from '../base/ports.js'

const SLOT_MS = 4
const SLOTS = 1_024

/** Something that wants to be woken once. Intrusive: arming and disarming allocate nothing. */
export abstract class Timed {
  /** The wheel's own: neighbours in a slot's list (the list's head is its `before`), and the absolute slot; 0: not armed, -1: due in this walk. */
  before: Timed | null = null
  after: Timed | null = null
  slot = 0

  abstract onDue(nowMs: number): void
}

class Head extends Timed {
  override onDue(): void {
    assert(false, 'the head of a slot is never due')
  }
}

/**
 * A hashed timing wheel (Varghese and Lauck 1987, scheme 6): one timer of the clock serves every open call.
 * Wakes come up to 4 ms late, never early.
 */
export class TimerWheel {
  readonly #clock: Clock
  readonly #heads: readonly Head[]
  #armedCount = 0
  /** Slots up to this one were walked. */
  #walked = 0
  #timerSlot = 0
  #cancelTimer: (() => void) | null = null
  #closed = false

  constructor(clock: Clock) {
    this.#clock = clock
    this.#heads = Array.from({ length: SLOTS }, () => new Head())
  }

  /** Wakes `timed` at `dueMs` (monotonic) instead of when it was armed for before. */
  arm(timed: Timed, dueMs: number): void {
    this.disarm(timed)
    if (this.#closed) return
    if (this.#armedCount === 0) this.#walked = Math.floor(this.#clock.monotonicMs() / SLOT_MS)
    const slot = Math.max(Math.ceil(dueMs / SLOT_MS), this.#walked + 1)
    const head = this.#head(slot)
    timed.slot = slot
    timed.before = head
    timed.after = head.after
    if (head.after !== null) head.after.before = timed
    head.after = timed
    this.#armedCount++
    if (this.#cancelTimer === null || slot < this.#timerSlot) this.#startTimer(slot)
  }

  disarm(timed: Timed): void {
    if (timed.slot <= 0) {
      timed.slot = 0
      return
    }
    assert(timed.before !== null, 'an armed entry is linked')
    timed.before.after = timed.after
    if (timed.after !== null) timed.after.before = timed.before
    timed.before = null
    timed.after = null
    timed.slot = 0
    this.#armedCount--
  }

  /** Nothing is woken any more. */
  close(): void {
    this.#closed = true
    this.#cancelTimer?.()
    this.#cancelTimer = null
  }

  #head(slot: number): Head {
    return this.#heads[slot % SLOTS]!
  }

  #startTimer(slot: number): void {
    this.#cancelTimer?.()
    this.#timerSlot = slot
    const delayMs = Math.max(0, slot * SLOT_MS - this.#clock.monotonicMs())
    this.#cancelTimer = this.#clock.setTimer(delayMs, () => this.#walk())
  }

  #walk(): void {
    this.#cancelTimer = null
    const nowMs = this.#clock.monotonicMs()
    const due = this.#takeDue(Math.floor(nowMs / SLOT_MS))
    for (const timed of due) {
      // One that was disarmed or armed anew by an earlier one of this walk no longer carries the mark.
      if (timed.slot !== -1) continue
      timed.slot = 0
      timed.onDue(nowMs)
    }
    // What was armed just now may have started a timer for itself, later than one that was armed before this walk.
    if (this.#armedCount === 0) return
    const next = this.#nextOccupied()
    if (this.#cancelTimer === null || next < this.#timerSlot) this.#startTimer(next)
  }

  /** Unlinks what is due and marks it with slot -1, so that acting on one may still disarm another. */
  #takeDue(nowSlot: number): Timed[] {
    const due: Timed[] = []
    const from = Math.max(this.#walked + 1, nowSlot - SLOTS + 1)
    for (let slot = from; slot <= nowSlot; slot++) {
      let timed = this.#head(slot).after
      while (timed !== null) {
        const after: Timed | null = timed.after
        if (timed.slot <= nowSlot) {
          this.disarm(timed)
          timed.slot = -1
          due.push(timed)
        }
        timed = after
      }
    }
    this.#walked = Math.max(this.#walked, nowSlot)
    return due
  }

  #nextOccupied(): number {
    for (let slot = this.#walked + 1; slot <= this.#walked + SLOTS; slot++) {
      if (this.#head(slot).after !== null) return slot
    }
    return this.#walked + SLOTS
  }
}
