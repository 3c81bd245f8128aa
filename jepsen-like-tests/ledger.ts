import { createHash } from 'node:crypto'
import { ConditionFailed, type Holdfast, HoldfastError } from '../src/client/index.js'

const DIFFERENCES_SHOWN_MAX = 5

/** Values follow from their keys, so that a ledger of many writes stays small. */
export function valueFor(key: string, bytes: number): string {
  const head = `<${key}>${createHash('sha256').update(key).digest('base64')}`
  return head.repeat(Math.ceil(bytes / head.length)).slice(0, Math.max(bytes, head.length))
}

interface Counter {
  acknowledged: number
  /** Increments that may have been done. */
  unknown: number
}

/** What a load was told: unique writes, and counters incremented under conditions. */
export class Ledger {
  readonly valueBytes: number
  readonly acknowledged = new Set<string>()
  /** May have been done; never will be known. */
  readonly unknown = new Set<string>()
  readonly counters = new Map<string, Counter>()
  /** Definite refusals: nothing was done. */
  refused = 0

  constructor(valueBytes: number) {
    this.valueBytes = valueBytes
  }

  get acknowledgedIncrements(): number {
    return [...this.counters.values()].reduce((sum, { acknowledged }) => sum + acknowledged, 0)
  }

  get unknowns(): number {
    return [...this.counters.values()].reduce((sum, { unknown }) => sum + unknown, this.unknown.size)
  }

  async write(db: Holdfast, key: string): Promise<void> {
    try {
      await db.put(key, valueFor(key, this.valueBytes))
      this.acknowledged.add(key)
    } catch (error) {
      if (this.#mayBeDone(error)) this.unknown.add(key)
    }
  }

  /** One read and one conditional write of what it said plus one; another caller may have been faster. */
  async increment(db: Holdfast, key: string): Promise<void> {
    let counter = this.counters.get(key)
    if (counter === undefined) {
      counter = { acknowledged: 0, unknown: 0 }
      this.counters.set(key, counter)
    }
    try {
      const entry = await db.getEntry<number>(key)
      await db.put(key, (entry?.value ?? 0) + 1, { ifVersion: entry?.version ?? 0 })
      counter.acknowledged++
    } catch (error) {
      if (error instanceof ConditionFailed) return
      if (this.#mayBeDone(error)) counter.unknown++
    }
  }

  /** What differs from what was acknowledged among the unique writes whose keys begin with `prefix`. Nothing may be under way. */
  async check(rows: AsyncIterable<{ key: unknown; value: unknown }>, prefix: string): Promise<string[]> {
    const differences = new Differences()
    const missing = new Set([...this.acknowledged].filter((key) => key.startsWith(prefix)))
    for await (const { key, value } of rows) {
      if (typeof key !== 'string' || !key.startsWith(prefix)) continue
      if (!missing.delete(key) && !this.unknown.has(key)) differences.add(`unexpected: ${key}`)
      else if (value !== valueFor(key, this.valueBytes)) differences.add(`wrong value: ${key}: ${short(value)}`)
    }
    for (const key of missing) differences.add(`missing: ${key}`)
    return differences.list()
  }

  async checkCounters(db: Holdfast): Promise<string[]> {
    const differences = new Differences()
    for (const [key, { acknowledged, unknown }] of this.counters) {
      const stands = (await db.get<number>(key)) ?? 0
      if (stands >= acknowledged && stands <= acknowledged + unknown) continue
      differences.add(
        `counter ${key}: ${acknowledged} increments acknowledged, ${unknown} unknown, it stands at ${stands}`,
      )
    }
    return differences.list()
  }

  #mayBeDone(error: unknown): boolean {
    if (!(error instanceof HoldfastError)) throw error
    if (!error.mayHaveBeenApplied) this.refused++
    return error.mayHaveBeenApplied
  }
}

class Differences {
  readonly #shown: string[] = []
  #count = 0

  add(difference: string): void {
    this.#count++
    if (this.#shown.length < DIFFERENCES_SHOWN_MAX) this.#shown.push(difference)
  }

  list(): string[] {
    const more = this.#count - this.#shown.length
    return more === 0 ? this.#shown : [...this.#shown, `… and ${more} more`]
  }
}

function short(value: unknown): string {
  return (JSON.stringify(value) ?? 'undefined').slice(0, 60)
}

/** Callers that go on one call after the other until they are told to stop; what they do is theirs. */
export class Callers {
  #isStopped = false
  #running: Promise<unknown> = Promise.resolve()

  start(count: number, call: (caller: number, n: number) => Promise<void>): void {
    this.#isStopped = false
    const loop = async (caller: number): Promise<void> => {
      for (let n = 0; !this.#isStopped; n++) await call(caller, n)
    }
    this.#running = Promise.all(Array.from({ length: count }, (_, caller) => loop(caller)))
    // Looked at in stop; a failure before that must not count as unhandled.
    this.#running.catch(() => {})
  }

  /** Resolves when nothing is under way any more; rejects with what a caller failed with. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#running
  }
}
