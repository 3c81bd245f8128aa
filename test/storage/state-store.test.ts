import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Key, StorageId, Version } from '../../src/base/ids.js'
import { silentLogger } from '../../src/base/ports.js'
import type { Row } from '../../src/kv/requests.js'
import type { Stored } from '../../src/kv/types.js'
import { openStateStore } from '../../src/storage/state/state-store.js'
import type { StateStore } from '../../src/storage/types.js'
import { MemoryStateDb } from '../../src/testing/state-db.js'
import { PROPERTY_MS_MAX, times } from '../property.js'
import { type ModelBatch, RANGE, StateModel } from './state-model.js'
import { Steps, seededRandom } from './steps.js'

const KEYS = ['', 'a', 'a\0', 'a\0b', 'aa', 'a\xff', 'b', '\xff', '\xff\xff'] as Key[]

type Step =
  | { kind: 'write'; writes: { storage: number; key: number; value: number | null }[]; newLogBatch: boolean }
  | { kind: 'logDurable'; back: number }
  | { kind: 'run'; steps: number }
  | { kind: 'fetch'; keys: number[]; storage: number }
  | { kind: 'peek' }
  | {
      kind: 'scan'
      storage: number
      from: number
      to: number
      back: number
      reverse: boolean
      limit: number
      bytesMax: number
      keysOnly: boolean
    }
  | { kind: 'journal'; back: number; length: number }
  | { kind: 'sync' }
  | { kind: 'crash' }

const nat = fc.nat
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      writes: fc.uniqueArray(fc.record({ storage: nat(1), key: nat(KEYS.length - 1), value: fc.option(nat(60)) }), {
        maxLength: 4,
        selector: ({ storage, key }) => storage * 100 + key,
      }),
      newLogBatch: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('logDurable' as const), back: nat(3) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('run' as const), steps: nat(4) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('fetch' as const),
      keys: fc.array(nat(KEYS.length - 1), { maxLength: 4 }),
      storage: nat(1),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('peek' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('scan' as const),
      storage: nat(1),
      from: nat(KEYS.length),
      to: nat(KEYS.length),
      back: nat(20),
      reverse: fc.boolean(),
      limit: fc.integer({ min: 1, max: 10 }),
      bytesMax: fc.integer({ min: 1, max: 300 }),
      keysOnly: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('journal' as const), back: nat(20), length: nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('sync' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const) }) },
)

/** The store beside the model, through crashes; replay as the loop does it: all batches behind D, one after the other. */
class Twin {
  readonly model = new StateModel()
  readonly #steps = new Steps()
  readonly #db: MemoryStateDb
  readonly #cacheBytes: number
  #store: StateStore
  #durable = 0
  /** Batches that a finished sync covers. */
  #d = 0
  /** Batches written in this life of the store: as far as replay has come. */
  #applied = 0
  #life = 0
  #open = 0

  constructor({ cacheBytes, seed }: { cacheBytes: number; seed: number }) {
    this.#cacheBytes = cacheBytes
    this.#db = new MemoryStateDb({ schedule: this.#steps.schedule, random: seededRandom(seed), latencyMs: 2 })
    this.#store = this.#openStore()
  }

  take(step: Step): void {
    switch (step.kind) {
      case 'write':
        return this.#write(step)
      case 'logDurable':
        this.#durable = Math.max(this.#durable, this.model.logBatch - step.back)
        return this.#store.logDurable(this.#durable)
      case 'run':
        for (let i = 0; i < step.steps; i++) this.#steps.step()
        return
      case 'fetch':
        return this.#fetch(
          (step.storage + 1) as StorageId,
          step.keys.map((key) => KEYS[key]!),
        )
      case 'peek':
        return this.#peek()
      case 'scan':
        return this.#scan(step)
      case 'journal':
        return this.#journal(step)
      case 'sync':
        return this.#sync()
      case 'crash':
        return this.#crash()
    }
  }

  /** Everything asked is answered. */
  finish(): void {
    this.#durable = this.model.logBatch
    this.#store.logDurable(this.#durable)
    this.#steps.runAll()
    expect(this.#open).toBe(0)
    expect(this.#store.overlayBytes).toBe(0)
    this.#fetch(1 as StorageId, KEYS)
    this.#steps.runAll()
    this.#peek()
  }

  #openStore(): StateStore {
    return openStateStore({
      db: this.#db,
      cacheBytes: this.#cacheBytes,
      cacheValueBytesMax: 50,
      clock: this.#steps.clock,
      onDamage: ({ what }) => {
        throw new Error(what)
      },
      logger: silentLogger,
      fatal: (reason) => {
        throw new Error(reason)
      },
    })
  }

  #write({ writes, newLogBatch }: Step & { kind: 'write' }): void {
    const timestamp = (this.model.clock + 1) as Version
    const records = writes.map(({ storage, key, value }) => ({
      storage: (storage + 1) as StorageId,
      record: {
        key: KEYS[key]!,
        version: timestamp,
        codec: 'bytes' as const,
        value: value === null ? null : new Uint8Array(value).fill(timestamp + this.#life),
      },
    }))
    const changes = records.map(({ record }) => ({ key: record.key, version: timestamp }))
    const journals = writes.length > 0 ? [{ range: RANGE, record: { timestamp, outcomes: [], changes } }] : []
    const needsLogBatch = this.model.logBatch + (newLogBatch ? 1 : 0)
    this.model.batches.push({ timestamp, needsLogBatch, batch: { records, journals } })
    this.#apply(this.model.batches.at(-1)!)
  }

  #apply({ batch, needsLogBatch }: ModelBatch): void {
    this.#applied++
    this.#store.write(batch, needsLogBatch <= this.#durable ? 0 : needsLogBatch)
  }

  #clock(): Version {
    return this.model.batches[this.#applied - 1]?.timestamp ?? (0 as Version)
  }

  /** Wraps a callback: it comes once, and never after a crash. */
  #asked<T extends unknown[]>(check: (...answer: T) => void): (...answer: T) => void {
    const life = this.#life
    this.#open++
    let called = false
    return (...answer) => {
      expect(called).toBe(false)
      expect(this.#life).toBe(life)
      called = true
      this.#open--
      check(...answer)
    }
  }

  #fetch(storage: StorageId, keys: readonly Key[]): void {
    const lookups = keys.map((key) => ({ storage, key, upTo: this.#clock() }))
    const expected = lookups.map((lookup) => this.model.latest(lookup, this.#applied))
    this.#store.fetch(
      lookups,
      this.#asked((found: readonly (Stored | null)[] | null) => expect(found!.map(plain)).toEqual(expected)),
    )
  }

  #peek(): void {
    for (const storage of [1, 2] as StorageId[]) {
      for (const key of KEYS) {
        const found = this.#store.peek({ storage, key })
        if (found === undefined) continue
        expect(plain(found)).toEqual(this.model.latest({ storage, key, upTo: this.#clock() }, this.#applied))
      }
    }
  }

  #scan(step: Step & { kind: 'scan' }): void {
    const { reverse, limit, bytesMax, keysOnly, back } = step
    const span = { start: KEYS[step.from] ?? ('zz' as Key), end: KEYS[step.to] ?? null }
    const at = Math.max(0, this.#clock() - back) as Version
    const page = { storage: (step.storage + 1) as StorageId, span, at, reverse, limit, bytesMax, keysOnly }
    const expected = this.model.scan(page, this.#applied)
    this.#store.scan(
      page,
      this.#asked((found: readonly Row[] | null, more: boolean) => {
        const rows = found!
        const cut = pageOf(expected, page)
        expect(rows.map((row) => ({ ...row, value: new Uint8Array(row.value) }))).toEqual(cut)
        if (cut.length < expected.length || cut.length < limit) expect(more).toBe(cut.length < expected.length)
      }),
    )
  }

  #journal({ back, length }: Step & { kind: 'journal' }): void {
    const from = Math.max(0, this.#clock() - back) as Version
    const to = Math.min(this.#clock(), from + length) as Version
    const expected = this.model.journal(from, to, this.#applied)
    const found: unknown[] = []
    this.#store.journal(
      { range: RANGE, from, to },
      (record) => found.push(record),
      this.#asked(() => expect(found).toEqual(expected)),
    )
  }

  #sync(): void {
    const covered = this.#applied
    this.#store.sync(
      this.#asked(() => {
        this.#d = Math.max(this.#d, covered)
      }),
    )
  }

  /** Power loss: what our log had not made durable is gone and written anew with other contents under the same versions. */
  #crash(): void {
    this.#life++
    this.#open = 0
    this.#db.crash()
    this.model.batches = this.model.batches.filter(({ needsLogBatch }) => needsLogBatch <= this.#durable)
    // D is written to our log too, behind the entries that it covers: it is lost with them.
    this.#d = Math.min(this.#d, this.model.batches.length)
    this.#store = this.#openStore()
    this.#applied = this.#d
    this.#fetch(1 as StorageId, KEYS)
    for (const batch of this.model.batches.slice(this.#d)) {
      this.#apply(batch)
      this.#peek()
      this.#fetch(1 as StorageId, KEYS)
      this.#fetch(2 as StorageId, KEYS)
      this.#scan({
        kind: 'scan',
        storage: 0,
        from: 0,
        to: 99,
        back: 0,
        reverse: false,
        limit: 9,
        bytesMax: 999,
        keysOnly: false,
      })
      if (batch.timestamp % 2 === 0) this.#steps.runAll()
    }
  }
}

function plain(found: Stored | null): Stored | null {
  return found && { ...found, value: found.value && new Uint8Array(found.value) }
}

function pageOf(rows: readonly Row[], { limit, bytesMax }: { limit: number; bytesMax: number }): Row[] {
  const page: Row[] = []
  let bytes = 0
  for (const row of rows) {
    bytes += row.key.length + row.value.length
    if (page.length === limit || (page.length > 0 && bytes > bytesMax)) break
    page.push(row)
  }
  return page
}

/** A sync that has nothing to write is done before the log has its batch; the power cut then takes both. */
const syncedAheadOfTheLog: Step[] = [
  { kind: 'write', writes: [], newLogBatch: true },
  { kind: 'sync' },
  { kind: 'run', steps: 1 },
  { kind: 'crash' },
  { kind: 'write', writes: [{ storage: 0, key: 0, value: null }], newLogBatch: false },
  { kind: 'peek' },
]

describe('the state store', () => {
  test.each([
    ['no cache', 0],
    ['a cache with room for one record', 32 + 60],
    ['a cache with room for some', 500],
    ['a cache with room for all', 100_000],
  ])(
    'agrees with a list of batches through writes, reads, syncs, crashes and replays (%s)',
    (_name, cacheBytes) => {
      fc.assert(
        fc.property(fc.nat(), fc.array(anyStep, { minLength: 40, maxLength: 100 }), (seed, steps) => {
          const twin = new Twin({ cacheBytes, seed })
          for (const step of steps) twin.take(step)
          twin.finish()
        }),
        { ...times(60, 15), endOnFailure: true, examples: [[0, syncedAheadOfTheLog]] },
      )
    },
    PROPERTY_MS_MAX,
  )
})
