import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Key, RangeId, StorageId, Version } from '../../src/base/ids.js'
import { silentLogger } from '../../src/base/ports.js'
import type { Row } from '../../src/kv/requests.js'
import type { StateRecord, Stored } from '../../src/kv/types.js'
import { decodeChunk, encodeChunk } from '../../src/storage/codec/chunk.js'
import { openStateStore } from '../../src/storage/state/state-store.js'
import { UnsyncedDeletes } from '../../src/storage/state/unsynced-deletes.js'
import type { SnapshotPlace, StateChunk, StateStore } from '../../src/storage/types.js'
import { MemoryStateDb } from '../../src/testing/state-db.js'
import { PROPERTY_MS_MAX, times } from '../property.js'
import { RANGE } from './state-model.js'
import { Steps, seededRandom } from './steps.js'

const storage = 3 as StorageId
const ALL = { start: '' as Key, end: null }
const v = (version: number): Version => version as Version

/** A store over a database in memory, with whatever it takes to ask it in one line. */
class Bench {
  readonly steps = new Steps()
  readonly db: MemoryStateDb
  readonly failures: string[] = []
  store: StateStore

  constructor(random = seededRandom(1)) {
    this.db = new MemoryStateDb({ schedule: this.steps.schedule, random })
    this.store = this.#open()
  }

  #open(): StateStore {
    return openStateStore({
      db: this.db,
      cacheBytes: 0,
      cacheValueBytesMax: 0,
      clock: this.steps.clock,
      onDamage: ({ what }) => this.failures.push(what),
      logger: silentLogger,
      fatal: (reason) => {
        throw new Error(reason)
      },
    })
  }

  put(key: string, version: number, value: string | null, into = storage): void {
    const record = recordOf(key, version, value)
    const journals = [{ range: RANGE, record: { timestamp: v(version), outcomes: [], changes: [] } }]
    this.store.write({ records: [{ storage: into, record }], journals }, 0)
  }

  asked<T>(ask: (done: (answer: T) => void) => void): T {
    const answers: T[] = []
    ask((answer) => answers.push(answer))
    this.steps.runAll()
    expect(answers).toHaveLength(1)
    return answers[0]!
  }

  collect(floor: number, durable = floor, span: { start: Key; end: Key | null } = ALL): number {
    let deleted = 0
    for (let start: Key | null = span.start; start !== null; ) {
      const work = { storage, span: { start, end: span.end }, floor: v(floor), durable: v(durable) }
      start = this.asked<Key | null>((done) =>
        this.store.collect(work, (count, next) => {
          deleted += count
          done(next)
        }),
      )
    }
    return deleted
  }

  sync(): void {
    this.asked<null>((done) => this.store.sync(() => done(null)))
  }

  scan(at: number): string[] {
    const page = { storage, span: ALL, at: v(at), reverse: false, limit: 99_999, bytesMax: 1 << 30, keysOnly: false }
    const rows = this.asked<readonly Row[] | null>((done) => this.store.scan(page, done))
    return rows!.map(({ key, value }) => `${key}=${Buffer.from(value)}`)
  }

  latest(key: string, upTo: number): string | null {
    const found = this.asked<readonly (Stored | null)[] | null>((done) =>
      this.store.fetch([{ storage, key, upTo: v(upTo) }], done),
    )
    const value = found?.[0]?.value ?? null
    return value && Buffer.from(value).toString()
  }

  /** All there is, as version:key. */
  records(into = storage): string[] {
    const page = { storage: into, span: ALL, after: null, upTo: v(1e15), bytesMax: 1 << 30 }
    const records = this.asked<readonly StateRecord[] | null>((done) => this.store.readSnapshot(page, done))
    return records!.map(({ key, version, value }) => `${key}${version}${value === null ? '-' : ''}`)
  }

  crash(): void {
    this.db.crash()
    this.store = this.#open()
  }
}

function recordOf(key: string, version: number, value: string | null): StateRecord {
  return { key: key as Key, version: v(version), codec: 'utf8', value: value === null ? null : Buffer.from(value) }
}

describe('collection', () => {
  test('keeps of each key the newest version at or below the floor and all above it', () => {
    const bench = new Bench()
    for (const version of [1, 3, 5, 7, 9]) bench.put('a', version, `${version}`)
    bench.put('b', 2, 'b')
    expect(bench.collect(6)).toBe(2)
    expect(bench.records()).toEqual(['a9', 'a7', 'a5', 'b2'])
    expect(bench.scan(6)).toEqual(['a=5', 'b=b'])
    expect(bench.collect(6)).toBe(0)
  })

  test('never passes D, whatever the floor', () => {
    const bench = new Bench()
    for (const version of [1, 3, 5]) bench.put('a', version, `${version}`)
    bench.collect(5, 3)
    expect(bench.records()).toEqual(['a5', 'a3'])
  })

  test('takes a tombstone with all that it hides, in one batch', () => {
    const bench = new Bench()
    bench.put('a', 1, 'x')
    bench.put('a', 2, null)
    bench.put('b', 1, 'y')
    expect(bench.collect(5)).toBe(2)
    expect(bench.records()).toEqual(['b1'])
  })

  test('leaves a tombstone whose older versions were deleted and may come back, until a sync covers that', () => {
    const bench = new Bench()
    bench.put('a', 1, 'x')
    bench.put('a', 3, 'y')
    bench.put('a', 5, null)
    expect(bench.collect(3)).toBe(1)
    bench.collect(5)
    expect(bench.records()).toEqual(['a5-'])
    bench.sync()
    bench.collect(5)
    expect(bench.records()).toEqual([])
  })

  test('leaves a tombstone that hides more than one delete batch holds, until a sync covers those', () => {
    const bench = new Bench()
    for (let version = 1; version <= 1500; version++) bench.put('hot', version, 'x')
    bench.put('hot', 1501, null)
    expect(bench.collect(1501)).toBe(1500)
    expect(bench.records()).toEqual(['hot1501-'])
    bench.sync()
    expect(bench.collect(1501)).toBe(1)
  })

  test(
    'a power cut at any point of it brings nothing back that a read above the floor could see',
    () => {
      const anyStep = fc.oneof(
        { weight: 6, arbitrary: fc.record({ kind: fc.constant('put' as const), key: fc.nat(2), gone: fc.boolean() }) },
        { weight: 3, arbitrary: fc.record({ kind: fc.constant('collect' as const), back: fc.nat(6) }) },
        { weight: 1, arbitrary: fc.record({ kind: fc.constant('sync' as const) }) },
        { weight: 2, arbitrary: fc.record({ kind: fc.constant('run' as const), steps: fc.nat(6) }) },
        { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const) }) },
      )
      fc.assert(
        fc.property(fc.nat(), fc.array(anyStep, { minLength: 10, maxLength: 60 }), (seed, steps) => {
          const bench = new Bench(seededRandom(seed))
          const written: { key: string; version: number; value: string | null }[] = []
          let [clock, durable, floor] = [0, 0, 0]
          for (const step of steps) {
            if (step.kind === 'put') {
              const each = { key: 'abc'[step.key]!, version: ++clock, value: step.gone ? null : `${clock}` }
              written.push(each)
              bench.put(each.key, each.version, each.value)
            } else if (step.kind === 'collect') {
              floor = Math.max(floor, durable - step.back)
              const work = { storage, span: ALL, floor: v(floor), durable: v(durable) }
              bench.store.collect(work, () => {})
            } else if (step.kind === 'sync') {
              const covered = clock
              bench.store.sync(() => {
                durable = Math.max(durable, covered)
              })
            } else if (step.kind === 'run') for (let i = 0; i < step.steps; i++) bench.steps.step()
            else {
              bench.crash()
              // Replay from D.
              for (const { key, version, value } of written) if (version > durable) bench.put(key, version, value)
            }
          }
          bench.steps.runAll()
          for (let at = Math.max(1, floor); at <= clock; at++) {
            for (const key of 'abc') {
              const expected = written.findLast((each) => each.key === key && each.version <= at)?.value ?? null
              expect(bench.latest(key, at), `${key} at ${at}`).toBe(expected)
            }
          }
        }),
        { ...times(400, 7), endOnFailure: true },
      )
    },
    PROPERTY_MS_MAX,
  )

  test('goes through keys with thousands of versions and thousands of keys in bounded passes', () => {
    const bench = new Bench()
    for (let version = 1; version <= 3000; version++) bench.put('hot', version, `${version}`)
    for (let i = 0; i < 3000; i++) bench.put(`k${i}`, 3001 + i, i % 2 === 0 ? null : 'x')
    bench.steps.runAll()
    bench.sync()
    const before = bench.scan(9000)
    expect(bench.collect(9000)).toBe(2999 + 1500)
    expect(bench.scan(9000)).toEqual(before)
    expect(bench.records()).toHaveLength(1501)
  })

  test('stays within its span, and waits while a snapshot holds it back', () => {
    const bench = new Bench()
    for (const key of ['a', 'b', 'c']) for (const version of [1, 2]) bench.put(key, version, 'x')
    const release = bench.store.hold(storage)
    expect(bench.collect(9)).toBe(0)
    release()
    release()
    expect(bench.collect(9, 9, { start: 'b' as Key, end: 'c' as Key })).toBe(1)
    expect(bench.records()).toEqual(['a2', 'a1', 'b2', 'c2', 'c1'])
  })

  test("of a journal goes up to a version, and no other range's", () => {
    const bench = new Bench()
    for (let version = 1; version <= 700; version++) bench.put('a', version, 'x')
    bench.steps.runAll()
    const pass = () =>
      bench.asked<boolean>((done) =>
        bench.store.collectJournal({ range: RANGE, upTo: v(600) }, (_deleted, more) => done(more)),
      )
    expect([pass(), pass()]).toEqual([true, false])
    const left: number[] = []
    const piece = { range: RANGE, from: v(0), to: v(999) }
    expect(bench.asked<boolean>((done) => bench.store.journal(piece, (r) => left.push(r.timestamp), done))).toBe(true)
    expect(left).toEqual(Array.from({ length: 100 }, (_, i) => 601 + i))
  })

  test('a dropped storage id is gone, whatever was on its way to it, and no other; given again it is no harm', () => {
    const bench = new Bench()
    for (let i = 1; i <= 1500; i++) bench.put(`k${i}`, i, 'x', (i % 2 === 0 ? 3 : 4) as StorageId)
    bench.store.dropStorage(3 as StorageId)
    bench.steps.runAll()
    expect(bench.records(3 as StorageId)).toEqual([])
    expect(bench.records(4 as StorageId)).toHaveLength(750)
    bench.store.dropStorage(3 as StorageId)
    bench.steps.runAll()
  })

  test('waits while LevelDB has much to compact', () => {
    const bench = new Bench()
    bench.put('a', 1, 'x')
    bench.put('a', 2, 'y')
    bench.db.isMadeBusy = true
    bench.store.collect({ storage, span: ALL, floor: v(9), durable: v(9) }, () => {})
    for (let i = 0; i < 50; i++) bench.steps.step()
    let found: readonly StateRecord[] | null = []
    const page = { storage, span: ALL, after: null, upTo: v(9), bytesMax: 999 }
    bench.store.readSnapshot(page, (records) => {
      found = records
    })
    for (let i = 0; i < 9; i++) bench.steps.step()
    expect(found).toHaveLength(2)
    bench.db.isMadeBusy = false
    bench.steps.runAll()
    expect(bench.records()).toEqual(['a2'])
  })
})

describe('a delete', () => {
  test('is handed over only while no read is open, and none begins beside it', () => {
    // The database in memory refuses a delete beside a read: with reads of all kinds under way all the time, none is.
    const bench = new Bench()
    for (let i = 1; i <= 900; i++) bench.put(`k${i % 90}`, i, i % 7 === 0 ? null : 'x')
    let answered = 0
    let asked = 0
    const answer = (): void => void answered++
    const ask = (): void => {
      const { store } = bench
      asked += 4
      store.fetch([{ storage, key: 'k7', upTo: v(999) }], answer)
      store.scan({ storage, span: ALL, at: v(999), reverse: false, limit: 20, bytesMax: 999, keysOnly: false }, answer)
      store.readSnapshot({ storage, span: ALL, after: null, upTo: v(999), bytesMax: 999 }, answer)
      store.readJournal({ range: RANGE, from: v(0), to: v(999), bytesMax: 999 }, answer)
    }
    bench.store.collect({ storage, span: ALL, floor: v(900), durable: v(900) }, () => {})
    bench.store.collectJournal({ range: RANGE, upTo: v(800) }, () => {})
    bench.store.dropStorage(9 as StorageId)
    for (let i = 0; i < 300; i++) {
      ask()
      bench.steps.step()
    }
    bench.steps.runAll()
    expect(answered).toBe(asked)
    expect(bench.records()).toHaveLength(new Set(bench.scan(999)).size)
  })
})

describe('a snapshot', () => {
  function read(bench: Bench, upTo: number, bytesMax: number): StateRecord[] {
    const all: StateRecord[] = []
    for (let after: SnapshotPlace | null = null, more = true; more; ) {
      const page = { storage, span: ALL, after, upTo: v(upTo), bytesMax }
      const [records, goesOn] = bench.asked<readonly [readonly StateRecord[] | null, boolean]>((done) =>
        bench.store.readSnapshot(page, (found, cut) => done([found, cut])),
      )
      all.push(...records!)
      after = records!.at(-1) ?? after
      more = goesOn
    }
    return all
  }

  test('has every version up to its own, in order, whatever the size of its pieces; ingested it is the same state', () => {
    const bench = new Bench()
    for (let i = 1; i <= 1300; i++) bench.put(`k${i % 40}`, i, i % 11 === 0 ? null : 'x'.repeat(i % 30))
    bench.steps.runAll()
    const whole = read(bench, 1200, 1 << 30)
    expect(whole).toHaveLength(1200)
    for (const bytesMax of [1, 700, 40_000]) expect(read(bench, 1200, bytesMax)).toEqual(whole)
    const other = new Bench()
    for (let from = 0; from < whole.length; from += 100) {
      const chunk = decodeChunk(encodeChunk({ records: whole.slice(from, from + 100), journals: [] }))
      other.asked<null>((done) => other.store.ingest({ storage, ...chunk }, () => done(null)))
    }
    expect(read(other, 1e9, 1 << 20)).toEqual(whole)
    expect(other.scan(1200)).toEqual(bench.scan(1200))
    const slice = { storage, span: ALL, at: v(1200) }
    const digest = (each: Bench) => each.asked<number | null>((done) => each.store.digest(slice, done))
    const before = digest(bench)
    expect(digest(other)).toBe(before)
    bench.collect(1200)
    expect(digest(bench)).toBe(before)
  })

  test('brings journal records, also those that were here and collected', () => {
    const bench = new Bench()
    for (let i = 1; i <= 9; i++) bench.put('a', i, 'x')
    bench.steps.runAll()
    const piece = { range: RANGE, from: v(2), to: v(6), bytesMax: 1 << 20 }
    const records = bench.asked((done) => bench.store.readJournal(piece, done))
    expect((records as { timestamp: number }[]).map(({ timestamp }) => timestamp)).toEqual([3, 4, 5, 6])
    bench.asked((done) => bench.store.collectJournal({ range: RANGE, upTo: v(9) }, done))
    const journals = (records as StateChunk['journals'][number]['record'][]).map((record) => ({ range: RANGE, record }))
    const chunk = decodeChunk(encodeChunk({ records: [], journals }))
    expect(chunk.journals).toEqual(journals)
    bench.asked<null>((done) => bench.store.ingest({ storage, ...chunk }, () => done(null)))
    expect(bench.asked((done) => bench.store.readJournal(piece, done))).toEqual(records)
  })

  test('keeps the journal records that it brings, though their collection had begun before it', () => {
    // A hold at every step of the pass: before it reads, before it deletes, while it waits its turn.
    for (let at = 0; at < 6; at++) {
      const bench = new Bench()
      for (let i = 1; i <= 9; i++) bench.put('a', i, 'x')
      bench.steps.runAll()
      const piece = { range: RANGE, from: v(0), to: v(9), bytesMax: 1 << 20 }
      type Records = readonly StateChunk['journals'][number]['record'][]
      const records = bench.asked<Records | null>((done) => bench.store.readJournal(piece, done))!
      let answers = 0
      bench.store.collectJournal({ range: RANGE, upTo: v(9) }, () => answers++)
      for (let steps = 0; steps < at; steps++) bench.steps.step()
      const release = bench.store.hold(storage)
      const journals = records.map((record) => ({ range: RANGE, record }))
      bench.asked<null>((done) => bench.store.ingest({ storage, records: [], journals }, () => done(null)))
      expect([at, answers, bench.asked((done) => bench.store.readJournal(piece, done))]).toEqual([at, 1, records])
      release()
      expect(bench.asked((done) => bench.store.collectJournal({ range: RANGE, upTo: v(9) }, done))).toBe(9)
    }
  })

  test('of several pieces asked to be written at once has each of them as it came', () => {
    const bench = new Bench()
    const pieces = Array.from({ length: 5 }, (_, at) => [
      recordOf(`k${at}`, 1, 'v'.repeat(10 + at)),
      recordOf(`l${at}`, 2, `${at}`),
    ])
    let written = 0
    for (const records of pieces) bench.store.ingest({ storage, records, journals: [] }, () => written++)
    bench.steps.runAll()
    const byKey = (a: StateRecord, b: StateRecord) => (a.key < b.key ? -1 : 1)
    expect([written, read(bench, 9, 1 << 20)]).toEqual([5, pieces.flat().sort(byKey)])
  })

  test('a piece with any byte changed is refused', () => {
    const records = [recordOf('a', 1, 'x'), recordOf('b', 2, null)]
    const journals = [{ range: 9 as RangeId, record: { timestamp: v(2), outcomes: [], changes: [] } }]
    const bytes = encodeChunk({ records, journals })
    for (let at = 0; at < bytes.length; at++) {
      const wrong = new Uint8Array(bytes)
      wrong[at]! ^= 0x40
      expect(() => decodeChunk(wrong)).toThrow()
      expect(() => decodeChunk(bytes.subarray(0, at))).toThrow()
    }
  })
})

describe('a full disk', () => {
  test('stops writing and not reading; with room again all that waited is written, and nothing twice with two contents', () => {
    const bench = new Bench()
    bench.put('a', 1, 'x')
    bench.steps.runAll()
    bench.db.isFull = true
    bench.put('a', 2, 'y')
    let synced = false
    let hadSpace = false
    bench.store.sync(() => {
      synced = true
    })
    for (let i = 0; i < 30; i++) bench.steps.step()
    expect(bench.store.isFull).toBe(true)
    bench.store.whenSpace(() => {
      hadSpace = true
    })
    const found: (string | null)[] = []
    bench.store.fetch([{ storage, key: 'a', upTo: v(1) }], (answer) =>
      found.push(Buffer.from(answer![0]!.value!).toString()),
    )
    for (let i = 0; i < 30; i++) bench.steps.step()
    expect(found).toEqual(['x'])
    expect([synced, hadSpace, bench.store.overlayBytes > 0]).toEqual([false, false, true])
    bench.db.isFull = false
    bench.steps.runAll()
    expect([synced, hadSpace, bench.store.overlayBytes]).toEqual([true, true, 0])
    expect(bench.store.isFull).toBe(false)
    expect(bench.records()).toEqual(['a2', 'a1'])
  })

  test('does not keep a store from closing', async () => {
    const bench = new Bench()
    bench.db.isFull = true
    bench.put('a', 1, 'x')
    for (let i = 0; i < 5; i++) bench.steps.step()
    const closed = bench.store.close()
    bench.steps.runAll()
    await closed
  })
})

test('deletes are unsynced until a sync that began after them is done', () => {
  const unsynced = new UnsyncedDeletes()
  unsynced.add(storage, { start: 'b' as Key, end: 'd' as Key })
  const done = unsynced.syncBegins()
  unsynced.add(storage, { start: 'x' as Key, end: 'y' as Key })
  const before = unsynced.picture(storage)
  expect(['a', 'b', 'c', 'd', 'x'].filter((key) => before(key as Key))).toEqual(['b', 'c', 'x'])
  done()
  const after = unsynced.picture(storage)
  expect(['b', 'c', 'x'].filter((key) => after(key as Key))).toEqual(['x'])
  expect(unsynced.picture(4 as StorageId)('x' as Key)).toBe(false)
})
