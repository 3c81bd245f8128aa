import type { Key, RangeId, StorageId, Version } from '../../src/base/ids.js'
import { silentLogger } from '../../src/base/ports.js'
import type { Stored } from '../../src/kv/types.js'
import { realClock } from '../../src/server/real-ports.js'
import { openStateDb } from '../../src/storage/leveldb/open.js'
import { openStateStore } from '../../src/storage/state/state-store.js'
import type { StateStore } from '../../src/storage/types.js'

const RANGE = 1 as RangeId
const STORAGE = 1 as StorageId
const SPAN = { start: '' as Key, end: null }
const VALUE_BYTES_MIN = 1_000
const READS_OPEN = 8
/** Versions below this many entries ago are collected. */
const HISTORY = 2_000

export interface ChurnOptions {
  readonly directory: string
  readonly batches: number
  readonly keys: number
  readonly writeBufferBytes: number
  readonly checkEvery: number
  readonly onCheck: (checked: { batches: number; lost: number; collected: number; reads: number }) => void
}

interface Latest {
  readonly version: number
  readonly bytes: number
}

/**
 * Writes and deletes a few keys over and over, collects what is old, and reads all the while, so that there is no moment without an open
 * read; beside it a model. Returns how many keys were not what the model says: gone, back, or older.
 */
export async function churn(options: ChurnOptions): Promise<number> {
  const { db } = await openStateDb(options.directory, {
    disk: 'churn',
    marker: 0,
    suspect: false,
    nextStorage: 2 as StorageId,
    writeBufferBytes: options.writeBufferBytes,
  })
  const store = openStateStore({
    db,
    cacheBytes: 0,
    cacheValueBytesMax: 0,
    clock: realClock,
    onDamage: ({ what }) => {
      throw new Error(what)
    },
    fatal: (reason) => {
      throw new Error(reason)
    },
    logger: silentLogger,
  })
  const run = new Churn(store, options)
  const lost = await run.run()
  await store.close()
  return lost
}

class Churn {
  readonly #store: StateStore
  readonly #options: ChurnOptions
  readonly #model = new Map<string, Latest | null>()
  readonly #value = Buffer.alloc(2 * VALUE_BYTES_MIN, 0x78)
  #seed = 7
  #version = 0
  #durable = 0
  #collected = 0
  #reads = 0
  #ended = false

  constructor(store: StateStore, options: ChurnOptions) {
    this.#store = store
    this.#options = options
  }

  async run(): Promise<number> {
    const { batches, checkEvery, onCheck } = this.#options
    for (let i = 0; i < READS_OPEN; i++) this.#read()
    const collecting = this.#collectAlways()
    let lost = 0
    for (let i = 1; i <= batches; i++) {
      this.#write()
      if (this.#store.overlayBytes > 1024 * 1024) await drained(this.#store)
      if (i % 500 === 0) await this.#sync()
      if (i % checkEvery !== 0 && i !== batches) continue
      lost += await this.#wrong()
      onCheck({ batches: i, lost, collected: this.#collected, reads: this.#reads })
    }
    this.#ended = true
    await collecting
    return lost
  }

  #below(bound: number): number {
    this.#seed = (Math.imul(this.#seed, 1664525) + 1013904223) >>> 0
    return Math.floor((this.#seed / 2 ** 32) * bound)
  }

  #write(): void {
    const key = `k${this.#below(this.#options.keys)}` as Key
    const version = ++this.#version as Version
    const isDelete = (this.#model.get(key) ?? null) !== null && this.#below(2) === 0
    const bytes = VALUE_BYTES_MIN + this.#below(VALUE_BYTES_MIN)
    const value = isDelete ? null : this.#value.subarray(0, bytes)
    this.#model.set(key, isDelete ? null : { version, bytes })
    const records = [{ storage: STORAGE, record: { key, version, codec: 'bytes' as const, value } }]
    const journals = [{ range: RANGE, record: { timestamp: version, outcomes: [], changes: [] } }]
    this.#store.write({ records, journals }, 0)
  }

  /** One of the reads that are always open: pages and lookups, one after the other. */
  #read(): void {
    if (this.#ended) return
    this.#reads++
    const at = this.#version as Version
    const start = `k${this.#below(this.#options.keys)}` as Key
    const again = (): void => void setImmediate(() => this.#read())
    if (this.#below(2) === 0) {
      const span = { start, end: null }
      this.#store.scan(
        { storage: STORAGE, span, at, reverse: false, limit: 50, bytesMax: 100_000, keysOnly: false },
        again,
      )
    } else this.#store.fetch([{ storage: STORAGE, key: start, upTo: at }], again)
  }

  async #sync(): Promise<void> {
    const version = this.#version
    await new Promise<void>((resolve) => this.#store.sync(resolve))
    this.#durable = version
  }

  async #collectAlways(): Promise<void> {
    while (!this.#ended) {
      const floor = Math.max(0, this.#durable - HISTORY) as Version
      const durable = this.#durable as Version
      let start: Key | null = SPAN.start
      while (start !== null && !this.#ended) start = await this.#collect({ start, end: null }, floor, durable)
      await new Promise<void>((resolve) =>
        this.#store.collectJournal({ range: RANGE, upTo: floor }, (deleted) => {
          this.#collected += deleted
          resolve()
        }),
      )
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  #collect(span: { start: Key; end: null }, floor: Version, durable: Version): Promise<Key | null> {
    return new Promise((resolve) =>
      this.#store.collect({ storage: STORAGE, span, floor, durable }, (deleted, next) => {
        this.#collected += deleted
        resolve(next)
      }),
    )
  }

  async #wrong(): Promise<number> {
    let wrong = 0
    const upTo = this.#version as Version
    const keys = [...this.#model.keys()] as Key[]
    for (let from = 0; from < keys.length; from += 100) {
      const some = keys.slice(from, from + 100)
      const lookups = some.map((key) => ({ storage: STORAGE, key, upTo }))
      const found = await new Promise<readonly (Stored | null)[] | null>((resolve) =>
        this.#store.fetch(lookups, resolve),
      )
      for (const [i, key] of some.entries()) if (!isSame(found![i] ?? null, this.#model.get(key)!)) wrong++
    }
    return wrong
  }
}

function isSame(found: Stored | null, expected: Latest | null): boolean {
  if (expected === null) return found === null || found.value === null
  return found?.version === expected.version && found.value?.length === expected.bytes
}

function drained(store: StateStore): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => (store.overlayBytes < 256 * 1024 ? resolve() : void setImmediate(look))
    look()
  })
}
