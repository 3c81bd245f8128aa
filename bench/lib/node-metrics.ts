/** One look at a node's metrics. */
export class Page {
  readonly #values = new Map<string, number>()

  private constructor(text: string) {
    for (const line of text.split('\n')) {
      const space = line.lastIndexOf(' ')
      if (space > 0 && !line.startsWith('#')) this.#values.set(line.slice(0, space), Number(line.slice(space + 1)))
    }
  }

  static async of(httpAddress: string): Promise<Page> {
    const answer = await fetch(`http://${httpAddress}/metrics`)
    return new Page(await answer.text())
  }

  /** NaN: there is none of this name. */
  value(sample: string): number {
    return this.#values.get(sample) ?? Number.NaN
  }

  /** Requests answered with this code, of any kind. */
  answered(code: string): number {
    let sum = 0
    for (const [sample, value] of this.#values) {
      if (sample.startsWith('holdfast_requests_total{') && sample.includes(`code="${code}"`)) sum += value
    }
    return sum
  }

  /** What no file stands behind; where the system does not tell, all of it. */
  get memoryBytes(): number {
    const anonymous = this.value('holdfast_memory_bytes{kind="anonymous"}')
    return Number.isNaN(anonymous) ? this.value('holdfast_memory_bytes{kind="rss"}') : anonymous
  }
}

/** Looks at a node again and again, and keeps the most that its memory came to. */
export class MemoryWatch {
  peakBytes = 0
  readonly #httpAddress: string
  #isOver = false
  readonly #done: Promise<void>

  constructor(httpAddress: string) {
    this.#httpAddress = httpAddress
    this.#done = this.#look()
  }

  async end(): Promise<number> {
    this.#isOver = true
    await this.#done
    return this.peakBytes
  }

  async #look(): Promise<void> {
    while (!this.#isOver) {
      this.peakBytes = Math.max(this.peakBytes, (await Page.of(this.#httpAddress)).memoryBytes)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}
