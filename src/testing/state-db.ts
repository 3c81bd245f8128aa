import { assert } from '../base/assert.js'
import type { Random } from '../base/ports.js'
import type { DbPut, StateDb } from '../storage/types.js'
import { SortedRecords } from './sorted-records.js'

export type Schedule = (latencyMs: number, action: () => void) => void

export interface MemoryStateDbOptions {
  readonly schedule: Schedule
  readonly random: Random
  /** How long a write or read takes. Default 1. */
  readonly latencyMs?: number
  /** How long a sync takes. Default 5. */
  readonly syncLatencyMs?: number
}

/** A batch that no sync has covered yet. */
interface Unsynced {
  readonly puts: readonly DbPut[]
  /** Those of its keys that were not there before it. */
  readonly added: string[]
  done: boolean
}

/**
 * LevelDB in memory, with what it does to unsynced writes: at a crash each batch since the last sync is kept or lost on
 * its own, whole, a later one kept without an earlier one. The object is the disk: after `crash()` or `close()` it is
 * used again as the next opening of the same database.
 */
export class MemoryStateDb implements StateDb {
  readonly #schedule: Schedule
  readonly #random: Random
  readonly #latencyMs: number
  readonly #syncLatencyMs: number
  readonly #records = new SortedRecords()
  #unsynced: Unsynced[] = []
  /** Counts openings: what an earlier one began is never finished. */
  #opening = 0
  #open = 0
  #whenIdle: (() => void)[] = []

  constructor({ schedule, random, latencyMs = 1, syncLatencyMs = 5 }: MemoryStateDbOptions) {
    this.#schedule = schedule
    this.#random = random
    this.#latencyMs = latencyMs
    this.#syncLatencyMs = syncLatencyMs
  }

  /** A batch shows once it is done; a crash before that may keep it all the same. */
  batch(puts: readonly DbPut[], done: (error: Error | null) => void): void {
    const batch: Unsynced = { puts: puts.map(copyOf), added: [], done: false }
    this.#unsynced.push(batch)
    this.#after(this.#latencyMs, () => {
      this.#apply(batch)
      done(null)
    })
  }

  seek(
    seeks: readonly { gte: Uint8Array; lt: Uint8Array }[],
    done: (error: Error | null, found: readonly (DbPut | null)[]) => void,
  ): void {
    const found = seeks.map(({ gte, lt }) => {
      const bounds = { gte: stringOf(gte), lt: stringOf(lt), reverse: false, limit: 1, bytesMax: 1 }
      return this.#records.range(bounds)[0] ?? null
    })
    this.#after(this.#latencyMs, () => done(null, found))
  }

  range(
    bounds: { gte: Uint8Array; lt: Uint8Array; reverse: boolean; limit: number; bytesMax: number },
    done: (error: Error | null, rows: readonly DbPut[]) => void,
  ): void {
    const rows = this.#records.range({ ...bounds, gte: stringOf(bounds.gte), lt: stringOf(bounds.lt) })
    this.#after(this.#latencyMs, () => done(null, rows))
  }

  sync(done: (error: Error | null) => void): void {
    const covered = new Set(this.#unsynced.filter((batch) => batch.done))
    this.#after(this.#syncLatencyMs, () => {
      this.#unsynced = this.#unsynced.filter((batch) => !covered.has(batch))
      done(null)
    })
  }

  /** Resolves when everything begun is done. */
  close(): Promise<void> {
    if (this.#open === 0) return Promise.resolve()
    return new Promise((resolve) => this.#whenIdle.push(resolve))
  }

  /** Power loss: nothing begun is finished, any subset of the unsynced batches is gone. */
  crash(): void {
    this.#opening++
    this.#open = 0
    this.#whenIdle = []
    const unsynced = this.#unsynced
    this.#unsynced = []
    for (const { added } of unsynced) for (const key of added) this.#records.remove(key)
    for (const batch of unsynced) if (this.#random.next() < 0.5) this.#apply(batch)
  }

  #apply(batch: Unsynced): void {
    batch.done = true
    for (const put of batch.puts) {
      const key = stringOf(put.key)
      const before = this.#records.put(key, put)
      if (before === null) batch.added.push(key)
      else assert(sameBytes(before.value, put.value), 'a record was written twice with two contents', key)
    }
  }

  #after(latencyMs: number, action: () => void): void {
    const opening = this.#opening
    this.#open++
    this.#schedule(latencyMs, () => {
      if (opening !== this.#opening) return
      this.#open--
      action()
      if (this.#open > 0) return
      for (const resolve of this.#whenIdle.splice(0)) resolve()
    })
  }
}

function copyOf({ key, value }: DbPut): DbPut {
  return { key: new Uint8Array(key), value: new Uint8Array(value) }
}

function stringOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
