/** Buckets per power of two: a recorded value is off by at most 1/64. */
const STEPS = 64
const POWERS = 40

/** A log-linear histogram (as HdrHistogram's) of durations in whole microseconds, in fixed memory. */
export class Histogram {
  readonly #counts = new Float64Array(POWERS * STEPS)
  #total = 0
  #max = 0

  record(microseconds: number): void {
    const value = Math.max(0, Math.round(microseconds))
    const place = bucketOf(value)
    this.#counts[place] = this.#counts[place]! + 1
    this.#total += 1
    if (value > this.#max) this.#max = value
  }

  get total(): number {
    return this.#total
  }

  /** Milliseconds that `percent` of all values do not exceed; 0 if there are none. */
  percentileMs(percent: number): number {
    const rank = Math.ceil((percent / 100) * this.#total)
    let seen = 0
    for (let place = 0; place < this.#counts.length; place += 1) {
      seen += this.#counts[place]!
      if (seen >= rank && seen > 0) return Math.min(upperEdge(place), this.#max) / 1000
    }
    return 0
  }

  get maxMs(): number {
    return this.#max / 1000
  }
}

function bucketOf(value: number): number {
  if (value < STEPS) return value
  const power = Math.min(Math.floor(Math.log2(value)) - 6, POWERS - 2)
  return (power + 1) * STEPS + Math.min(Math.floor(value / 2 ** power) - STEPS, STEPS - 1)
}

function upperEdge(place: number): number {
  if (place < STEPS) return place
  const power = Math.floor(place / STEPS) - 1
  return (STEPS + (place % STEPS) + 1) * 2 ** power - 1
}
