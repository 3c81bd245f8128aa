import { assert } from '../../base/assert.js'

/** Where an entry's record stands. */
export interface Place {
  readonly segment: number
  /** Of the record's header, in the segment. */
  readonly offset: number
  /** Of the payload. */
  readonly length: number
  readonly term: number
}

const WORDS = 5
const CAPACITY_MIN = 16

/** Places of one range's entries with consecutive indexes, in 20 bytes each: a ring in one typed array. */
export class PlaceTable {
  /** Index of the first entry; meaningless while empty. */
  #first = 1
  #size = 0
  #head = 0
  #words = new Uint32Array(0)

  get size(): number {
    return this.#size
  }

  get first(): number {
    return this.#first
  }

  get last(): number {
    return this.#first + this.#size - 1
  }

  /** Appends; an empty table begins at `index`. */
  push(index: number, place: Place): void {
    if (this.#size === 0) this.#first = index
    assert(index === this.#first + this.#size, 'a gap in the places of a log', this.#first, this.#size, index)
    if (this.#size === this.#capacity) this.#resize(Math.max(CAPACITY_MIN, this.#capacity * 2))
    this.#write(this.#slot(this.#size), place)
    this.#size += 1
  }

  get(index: number): Place {
    const at = this.#at(index)
    const words = this.#words
    return { segment: words[at]!, offset: words[at + 1]!, length: words[at + 2]!, term: this.#term(at) }
  }

  term(index: number): number {
    return this.#term(this.#at(index))
  }

  /** Of an entry that is there. */
  set(index: number, place: Place): void {
    this.#write(this.#at(index), place)
  }

  /** Removes the last entry and tells where it was. */
  popLast(): Place {
    const place = this.get(this.last)
    this.#size -= 1
    this.#maybeShrink()
    return place
  }

  /** Removes the first entry and tells where it was. */
  popFirst(): Place {
    const place = this.get(this.#first)
    this.#head = (this.#head + 1) % this.#capacity
    this.#first += 1
    this.#size -= 1
    this.#maybeShrink()
    return place
  }

  get #capacity(): number {
    return this.#words.length / WORDS
  }

  #write(at: number, place: Place): void {
    this.#words[at] = place.segment
    this.#words[at + 1] = place.offset
    this.#words[at + 2] = place.length
    this.#words[at + 3] = place.term >>> 0
    this.#words[at + 4] = Math.floor(place.term / 2 ** 32)
  }

  #slot(position: number): number {
    return ((this.#head + position) % this.#capacity) * WORDS
  }

  #at(index: number): number {
    const position = index - this.#first
    assert(position >= 0 && position < this.#size, 'the log does not hold this entry', index, this.#first, this.#size)
    return this.#slot(position)
  }

  #term(at: number): number {
    return this.#words[at + 4]! * 2 ** 32 + this.#words[at + 3]!
  }

  #maybeShrink(): void {
    if (this.#capacity > CAPACITY_MIN && this.#size * 4 < this.#capacity) {
      this.#resize(Math.max(CAPACITY_MIN, this.#capacity / 2))
    }
  }

  #resize(capacity: number): void {
    const words = new Uint32Array(capacity * WORDS)
    const start = this.#head * WORDS
    const straight = this.#words.subarray(start, Math.min(this.#words.length, start + this.#size * WORDS))
    words.set(straight)
    words.set(this.#words.subarray(0, this.#size * WORDS - straight.length), straight.length)
    this.#words = words
    this.#head = 0
  }
}
