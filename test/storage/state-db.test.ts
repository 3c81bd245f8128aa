import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RangeId, StorageId } from '../../src/base/ids.js'
import { openStateDb } from '../../src/storage/leveldb/open.js'
import { journalKey } from '../../src/storage/state/keys.js'
import type { DbPut, StateDb } from '../../src/storage/types.js'
import { SeededRandom } from '../../src/testing/random.js'
import { MemoryStateDb } from '../../src/testing/state-db.js'
import { Steps, seededRandom } from './steps.js'

const put = (key: string, value = key): DbPut => ({
  key: Buffer.from(key, 'latin1'),
  value: Buffer.from(value, 'latin1'),
})
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')
const numbered = (i: number): string => `k${String(i).padStart(5, '0')}`

async function written(db: StateDb, puts: readonly DbPut[]): Promise<void> {
  const error = await new Promise((resolve) => db.batch(puts, resolve))
  expect(error).toBeNull()
}

async function synced(db: StateDb): Promise<void> {
  expect(await new Promise((resolve) => db.sync(resolve))).toBeNull()
}

async function sought(db: StateDb, bounds: readonly [string, string][]): Promise<(string | null)[]> {
  const seeks = bounds.map(([gte, lt]) => ({ gte: Buffer.from(gte, 'latin1'), lt: Buffer.from(lt, 'latin1') }))
  return new Promise((resolve, reject) =>
    db.seek(seeks, (error, found) => (error ? reject(error) : resolve(found.map((row) => row && text(row.key))))),
  )
}

interface Asked {
  readonly gte?: string
  readonly lt?: string
  readonly reverse?: boolean
  readonly limit?: number
  readonly bytesMax?: number
}

async function ranged(
  db: StateDb,
  { gte = '', lt = '\xff', reverse = false, limit = 1000, bytesMax = 1 << 20 }: Asked,
): Promise<string[]> {
  const bounds = { gte: Buffer.from(gte, 'latin1'), lt: Buffer.from(lt, 'latin1'), reverse, limit, bytesMax }
  return new Promise((resolve, reject) =>
    db.range(bounds, (error, rows) => (error ? reject(error) : resolve(rows.map((row) => text(row.key))))),
  )
}

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-state-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

async function openLevelDb(path: string): Promise<StateDb> {
  return (await openStateDb(path, { disk: 'test', marker: 0, suspect: false, nextStorage: 100 as StorageId })).db
}

const memory = new Map<string, MemoryStateDb>()
const implementations: [string, (path: string) => Promise<StateDb>][] = [
  ['LevelDB', openLevelDb],
  [
    'memory',
    async (path) => {
      const schedule = (_latencyMs: number, action: () => void): void => void setImmediate(action)
      const disk = memory.get(path) ?? new MemoryStateDb({ schedule, random: seededRandom(1) })
      memory.set(path, disk)
      return disk
    },
  ],
]

describe.each(implementations)('a state database (%s)', (_name, openDb) => {
  let db: StateDb
  beforeEach(async () => {
    db = await openDb(directory)
  })
  afterEach(() => db.close())

  test('a seek finds the first record at or behind its lower bound, and nothing at or behind its upper one', async () => {
    await written(db, [put('b'), put('d'), put('d\0'), put('\xfe')])
    const bounds: [string, string][] = [
      ['a', 'z'],
      ['b', 'c'],
      ['c', 'd'],
      ['c', 'd\0'],
      ['d\0', 'e'],
      ['e', '\xfe'],
      ['e', '\xff'],
    ]
    expect(await sought(db, bounds)).toEqual(['b', 'b', null, 'd', 'd\0', null, '\xfe'])
    expect(await sought(db, [])).toEqual([])
  })

  test('a range is half open, in byte order either way, and bounded in rows', async () => {
    await written(
      db,
      ['\xc3', 'a', 'b', 'c', '\x7f', 'a\0'].map((key) => put(key)),
    )
    expect(await ranged(db, {})).toEqual(['a', 'a\0', 'b', 'c', '\x7f', '\xc3'])
    expect(await ranged(db, { reverse: true })).toEqual(['\xc3', '\x7f', 'c', 'b', 'a\0', 'a'])
    expect(await ranged(db, { gte: 'a\0', lt: 'c' })).toEqual(['a\0', 'b'])
    expect(await ranged(db, { gte: 'a\0', lt: 'c', reverse: true, limit: 1 })).toEqual(['b'])
    expect(await ranged(db, { limit: 2 })).toEqual(['a', 'a\0'])
    expect(await ranged(db, { gte: 'c', lt: 'a' })).toEqual([])
  })

  test('a range ends with the row that reaches its bound in bytes', async () => {
    await written(
      db,
      [0, 1, 2, 3].map((i) => put(numbered(i), 'v'.repeat(94))),
    )
    expect(await ranged(db, { bytesMax: 1 })).toHaveLength(1)
    expect(await ranged(db, { bytesMax: 200 })).toHaveLength(2)
    expect(await ranged(db, { bytesMax: 201 })).toHaveLength(3)
  })

  test('thousands of records, written in any order, come back in order', async () => {
    const puts = Array.from({ length: 5000 }, (_, i) => put(numbered((i * 1237) % 5000)))
    for (let i = 0; i < puts.length; i += 100) await written(db, puts.slice(i, i + 100))
    const all = Array.from({ length: 5000 }, (_, i) => numbered(i))
    expect(await ranged(db, { limit: 5000 })).toEqual(all)
    expect(await ranged(db, { gte: numbered(700), lt: numbered(1900), reverse: true, limit: 5000 })).toEqual(
      all.slice(700, 1900).reverse(),
    )
  })

  test('a record written again with the same bytes stays one', async () => {
    await written(db, [put('a', 'x')])
    await written(db, [put('a', 'x'), put('b')])
    expect(await ranged(db, {})).toEqual(['a', 'b'])
  })

  test('a sync shows in no range below FF FF FF FF, however often', async () => {
    await written(db, [put('a')])
    await synced(db)
    await synced(db)
    expect(await ranged(db, { lt: '\xff\xff\xff\xff' })).toEqual(['a'])
  })

  test('what was written is there when the database is opened again', async () => {
    await written(db, [put('a'), put('b')])
    await synced(db)
    await db.close()
    db = await openDb(directory)
    await synced(db)
    expect(await ranged(db, {})).toEqual(['a', 'b'])
  })
})

test('a sync of LevelDB never writes a marker twice, over openings too', async () => {
  let db = await openLevelDb(directory)
  for (let i = 0; i < 3; i++) await synced(db)
  await db.close()
  db = await openLevelDb(directory)
  await synced(db)
  expect(await ranged(db, { gte: '\xff\xff\xff\xff', lt: '\xff\xff\xff\xff\xff' })).toHaveLength(4)
  await db.close()
})

describe('power loss in the simulated database', () => {
  function afterCrash(seed: number): string {
    const steps = new Steps()
    const db = new MemoryStateDb({ schedule: steps.schedule, random: seededRandom(seed) })
    const write = (keys: string): void =>
      db.batch(
        [...keys].map((key) => put(key)),
        () => {},
      )
    write('ab')
    steps.runAll()
    db.sync(() => {})
    steps.runAll()
    for (const keys of ['cd', 'bef', 'gh', 'ij']) {
      write(keys)
      if (keys !== 'ij') steps.runAll()
    }
    db.crash()
    steps.runAll()
    let found = ''
    const bounds = { gte: Buffer.from(''), lt: Buffer.from('z'), reverse: false, limit: 99, bytesMax: 9999 }
    db.range(bounds, (_error, rows) => {
      found = rows.map((row) => text(row.key)).join('')
    })
    steps.runAll()
    return found
  }
  const outcomes = new Set(Array.from({ length: 400 }, (_, seed) => afterCrash(seed)))

  test('what a sync covered is always there', () => {
    for (const found of outcomes) expect(found).toContain('ab')
  })

  test('of the batches since then any subset is kept, whole, one in flight included', () => {
    expect(outcomes.size).toBe(16)
    expect(outcomes).toContain('abgh')
    expect(outcomes).toContain('abij')
  })

  test('a batch whose loss would take a key that a kept one wrote too does not take it', () => {
    const steps = new Steps()
    const answers = [0.1, 0.9]
    const db = new MemoryStateDb({ schedule: steps.schedule, random: { next: () => answers.pop() ?? 0 } })
    db.batch([put('a')], () => {})
    db.batch([put('a')], () => {})
    steps.runAll()
    db.crash()
    const found: string[] = []
    db.range({ gte: Buffer.from(''), lt: Buffer.from('z'), reverse: false, limit: 9, bytesMax: 99 }, (_error, rows) =>
      found.push(...rows.map((row) => text(row.key))),
    )
    steps.runAll()
    expect(found).toEqual(['a'])
  })

  test('what was begun before is never finished', () => {
    const steps = new Steps()
    const db = new MemoryStateDb({ schedule: steps.schedule, random: seededRandom(1) })
    let finished = 0
    db.batch([put('a')], () => finished++)
    db.sync(() => finished++)
    db.seek([], () => finished++)
    db.crash()
    steps.runAll()
    expect(finished).toBe(0)
  })

  test('a sync does not cover a batch that was not done when it was called', () => {
    const steps = new Steps()
    const db = new MemoryStateDb({ schedule: steps.schedule, random: { next: () => 0.9 } })
    let synced = false
    db.batch([put('a')], () => {})
    db.sync(() => {
      synced = true
    })
    steps.runAll()
    expect(synced).toBe(true)
    db.crash()
    let rows = 1
    db.range(
      { gte: Buffer.from(''), lt: Buffer.from('z'), reverse: false, limit: 9, bytesMax: 99 },
      (_error, found) => {
        rows = found.length
      },
    )
    steps.runAll()
    expect(rows).toBe(0)
  })

  test('a record written with two different contents is refused', () => {
    const steps = new Steps()
    const db = new MemoryStateDb({ schedule: steps.schedule, random: seededRandom(1) })
    db.batch([put('a', 'x')], () => {})
    db.batch([put('a', 'y')], () => {})
    expect(() => steps.runAll()).toThrow(/two contents/)
  })

  test('a record that is not found is known of at every opening, a rotten one perhaps only from the scrub', () => {
    for (const harm of ['hide', 'rot'] as const) {
      const steps = new Steps()
      const db = new MemoryStateDb({ schedule: steps.schedule, random: { next: () => 0.9 } })
      db.open({ disk: 'd', marker: 0 })
      db.batch([put('\x00\x00\x00\x07key\x01234567')], () => {})
      steps.runAll()
      db.sync(() => {})
      steps.runAll()
      db.crash()
      expect(db[harm](new SeededRandom(1))).toBe(true)
      const verdict = db.open({ disk: 'd', marker: 1 })
      if (harm === 'hide') expect(verdict).toMatchObject({ kind: 'damaged', damage: { storages: [7], journals: [] } })
      else expect(verdict).toEqual({ kind: 'whole' })
      expect(db.isRotten).toBe(true)
    }
  })

  test('a rotten record whose replacement is lost in a crash is rotten still, and may be replaced again', () => {
    const steps = new Steps()
    const db = new MemoryStateDb({ schedule: steps.schedule, random: { next: () => 0.9 } })
    db.batch([put('a', 'x')], () => {})
    steps.runAll()
    db.sync(() => {})
    steps.runAll()
    expect(db.rot(new SeededRandom(1))).toBe(true)
    for (const isLost of [true, false]) {
      db.batch([put('a', 'x')], () => {})
      steps.runAll()
      expect(db.isRotten).toBe(false)
      if (isLost) db.crash()
      expect(db.isRotten).toBe(isLost)
    }
  })

  test('a rotten record of a journal that counts as healed may be replaced, also if a crash brings it back', () => {
    const steps = new Steps()
    const db = new MemoryStateDb({ schedule: steps.schedule, random: { next: () => 0.9 } })
    const range = 2 as RangeId
    const record = { key: journalKey(range, 7), value: Buffer.from('x') }
    db.batch([record], () => {})
    steps.runAll()
    db.sync(() => {})
    steps.runAll()
    expect(db.rot(new SeededRandom(1))).toBe(true)
    // A snapshot of the range brought its journal from its session floor on, and this record lies below.
    db.healed({ journal: range })
    expect(db.isRotten).toBe(false)
    // That of a range cut from it, with a lower floor, brings it.
    db.batch([record], () => {})
    steps.runAll()
    db.crash()
    db.batch([record], () => {})
    steps.runAll()
    db.batch([{ ...record, value: Buffer.from('y') }], () => {})
    expect(() => steps.runAll()).toThrow(/two contents/)
  })
})
