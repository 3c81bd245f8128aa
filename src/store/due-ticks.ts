/** What acts by itself when ticks have passed. */
export interface Due {
  /** The tick at which it acts next, as things stand now. */
  readonly dueAt: number
  /** For `DueTicks` alone: the tick at which it looks at this one again. 0: it does not know it. */
  watchedAt: number
}

/** Ticks ahead that are told apart; what is due later is looked at again on the way. */
const TICKS_AHEAD = 64

/**
 * Who is due at which tick, so that a tick costs what is due at it and not what there is: of ten thousand ranges that hear from
 * their leaders none is looked at more than once per election timeout.
 *
 * Times are kept lazily. An item stands in the bucket of a tick no later than the one at which it is due. One that became due later
 * (a follower heard its leader) is left where it is, and moved on when that tick comes; one that became due earlier gets a second
 * place, and the first is void.
 */
export class DueTicks<T extends Due> {
  readonly #buckets: T[][] = Array.from({ length: TICKS_AHEAD }, () => [])

  /** To be called with the present tick, `now`, after anything that may have made `item` due earlier. */
  watch(item: T, now: number): void {
    const at = Math.min(item.dueAt, now + TICKS_AHEAD - 1)
    if (item.watchedAt > now && item.watchedAt <= at) return
    item.watchedAt = at
    this.#bucket(at).push(item)
  }

  /** Whether anything is due at `tick`, the one that comes next. */
  has(tick: number): boolean {
    const found = this.#bucket(tick)
    if (found.length === 0) return false
    for (const item of this.take(tick)) {
      if (item.watchedAt !== tick) continue
      item.watchedAt = 0
      this.watch(item, tick - 1)
    }
    return this.#bucket(tick).length > 0
  }

  /** Takes out what may be due at `tick`. Every tick's must be taken, or have been found empty. */
  take(tick: number): readonly T[] {
    const found = this.#bucket(tick)
    if (found.length > 0) this.#buckets[tick % TICKS_AHEAD] = []
    return found
  }

  #bucket(tick: number): T[] {
    return this.#buckets[tick % TICKS_AHEAD]!
  }
}
