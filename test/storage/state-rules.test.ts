import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Key, RangeId, StorageId, Version } from '../../src/base/ids.js'
import { silentLogger } from '../../src/base/ports.js'
import type { Row } from '../../src/kv/requests.js'
import type { Stored } from '../../src/kv/types.js'
import { openStateDb } from '../../src/storage/leveldb/open.js'
import { Overlay } from '../../src/storage/state/overlay.js'
import { openStateStore, type StateStoreOptions } from '../../src/storage/state/state-store.js'
import type { DbPut, ScrubStatus, StateBatch, StateDamage, StateDb, StateStore } from '../../src/storage/types.js'
import { MemoryStateDb } from '../../src/testing/state-db.js'
import { RANGE } from './state-model.js'
import { Steps, seededRandom } from './steps.js'

const storage = 3 as StorageId
const OPENING = { disk: 'test', marker: 0, suspect: false, nextStorage: 100 as StorageId }
const ALL = { start: '' as Key, end: null }
const PAGE = { storage, span: ALL, at: 9 as Version, reverse: false, limit: 10, bytesMax: 1 << 20, keysOnly: false }
const text = (found: Stored | null | undefined): string | null | undefined =>
  found?.value ? Buffer.from(found.value).toString() : found && null

function batchOf(key: string, version: number, value: string | null): StateBatch {
  const record = {
    key: key as Key,
    version: version as Version,
    codec: 'utf8' as const,
    value: value === null ? null : Buffer.from(value),
  }
  const changes = [{ key: record.key, version: record.version }]
  return {
    records: [{ storage, record }],
    journals: [{ range: RANGE, record: { timestamp: record.version, outcomes: [], changes } }],
  }
}

/** Passes through, counts, and can be told to damage or to fail. */
class Watched implements StateDb {
  readonly inner: StateDb
  readonly batches: number[] = []
  rowsRead = 0
  inFlight = 0
  inFlightMost = 0
  damage: ((put: DbPut) => DbPut) | null = null
  failure: Error | null = null

  constructor(inner: StateDb) {
    this.inner = inner
  }

  batch(puts: readonly DbPut[], done: (error: Error | null) => void): void {
    this.batches.push(puts.length)
    this.inFlight++
    this.inFlightMost = Math.max(this.inFlightMost, this.inFlight)
    this.inner.batch(puts, (error) => {
      this.inFlight--
      done(this.failure ?? error)
    })
  }

  seek(
    seeks: readonly { gte: Uint8Array; lt: Uint8Array }[],
    done: (error: Error | null, found: readonly (DbPut | null)[]) => void,
  ): void {
    this.inner.seek(seeks, (error, found) => {
      this.rowsRead += found.length
      done(
        this.failure ?? error,
        found.map((put) => put && (this.damage?.(put) ?? put)),
      )
    })
  }

  range(
    bounds: { gte: Uint8Array; lt: Uint8Array; reverse: boolean; limit: number; bytesMax: number },
    done: (error: Error | null, rows: readonly DbPut[]) => void,
  ): void {
    this.inner.range(bounds, (error, rows) => {
      this.rowsRead += rows.length
      done(
        this.failure ?? error,
        rows.map((put) => this.damage?.(put) ?? put),
      )
    })
  }

  sync(done: (error: Error | null, marker: number) => void): void {
    this.inner.sync((error, marker) => done(this.failure ?? error, marker))
  }

  remove(keys: readonly Uint8Array[], done: (error: Error | null) => void): void {
    this.inner.remove(keys, (error) => done(this.failure ?? error))
  }

  get marker(): number {
    return this.inner.marker
  }

  get isBusy(): boolean {
    return this.inner.isBusy
  }

  get scrub(): ScrubStatus {
    return this.inner.scrub
  }

  onDamage: (damage: StateDamage) => void = () => {}

  reopen(done: (error: Error | null) => void): void {
    this.inner.reopen(done)
  }

  markDamaged(damage: StateDamage, done: (error: Error | null) => void): void {
    this.inner.markDamaged(damage, done)
  }

  healed(what: { storage: StorageId } | { journal: RangeId }): void {
    this.inner.healed(what)
  }

  close(): Promise<void> {
    return this.inner.close()
  }
}

class Fatal extends Error {}

function openWith(
  db: StateDb,
  {
    cacheBytes = 0,
    clock = new Steps().clock,
    onDamage = () => {},
  }: Partial<Pick<StateStoreOptions, 'cacheBytes' | 'clock' | 'onDamage'>> = {},
): StateStore {
  return openStateStore({
    clock,
    onDamage,
    db,
    cacheBytes,
    cacheValueBytesMax: 100,
    logger: silentLogger,
    fatal: (reason) => {
      throw new Fatal(reason)
    },
  })
}

describe('the state store', () => {
  let steps: Steps
  let db: Watched
  let store: StateStore
  beforeEach(() => {
    steps = new Steps()
    db = new Watched(new MemoryStateDb({ schedule: steps.schedule, random: seededRandom(1) }))
    store = openWith(db)
  })

  function fetched(key: string, upTo = Number.MAX_SAFE_INTEGER): Stored | null | undefined {
    let answer: Stored | null | undefined
    store.fetch([{ storage, key, upTo: upTo as Version }], (found) => {
      answer = found?.[0]
    })
    steps.runAll()
    return answer
  }

  function scanned(page: { at: number; reverse?: boolean; limit?: number }): { rows: readonly Row[]; more: boolean } {
    let answer: { rows: readonly Row[]; more: boolean } | null = null
    const at = page.at as Version
    const { reverse = false, limit = 10 } = page
    store.scan({ storage, span: ALL, at, reverse, limit, bytesMax: 1 << 20, keysOnly: false }, (rows, more) => {
      answer = { rows: rows!, more }
    })
    steps.runAll()
    return answer!
  }

  test('nothing goes to the database before its log batch is durable, and then in order', () => {
    store.write(batchOf('a', 1, 'x'), 2)
    store.write(batchOf('b', 2, 'y'), 1)
    store.logDurable(1)
    steps.runAll()
    expect(db.batches).toEqual([])
    expect(store.overlayBytes).toBeGreaterThan(0)
    expect(text(store.peek({ storage, key: 'a' }))).toBe('x')
    store.logDurable(2)
    steps.runAll()
    expect(db.batches).toEqual([4])
    expect(store.overlayBytes).toBe(0)
  })

  test('one database batch is in flight at most; what waits meanwhile goes as one, up to about a mebibyte', () => {
    for (let i = 1; i <= 20; i++) store.write(batchOf(`key ${i}`, i, 'v'.repeat(100_000)), 0)
    steps.runAll()
    expect(db.inFlightMost).toBe(1)
    expect(db.batches).toEqual([2, 20, 18])
  })

  test('a sync is done only after all that was written before it is in the database and synced', () => {
    let synced = false
    store.write(batchOf('a', 1, 'x'), 1)
    store.sync(() => {
      synced = true
    })
    steps.runAll()
    expect(synced).toBe(false)
    store.logDurable(1)
    steps.runAll()
    expect(synced).toBe(true)
  })

  test('a read begun before a write does not put the older value into the cache', () => {
    store = openWith(db, { cacheBytes: 32 + 60 })
    store.write(batchOf('a', 1, 'old'), 0)
    steps.runAll()
    store.write(batchOf('other', 2, 'evicts a'), 0)
    steps.runAll()
    const answers: (string | null | undefined)[] = []
    store.fetch([{ storage, key: 'a', upTo: 2 as Version }], (found) => answers.push(text(found![0])))
    store.write(batchOf('a', 3, 'new'), 0)
    store.write(batchOf('other', 4, 'evicts a again'), 0)
    steps.runAll()
    expect(answers).toEqual(['old'])
    expect(store.peek({ storage, key: 'a' })).toBeUndefined()
    expect(text(fetched('a'))).toBe('new')
    expect(text(store.peek({ storage, key: 'a' }))).toBe('new')
  })

  test('a value too large for the cache is found in the overlay, then in the database', () => {
    store = openWith(db, { cacheBytes: 10_000 })
    store.write(batchOf('a', 1, 'small'), 0)
    store.write(batchOf('a', 2, 'x'.repeat(101)), 1)
    expect(text(store.peek({ storage, key: 'a' }))).toHaveLength(101)
    store.logDurable(1)
    steps.runAll()
    expect(store.peek({ storage, key: 'a' })).toBeUndefined()
    expect(text(fetched('a'))).toHaveLength(101)
  })

  test('an absent key that was looked up is known to be absent until it is written', () => {
    store = openWith(db, { cacheBytes: 10_000 })
    expect(store.peek({ storage, key: 'a' })).toBeUndefined()
    expect(fetched('a')).toBeNull()
    expect(store.peek({ storage, key: 'a' })).toBeNull()
    store.write(batchOf('a', 1, 'x'), 0)
    expect(text(store.peek({ storage, key: 'a' }))).toBe('x')
  })

  test('a key with thousands of versions costs a scan a piece, not all of them', () => {
    for (let i = 1; i <= 5000; i++) store.write(batchOf('hot', i, `${i}`), 0)
    store.write(batchOf('z', 5001, 'last'), 0)
    store.write(batchOf('zz', 5002, null), 0)
    steps.runAll()
    for (const [at, hot] of [
      [5001, '5000'],
      [40, '40'],
      [2500, '2500'],
    ] as const) {
      for (const reverse of [false, true]) {
        db.rowsRead = 0
        const { rows, more } = scanned({ at, reverse })
        const expected = at === 5001 ? [hot, 'last'] : [hot]
        expect(rows.map(text)).toEqual(reverse ? expected.reverse() : expected)
        expect(more).toBe(false)
        expect(db.rowsRead).toBeLessThan(200)
      }
    }
  })

  test('a page holds its limit of rows over tombstones and old versions, and pages join up to the whole', () => {
    const name = (i: number): string => `k${String(i).padStart(4, '0')}`
    for (let i = 0; i < 700; i++) {
      store.write(batchOf(name(i), 3 * i + 1, 'old'), 0)
      if (i % 3 !== 0) store.write(batchOf(name(i), 3 * i + 2, i % 3 === 1 ? null : `${i}`), 0)
    }
    steps.runAll()
    const expected = Array.from({ length: 700 }, (_, i) => name(i)).filter((_, i) => i % 3 !== 1)
    for (const limit of [1, 7, 100, 300]) {
      const found: string[] = []
      for (let start = '' as Key, more = true; more; ) {
        store.scan(
          {
            storage,
            span: { start, end: null },
            at: 9999 as Version,
            reverse: false,
            limit,
            bytesMax: 1 << 20,
            keysOnly: false,
          },
          (page, cut) => {
            const rows = page!
            expect(rows.length).toBe(Math.min(limit, expected.length - found.length))
            found.push(...rows.map((row) => row.key))
            start = `${rows.at(-1)?.key}\0` as Key
            more = cut
          },
        )
        steps.runAll()
      }
      expect(found).toEqual(expected)
    }
  })

  test.each([
    ['the value', (put: DbPut): DbPut => ({ ...put, value: flipped(put.value, put.value.length - 5) })],
    ['the checksum', (put: DbPut): DbPut => ({ ...put, value: flipped(put.value, put.value.length - 1) })],
    ['the version in the key', (put: DbPut): DbPut => ({ ...put, key: flipped(put.key, put.key.length - 1) })],
  ])(
    'a flipped byte in %s is never served: fetch, scan, snapshot and journal answer nothing and tell it',
    (_where, damage) => {
      const told: StateDamage[] = []
      store = openWith(db, { clock: steps.clock, onDamage: (found) => told.push(found) })
      store.write(batchOf('a', 1, 'x'), 0)
      steps.runAll()
      db.damage = damage
      const answered: unknown[] = []
      const answer = (found: unknown): void => void answered.push(found)
      store.fetch([{ storage, key: 'a', upTo: 9 as Version }], answer)
      for (const reverse of [false, true]) {
        store.scan({ ...PAGE, at: 9 as Version, reverse }, answer)
      }
      store.readSnapshot({ storage, span: ALL, after: null, upTo: 9 as Version, bytesMax: 999 }, answer)
      store.digest({ storage, span: ALL, at: 9 as Version }, answer)
      store.journal({ range: RANGE, from: 0 as Version, to: 9 as Version }, answer, answer)
      store.readJournal({ range: RANGE, from: 0 as Version, to: 9 as Version, bytesMax: 999 }, answer)
      steps.runAll()
      expect(answered.filter((found) => found !== null && found !== false)).toEqual([])
      expect(answered).toHaveLength(7)
      // Once for each place, and on record for the next opening.
      expect(told.map(({ storages, journals }) => ({ storages, journals }))).toEqual([
        { storages: [storage], journals: [] },
        { storages: [], journals: [RANGE] },
      ])
      expect((db.inner as MemoryStateDb).open({ disk: 'd', marker: 0 })).toMatchObject({
        kind: 'damaged',
        damage: { storages: [storage], journals: [RANGE] },
      })
      store.healedJournal(RANGE)
      db.damage = null
      store.dropStorage(storage)
      steps.runAll()
      expect((db.inner as MemoryStateDb).open({ disk: 'd', marker: 0 })).toEqual({ kind: 'whole' })
    },
  )

  test('damage that may lie in any journal is told by range, and gone from the record once each is healed', () => {
    const told: StateDamage[] = []
    store = openWith(db, { clock: steps.clock, onDamage: (found) => told.push(found) })
    store.write(batchOf('a', 1, 'x'), 0)
    store.readJournal({ range: 12 as RangeId, from: 0 as Version, to: 9 as Version, bytesMax: 999 }, () => {})
    steps.runAll()
    db.onDamage({ what: 'table 5', storages: [storage], journals: 'all' })
    steps.runAll()
    expect(told).toEqual([{ what: 'table 5', storages: [storage], journals: [RANGE, 12] }])
    const reopened = () => (db.inner as MemoryStateDb).open({ disk: 'd', marker: 0 })
    expect(reopened()).toMatchObject({ kind: 'damaged', damage: { storages: [storage], journals: [RANGE, 12] } })
    store.dropStorage(storage)
    store.healedJournal(RANGE)
    store.healedJournal(12 as RangeId)
    steps.runAll()
    expect(reopened()).toEqual({ kind: 'whole' })
  })

  test('a record of an unknown format stops the node by name', () => {
    const unknown = Buffer.from('01020000cafe', 'hex')
    store.write(batchOf('a', 1, 'x'), 0)
    steps.runAll()
    db.damage = ({ key }) => withChecksum(key, unknown)
    store.fetch([{ storage, key: 'a', upTo: 9 as Version }], () => {})
    expect(() => steps.runAll()).toThrow(/UnknownFormatError: a state record with required flags 0x2/)
  })

  test('a database that fails to write, read or sync stops the node', () => {
    db.failure = new Error('disk full')
    store.write(batchOf('a', 1, 'x'), 0)
    expect(() => steps.runAll()).toThrow(/writing .*disk full/)
    store = openWith(db)
    store.fetch([{ storage, key: 'a', upTo: 1 as Version }], () => {})
    expect(() => steps.runAll()).toThrow(/read of .*disk full/)
    store.sync(() => {})
    expect(() => steps.runAll()).toThrow(/writing .*disk full/)
    store = openWith(db)
    expect(() => scanned({ at: 1 })).toThrow(/scan .*disk full/)
  })

  test('a value is not kept alive by, nor changed with, the memory it came in', () => {
    store = openWith(db, { cacheBytes: 10_000 })
    const batch = batchOf('a', 1, 'x'.repeat(50))
    store.write(batch, 1)
    batch.records[0]!.record.value!.fill(0)
    expect(text(store.peek({ storage, key: 'a' }))).toBe('x'.repeat(50))
    store.logDurable(1)
    steps.runAll()
    expect(text(fetched('a'))).toBe('x'.repeat(50))
  })

  test('after close nothing is answered and nothing more is written', async () => {
    store.write(batchOf('a', 1, 'x'), 0)
    store.write(batchOf('b', 2, 'y'), 1)
    let answered = 0
    store.fetch([{ storage, key: 'c', upTo: 1 as Version }], () => answered++)
    const closed = store.close()
    store.logDurable(1)
    steps.runAll()
    await closed
    expect(answered).toBe(0)
    expect(db.batches).toEqual([2])
  })
})

test('a record that has left the overlay is not kept alive by newer ones of its key', () => {
  const overlay = new Overlay()
  const records = [1, 2, 3].map((version) => {
    const { record } = batchOf('a', version, 'x').records[0]!
    return overlay.add(storage, record, record.value)
  })
  overlay.remove(records[0]!)
  overlay.remove(records[1]!)
  expect(records[2]!.older).toBeNull()
  expect(overlay.upTo({ storage, key: 'a', upTo: 2 as Version })).toBeUndefined()
  expect(overlay.latest({ storage, key: 'a' })?.version).toBe(3)
  overlay.remove(records[2]!)
  expect(overlay.latest({ storage, key: 'a' })).toBeUndefined()
})

describe('the state store over LevelDB', () => {
  let directory: string
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'holdfast-state-'))
  })
  afterEach(() => rm(directory, { recursive: true, force: true }))

  test('what was written is found again after a sync and a new start, by both views and in the journal', async () => {
    let store = openWith((await openStateDb(directory, OPENING)).db, { cacheBytes: 10_000 })
    store.write(batchOf('a', 1, 'first'), 0)
    store.write(batchOf('a', 2, 'second'), 0)
    store.write(batchOf('b', 3, null), 0)
    await new Promise<void>((resolve) => store.sync(resolve))
    await store.close()
    store = openWith((await openStateDb(directory, OPENING)).db, { cacheBytes: 10_000 })
    const lookups = [
      ['a', 1],
      ['a', 9],
      ['b', 9],
      ['c', 9],
    ] as const
    const found = await new Promise<readonly (Stored | null)[] | null>((resolve) =>
      store.fetch(
        lookups.map(([key, upTo]) => ({ storage, key, upTo: upTo as Version })),
        resolve,
      ),
    )
    expect(found!.map(text)).toEqual(['first', 'second', null, null])
    expect(found![2]?.version).toBe(3)
    const page = { storage, span: ALL, at: 1 as Version, reverse: false, limit: 9, bytesMax: 999, keysOnly: false }
    const rows = await new Promise<readonly Row[] | null>((resolve) => store.scan(page, resolve))
    expect(rows!.map(text)).toEqual(['first'])
    const timestamps: number[] = []
    await new Promise<void>((resolve) =>
      store.journal(
        { range: RANGE, from: 1 as Version, to: 3 as Version },
        ({ timestamp }) => timestamps.push(timestamp),
        () => resolve(),
      ),
    )
    expect(timestamps).toEqual([2, 3])
    await store.close()
  })
})

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = new Uint8Array(bytes)
  copy[at]! ^= 0x10
  return copy
}

function withChecksum(key: Uint8Array, body: Uint8Array): DbPut {
  const value = Buffer.alloc(body.length + 4)
  value.set(body)
  value.writeUInt32BE(crc32(body, crc32(key)), body.length)
  return { key, value }
}
