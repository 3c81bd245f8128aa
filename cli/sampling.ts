import { type KeyInput, storedKeyOf } from '../src/client/index.js'

const SAMPLE_MAX = 20_000

/** A uniform sample of a stream of keys of unknown length (Vitter's algorithm R), the same for the same input. */
export class KeySample {
  readonly #keys: KeyInput[] = []
  #seen = 0
  #random = 0x9e3779b9

  add(key: KeyInput): void {
    this.#seen += 1
    if (this.#keys.length < SAMPLE_MAX) {
      this.#keys.push(key)
      return
    }
    const place = Math.floor(this.#next() * this.#seen)
    if (place < SAMPLE_MAX) this.#keys[place] = key
  }

  /** At most `parts` - 1 different keys that cut what was sampled into parts of about equal size, in key order. */
  cuts(parts: number): KeyInput[] {
    const sorted = this.#keys
      .map((key) => ({ key, stored: storedKeyOf(key) }))
      .sort((a, b) => (a.stored < b.stored ? -1 : a.stored > b.stored ? 1 : 0))
    const found: KeyInput[] = []
    let last = sorted[0]?.stored
    for (let part = 1; part < parts; part += 1) {
      const cut = sorted[Math.floor((part * sorted.length) / parts)]
      if (cut === undefined || cut.stored === last) continue
      found.push(cut.key)
      last = cut.stored
    }
    return found
  }

  /** Marsaglia's xorshift32. */
  #next(): number {
    let x = this.#random
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#random = x
    return (x >>> 0) / 2 ** 32
  }
}
