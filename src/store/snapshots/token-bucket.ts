/** Bounds bytes per second over time: what is taken may exceed what is there once, and is then waited for. */
export class TokenBucket {
  readonly #perSecond: number
  #tokens: number
  #atMs: number

  /** Full at first: one second's worth. */
  constructor(perSecond: number, nowMs: number) {
    this.#perSecond = perSecond
    this.#tokens = perSecond
    this.#atMs = nowMs
  }

  hasSome(nowMs: number): boolean {
    const earned = ((nowMs - this.#atMs) / 1_000) * this.#perSecond
    this.#tokens = Math.min(this.#perSecond, this.#tokens + earned)
    this.#atMs = nowMs
    return this.#tokens > 0
  }

  take(bytes: number): void {
    this.#tokens -= bytes
  }
}
