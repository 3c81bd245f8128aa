import type { Random } from '../base/ports.js'

const TWO_32 = 0x1_0000_0000

/**
 * A seeded generator for everything that is drawn in a simulation: sfc32 (Chris Doty-Humphrey, PractRand), a 128-bit
 * state that passes PractRand and BigCrush, seeded by hashing a name with MurmurHash3's mixing steps.
 * Not for secrets.
 */
export class SeededRandom implements Random {
  readonly #name: string
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: number | string) {
    this.#name = String(seed)
    const word = wordsFrom(this.#name)
    this.#a = word()
    this.#b = word()
    this.#c = word()
    for (let i = 0; i < 12; i++) this.next()
  }

  /** Uniform in [0, 1), 32 random bits. */
  next(): number {
    const out = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + out) | 0
    return (out >>> 0) / TWO_32
  }

  /** A stream of its own: it depends on the seed and the name only, not on what was drawn before. */
  fork(name: string | number): SeededRandom {
    return new SeededRandom(`${this.#name}/${name}`)
  }

  /** Uniform integer in [0, bound). */
  below(bound: number): number {
    return Math.floor(this.next() * bound)
  }

  /** Uniform in [from, to). */
  between(from: number, to: number): number {
    return from + this.next() * (to - from)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!
  }

  /** A safe integer of 52 random bits, for ids. */
  id(): number {
    return this.below(2 ** 26) * 2 ** 26 + this.below(2 ** 26)
  }
}

function wordsFrom(name: string): () => number {
  let hash = 0x9e3779b9 ^ name.length
  for (let i = 0; i < name.length; i++) {
    hash = Math.imul(hash ^ name.charCodeAt(i), 0xcc9e2d51)
    hash = (hash << 13) | (hash >>> 19)
  }
  return () => {
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
    hash ^= hash >>> 16
    return hash
  }
}
