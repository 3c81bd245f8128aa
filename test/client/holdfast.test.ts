import { describe, expect, it } from 'vitest'
import { ConditionFailed } from '../../src/client/conditions.js'
import { endpointsOf } from '../../src/client/connect.js'
import { HoldfastClient } from '../../src/client/holdfast.js'
import type { BatchOperation, Entry, Holdfast, ScanOptions } from '../../src/client/types.js'
import type { Codec } from '../../src/kv/types.js'
import { raw, route } from './fake-cluster.js'
import { ModelCluster } from './model-cluster.js'

function setUp(codec: Codec = 'msgpack'): {
  cluster: ModelCluster
  db: Holdfast
  run: <T>(promise: Promise<T>) => Promise<T>
} {
  const cluster = new ModelCluster()
  return { cluster, db: new HoldfastClient(cluster.core, codec), run: (promise) => cluster.run(promise) }
}

async function all(scan: AsyncIterable<Entry>): Promise<Entry[]> {
  const entries: Entry[] = []
  for await (const entry of scan) entries.push(entry)
  return entries
}

describe('put, get, delete', () => {
  it('what is put is got, with version and codec', async () => {
    const { db, run } = setUp()
    const { version } = await run(db.put('a', { n: 1 }))
    expect(await run(db.get('a'))).toEqual({ n: 1 })
    expect(await run(db.getEntry('a'))).toEqual({ key: 'a', value: { n: 1 }, version, codec: 'msgpack' })
    expect(await run(db.get('b'))).toBeUndefined()
    expect(await run(db.getEntry('b'))).toBeUndefined()
  })

  it('null is a value, not absence', async () => {
    const { db, run } = setUp()
    await run(db.put('a', null))
    expect(await run(db.get('a'))).toBeNull()
  })

  it.each<[Codec, unknown]>([
    ['utf8', 'x'],
    ['json', { a: 1 }],
    ['bytes', Uint8Array.of(9)],
  ])('codec %s, of connect or of the call', async (codec, value) => {
    const { db, run } = setUp(codec)
    await run(db.put('a', value))
    expect(await run(db.getEntry('a'))).toMatchObject({ codec, value })
    const other = setUp()
    await other.run(other.db.put(['t', 1], value, { codec }))
    expect(await other.run(other.db.getEntry(['t', 1]))).toMatchObject({ codec, value, key: ['t', 1] })
  })

  it('delete tells whether there was something', async () => {
    const { db, run } = setUp()
    const { version } = await run(db.put('a', 1))
    const deleted = await run(db.delete('a'))
    expect(deleted).toEqual({ deleted: true, version: version + 1 })
    expect(await run(db.delete('a'))).toMatchObject({ deleted: false })
  })

  it('getMany brings values in the order asked', async () => {
    const { db, run } = setUp()
    await run(db.put('a', 1))
    await run(db.put(['b'], 2))
    expect(await run(db.getMany([['b'], 'x', 'a', 'a']))).toEqual([2, undefined, 1, 1])
  })

  it('what is wrong with the arguments comes as a rejection', async () => {
    const { db } = setUp()
    await expect(db.put('', 1)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(db.put('a', undefined)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(db.put('a', new Uint8Array(2 ** 20 + 1), { codec: 'bytes' })).rejects.toMatchObject({
      code: 'TOO_LARGE',
      message: expect.stringMatching(/1048577.*1048576/),
    })
    await expect(db.get('')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(db.put('a', 1, { ifVersion: -1 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(() => new HoldfastClient(new ModelCluster().core, 'xml' as Codec)).toThrow(/codec is "xml"/)
  })
})

describe('conditions', () => {
  it('ifVersion, ifAbsent and ifValue hold or refuse', async () => {
    const { db, run } = setUp()
    const { version } = await run(db.put('a', 1, { ifAbsent: true }))
    const next = await run(db.put('a', 2, { ifVersion: version }))
    await run(db.put('a', 3, { ifValue: 2 }))
    await expect(run(db.put('a', 4, { ifAbsent: true }))).rejects.toBeInstanceOf(ConditionFailed)
    await expect(run(db.put('a', 4, { ifVersion: next.version }))).rejects.toBeInstanceOf(ConditionFailed)
    await expect(run(db.delete('a', { ifValue: 2 }))).rejects.toBeInstanceOf(ConditionFailed)
    expect(await run(db.get('a'))).toBe(3)
    await run(db.put('b', 1, { ifVersion: 0 }))
  })

  it('a refusal carries the present version, and the value if asked for', async () => {
    const { db, run } = setUp()
    const { version } = await run(db.put(['a'], 'now'))
    await expect(run(db.put(['a'], 2, { ifVersion: 7 }))).rejects.toMatchObject({
      code: 'CONDITION_FAILED',
      mayHaveBeenApplied: false,
      current: { version },
      failed: [{ key: ['a'], version }],
    })
    await expect(run(db.put(['a'], 2, { ifVersion: 7, wantCurrent: true }))).rejects.toMatchObject({
      current: { version, value: 'now' },
    })
    await expect(run(db.put('none', 2, { ifVersion: 7, wantCurrent: true }))).rejects.toMatchObject({
      current: { version: 0 },
    })
  })
})

describe('batch', () => {
  it('writes all with one version, or nothing', async () => {
    const { db, run } = setUp()
    await run(db.put('old', 1))
    const { version } = await run(
      db.batch([
        { put: 'a', value: 1 },
        { put: 'b', value: 'x', codec: 'utf8' },
        { delete: 'old' },
        { check: 'c', ifAbsent: true },
      ]),
    )
    expect(await run(db.getEntry('b'))).toMatchObject({ value: 'x', codec: 'utf8', version })
    const refused = run(
      db.batch(
        [
          { put: 'a', value: 2 },
          { check: 'b', ifVersion: 3 },
          { check: 'a', ifValue: 9 },
        ],
        { wantCurrent: true },
      ),
    )
    await expect(refused).rejects.toMatchObject({
      failed: [
        { key: 'b', version, value: 'x' },
        { key: 'a', version, value: 1 },
      ],
    })
    expect(await run(db.getMany(['a', 'old']))).toEqual([1, undefined])
  })

  it.each<[string, readonly unknown[], RegExp]>([
    ['nothing', [], /empty/],
    ['one key twice', [{ put: 'a', value: 1 }, { delete: 'a' }], /"a" is written twice/],
    ['a check of nothing', [{ check: 'a' }], /ifVersion, ifAbsent or ifValue/],
    ['an operation that is none', [{ get: 'a' }], /put, delete or check/],
  ])('%s is refused by name', async (_, operations, message) => {
    const { db } = setUp()
    await expect(db.batch(operations as BatchOperation[])).rejects.toMatchObject({
      message: expect.stringMatching(message),
    })
  })

  it('over a limit it is refused before anything is sent', async () => {
    const { cluster, db } = setUp()
    const many = Array.from({ length: 1_001 }, (_, index) => ({ delete: `k${index}` }))
    await expect(db.batch(many)).rejects.toMatchObject({
      code: 'TOO_LARGE',
      message: expect.stringMatching(/1001.*1000/),
    })
    const large = Array.from({ length: 5 }, (_, index) => ({
      put: `k${index}`,
      value: new Uint8Array(2 ** 20),
      codec: 'bytes' as const,
    }))
    await expect(db.batch(large)).rejects.toMatchObject({ code: 'TOO_LARGE' })
    expect(cluster.executed).toEqual([])
  })
})

describe('scan', () => {
  async function scanned(options: ScanOptions): Promise<unknown[]> {
    const { cluster, db, run } = setUp()
    cluster.rowsPerPageMax = 2
    for (const key of ['a', 'b', 'ba', 'c', 'd']) await run(db.put(key, key))
    for (const key of [['u', 1], ['u', 2], ['v']]) await run(db.put(key, 0))
    return (await run(all(db.scan(options)))).map(({ key }) => key)
  }

  it.each<[ScanOptions, unknown[]]>([
    [{}, ['a', 'b', 'ba', 'c', 'd']],
    [{ start: 'b', end: 'd' }, ['b', 'ba', 'c']],
    [{ start: 'b', end: 'd', reverse: true }, ['c', 'ba', 'b']],
    [{ prefix: 'b' }, ['b', 'ba']],
    [{ limit: 3 }, ['a', 'b', 'ba']],
    [{ limit: 3, reverse: true }, ['d', 'c', 'ba']],
    [{ start: 'b', end: 'b' }, []],
    [{ namespace: 'tuple' }, [['u', 1], ['u', 2], ['v']]],
    [
      { prefix: ['u'] },
      [
        ['u', 1],
        ['u', 2],
      ],
    ],
    [{ prefix: ['u'], reverse: true, limit: 1 }, [['u', 2]]],
    [{ start: ['u', 2] }, [['u', 2], ['v']]],
  ])('%j', async (options, keys) => {
    expect(await scanned(options)).toEqual(keys)
  })

  it('keysOnly leaves values out', async () => {
    const { db, run } = setUp()
    const { version } = await run(db.put('a', 1))
    expect(await run(all(db.scan({ keysOnly: true })))).toEqual([
      { key: 'a', value: undefined, version, codec: 'msgpack' },
    ])
  })

  it.each<[ScanOptions, RegExp]>([
    [{ start: 'b', end: 'a' }, /upside down/],
    [{ limit: 0 }, /limit is 0/],
    [{ limit: 1.5 }, /limit is 1.5/],
    [{ limit: Number.NaN }, /limit is NaN/],
  ])('%j is refused by name', async (options, message) => {
    const { db } = setUp()
    await expect(all(db.scan(options))).rejects.toThrow(message)
  })

  it('nobody who stops early causes another page', async () => {
    const { cluster, db, run } = setUp()
    cluster.rowsPerPageMax = 1
    for (const key of ['a', 'b', 'c']) await run(db.put(key, key))
    const pagesBefore = cluster.executed.length
    const first = async (): Promise<unknown> => {
      for await (const { key } of db.scan()) return key
      return null
    }
    expect(await run(first())).toBe('a')
    expect(cluster.executed.length - pagesBefore).toBe(1)
  })
})

describe('ranges', () => {
  it('split names the new range, and ranges shows both', async () => {
    const { cluster, db, run } = setUp()
    await run(db.put('a', 1))
    expect(await run(db.split('m'))).toEqual({ range: 3 })
    cluster.routes = [...cluster.truth, route({ range: 1, end: raw('') }, 1)].reverse()
    expect((await run(db.ranges())).map(({ end, id, leader, start }) => ({ id, start, end, leader }))).toEqual([
      { id: 1, start: null, end: '', leader: 1 },
      { id: 3, start: 'm', end: null, leader: 1 },
      { id: 2, start: null, end: 'm', leader: 1 },
    ])
    await run(db.put('z', 1))
    expect(cluster.executed.at(-1)).toMatchObject({ kind: 'write', range: 3 })
  })

  it('transfer asks the leader of the range, wherever its span begins, and is answered when the other one leads', async () => {
    const { cluster, db, run } = setUp()
    await run(db.split('m'))
    cluster.routes = cluster.truth
    await run(db.transfer({ range: 3, to: 2 }))
    expect(cluster.executed.at(-1)).toMatchObject({ kind: 'transfer', range: 3, to: 2 })
    expect(cluster.truth.map(({ leader }) => leader)).toEqual([1, 2])
    await run(db.transfer({ range: 3, to: 1 }))
    expect(cluster.truth.map(({ leader }) => leader)).toEqual([1, 1])
  })

  it('transfer of a range that no node knows, or holds, is refused by name', async () => {
    const { cluster, db, run } = setUp()
    await expect(run(db.transfer({ range: 9, to: 1 }))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'there is no range 9',
    })
    await expect(run(db.transfer({ range: 1.5, to: 1 }))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(cluster.executed).toEqual([])
  })

  it('transfer of a range that no node knows, while one does not answer, is no certain refusal', async () => {
    const { cluster, db, run } = setUp()
    cluster.node(2).mode = 'refuse'
    const refused = run(db.transfer({ range: 9, to: 1 }, { deadlineMs: 500 }))
    await expect(refused).rejects.toMatchObject({ code: 'UNAVAILABLE', mayHaveBeenApplied: false })
    await expect(refused).rejects.toThrow(/no node that answers knows range 9: .*node-2:7400/)
  })

  it('transfer of a range that only one node has heard of finds it', async () => {
    const { cluster, db, run } = setUp()
    cluster.cut(raw('m'), 1)
    const told = cluster.routes
    const third = cluster.node(3)
    const { answer } = third
    third.answer = (arrival) => {
      cluster.routes = cluster.truth
      const isTaken = answer(arrival)
      cluster.routes = told
      return isTaken
    }
    await run(db.transfer({ range: 3, to: 2 }))
    expect(cluster.executed.at(-1)).toMatchObject({ kind: 'transfer', range: 3, to: 2 })
  })

  it('transfer of a range that nobody tells of finds it where it is held', async () => {
    const { cluster, db, run } = setUp()
    cluster.cut(raw('m'), 1)
    await run(db.transfer({ range: 3, to: 2 }))
    expect(cluster.executed.at(-1)).toMatchObject({ kind: 'transfer', range: 3, to: 2 })
  })

  it('after close every call is refused', async () => {
    const { db } = setUp()
    await db.close()
    await expect(db.get('a')).rejects.toMatchObject({ code: 'CANCELLED' })
    await expect(all(db.scan())).rejects.toMatchObject({ code: 'CANCELLED' })
  })
})

describe('endpoints', () => {
  it('are a list or a string with commas', () => {
    expect(endpointsOf('127.0.0.1:7400, [::1]:7401')).toEqual(['127.0.0.1:7400', '[::1]:7401'])
    expect(endpointsOf(['db-1.local:7400'])).toEqual(['db-1.local:7400'])
  })

  it.each(['', 'localhost', '7400', 'a:0', 'a:65536', 'http://a:7400', 'a:b'])('%j is refused by name', (endpoint) => {
    expect(() => endpointsOf(endpoint)).toThrow(/is no address; expected host:port/)
    expect(() => endpointsOf([])).toThrow(/at least one/)
  })
})
