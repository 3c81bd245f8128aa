import { afterEach, describe, expect, test } from 'vitest'
import { ProcessCluster } from '../../jepsen-like-tests/processes.js'
import { type Holdfast, HoldfastError } from '../../src/client/index.js'
import { Happenings } from '../happenings.js'
import { Bench, serving } from './support.js'

const bench = new Bench()
afterEach(() => bench.clear())

/** Writes keys one after the other with so many callers, until told to stop; remembers what was acknowledged. */
class Writer {
  readonly acknowledged = new Map<string, number>()
  /** What ended without a definite answer: each may be there or not. */
  readonly unknown = new Set<string>()
  readonly #db: Holdfast
  readonly #callers: Promise<void>[]
  readonly #acknowledgements = new Happenings()
  #next = 0
  #stopped = false

  constructor(db: Holdfast, callers: number) {
    this.#db = db
    this.#callers = Array.from({ length: callers }, () => this.#run())
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const value = this.#next++
      const key = `key-${value}`
      try {
        await this.#db.put(key, value)
        this.acknowledged.set(key, value)
        this.#acknowledgements.happened()
      } catch (error) {
        if (!(error instanceof HoldfastError)) throw error
        if (error.mayHaveBeenApplied) this.unknown.add(key)
      }
    }
  }

  async reach(count: number): Promise<void> {
    await this.#acknowledgements.until(() => this.acknowledged.size >= count)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#callers)
  }
}

/** Everything acknowledged is there with its value, and nothing that nobody wrote. */
async function check(db: Holdfast, writer: Writer): Promise<void> {
  const found = new Map<string, unknown>()
  for await (const { key, value } of db.scan({ prefix: 'key-' })) found.set(key as string, value)
  const lost = [...writer.acknowledged].filter(([key, value]) => found.get(key) !== value)
  expect(lost).toEqual([])
  const odd = [...found.keys()].filter((key) => !writer.acknowledged.has(key) && !writer.unknown.has(key))
  expect(odd).toEqual([])
}

describe('nothing acknowledged is lost', () => {
  test('when one node after the other is restarted under load, then all of them at once', async () => {
    const nodes = await bench.cluster(3, ['key-5'])
    const db = await bench.connect(nodes)
    const writer = new Writer(db, 16)
    for (const node of nodes) {
      const before = writer.acknowledged.size
      await node.stop()
      await writer.reach(before + 50)
      await node.start()
      await serving(db, { nodes: 3, ranges: 3 })
    }
    await writer.stop()
    expect(writer.unknown.size).toBe(0)
    await Promise.all(nodes.map((node) => node.stop()))
    await Promise.all(nodes.map((node) => node.start()))
    const { ranges } = await serving(db, { nodes: 3, ranges: 3 })
    expect(ranges.map(({ id }) => id)).toEqual([1, 2, 3])
    await check(db, writer)
    await db.put('after', true)
  })

  test('when a single node is restarted', async () => {
    const [node] = await bench.cluster(1)
    const db = await bench.connect([node!])
    await db.put('a', { deep: [1, 'two'] })
    await db.put(['t', 1], 'tuple')
    await db.split('m')
    await node!.stop()
    await node!.start()
    expect(await db.get('a')).toEqual({ deep: [1, 'two'] })
    expect(await db.get(['t', 1])).toBe('tuple')
    expect((await serving(db, { nodes: 1, ranges: 3 })).ranges[2]?.start).toBe('m')
  })

  test('when three processes are killed with kill -9 at once while 32 callers write', async () => {
    const cluster = await ProcessCluster.start({ splitAt: ['key-5'] })
    bench.atEnd(() => cluster.stop())
    const db = await cluster.connect()
    bench.atEnd(() => db.close())
    const writer = new Writer(db, 32)
    await writer.reach(500)
    await Promise.all(cluster.nodes.map((node) => node.end('SIGKILL')))
    for (const node of cluster.nodes) node.start()
    await writer.reach(writer.acknowledged.size + 300)
    await writer.stop()
    await check(db, writer)
  })
})
