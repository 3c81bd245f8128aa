import { assert } from '../base/assert.js'
import type { Descriptor, Span } from '../base/descriptor.js'
import type { Key } from '../base/ids.js'
import { isBefore, isValid, overlaps } from './span.js'

/** What the map must know of an item: where it lies and how new it is. */
export type Placed = Pick<Descriptor, 'range' | 'span' | 'generation' | 'epoch'>

/**
 * Ranges by key: a sorted array of items that never overlap, searched by halves. Inserting costs a move of the items
 * behind it, which for ten thousand ranges is a few microseconds and happens once per split.
 *
 * Whatever the order in which descriptors are heard, the newest stays: two descriptors that share a key differ in
 * generation if they are of different ranges (every change of who covers a key raises it), else in generation or epoch.
 */
export class RangeMap<T> implements Iterable<T> {
  readonly #placedBy: (item: T) => Placed
  #items: T[] = []

  /** `placedBy` must always give the same for the same item. */
  constructor(placedBy: (item: T) => Placed) {
    this.#placedBy = placedBy
  }

  get size(): number {
    return this.#items.length
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#items[Symbol.iterator]()
  }

  find(key: Key): T | null {
    const item = this.#items[this.#firstEndingBehind(key)]
    return item !== undefined && this.#placedBy(item).span.start <= key ? item : null
  }

  /** The items that share a key with `span`, in key order. */
  overlapping(span: Span): readonly T[] {
    const { from, to } = this.#overlap(span)
    return this.#items.slice(from, to)
  }

  /** The parts of `span` that no item covers, in key order. */
  gaps(span: Span): readonly Span[] {
    const gaps: Span[] = []
    let start: Key | null = span.start
    for (const item of this.overlapping(span)) {
      const covered = this.#placedBy(item).span
      if (start !== null && start < covered.start) gaps.push({ start, end: covered.start })
      start = covered.end
    }
    if (start !== null && isBefore(start, span.end)) gaps.push({ start, end: span.end })
    return gaps
  }

  /**
   * Takes the item in place of all that it overlaps, unless one of those is newer: then nothing changes and the answer
   * is false. An item that is exactly as new replaces its like (a cache learns a new leader that way).
   */
  insert(item: T): boolean {
    const placed = this.#placedBy(item)
    assert(isValid(placed.span), 'a range has a key', placed)
    const { from, to } = this.#overlap(placed.span)
    for (let at = from; at < to; at += 1) {
      if (isNewer(this.#placedBy(this.#items[at]!), placed)) return false
    }
    this.#items.splice(from, to - from, item)
    return true
  }

  /** Removes this very item; false if it is not here. */
  remove(item: T): boolean {
    const at = this.#firstEndingBehind(this.#placedBy(item).span.start)
    if (this.#items[at] !== item) return false
    this.#items.splice(at, 1)
    return true
  }

  clear(): void {
    this.#items = []
  }

  #overlap(span: Span): { from: number; to: number } {
    assert(isValid(span), 'the span has no key', span)
    const from = this.#firstEndingBehind(span.start)
    let to = from
    while (to < this.#items.length && overlaps(this.#placedBy(this.#items[to]!).span, span)) to += 1
    return { from, to }
  }

  /** Index of the first item whose end lies behind `key`: the only one that can contain it. */
  #firstEndingBehind(key: Key): number {
    let low = 0
    let high = this.#items.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isBefore(key, this.#placedBy(this.#items[middle]!).span.end)) high = middle
      else low = middle + 1
    }
    return low
  }
}

/** Is `a` known to be later than `b`. Epochs count the changes of one range and say nothing between two. */
export function isNewer(a: Placed, b: Placed): boolean {
  if (a.generation !== b.generation) return a.generation > b.generation
  return a.range === b.range && a.epoch > b.epoch
}
