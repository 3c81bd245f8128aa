const TEXTS_MAX = 1_000

/**
 * A rolling hash over everything that happens in a simulation: the same seed and commit give the same hash.
 * With `keep`, the last events stay readable.
 */
export class Trace {
  #low = 0x811c9dc5
  #high = 0x9747b28c
  #events = 0
  readonly #keep: number
  readonly #kept: string[] = []
  /** Places and kinds are few and come again and again. */
  readonly #texts = new Map<string, number>()

  /** `keep`: how many of the last events to keep as text (default 0: none). */
  constructor(options: { keep?: number } = {}) {
    this.#keep = options.keep ?? 0
  }

  get events(): number {
    return this.#events
  }

  /** 16 hex digits. */
  get hash(): string {
    return hex(this.#high) + hex(this.#low)
  }

  get last(): readonly string[] {
    return this.#kept
  }

  /** `place` is where it happened ('node 1', 'client 2', 'network'). */
  event(atMs: number, place: string, kind: string, ...fields: readonly (number | string | boolean | null)[]): void {
    this.#events++
    // Microseconds: the hash need not know more, and safe integers print the same everywhere.
    this.#number(Math.round(atMs * 1000))
    this.#text(place)
    this.#text(kind)
    for (const field of fields) {
      if (typeof field === 'number') this.#number(field)
      else this.#text(String(field))
    }
    if (this.#keep > 0) this.#remember(`${atMs.toFixed(3).padStart(11)} ${place.padEnd(9)} ${kind} ${fields.join(' ')}`)
  }

  #remember(line: string): void {
    this.#kept.push(line)
    if (this.#kept.length > 2 * this.#keep) this.#kept.splice(0, this.#kept.length - this.#keep)
  }

  #number(value: number): void {
    this.#mix((value % 0x1_0000_0000) | 0)
    this.#mix(Math.floor(value / 0x1_0000_0000) | 0)
  }

  #text(text: string): void {
    let hash = this.#texts.get(text)
    if (hash === undefined) {
      hash = hashOf(text)
      if (this.#texts.size < TEXTS_MAX) this.#texts.set(text, hash)
    }
    this.#mix(hash)
  }

  #mix(word: number): void {
    this.#low = Math.imul(this.#low ^ word, 0x85ebca6b)
    this.#low ^= this.#low >>> 15
    this.#high = Math.imul(this.#high ^ this.#low ^ (word >>> 7), 0xc2b2ae35)
    this.#high ^= this.#high >>> 13
  }
}

function hashOf(text: string): number {
  let hash = text.length
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0')
}
