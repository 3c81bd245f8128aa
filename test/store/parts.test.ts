import { describe, expect, it } from 'vitest'
import type { Descriptor, NodeInfo } from '../../src/base/descriptor.js'
import type { Generation, NodeId, RangeId, ReplicaId } from '../../src/base/ids.js'
import { limits } from '../../src/base/limits.js'
import { descriptorKey, encodeMeta, nodeKey } from '../../src/kv/meta.js'
import { IdPool } from '../../src/store/id-pool.js'
import type { JoinResult } from '../../src/store/meta-duties.js'
import { MetaIndex } from '../../src/store/meta-index.js'
import { failure } from '../../src/store/replies.js'
import { Ticker } from '../../src/store/ticker.js'
import { SimProcess } from '../../src/testing/process.js'
import { SeededRandom } from '../../src/testing/random.js'
import { Scheduler } from '../../src/testing/scheduler.js'
import { Bench } from './bench.js'
import { Followers } from './followers.js'
import { Client, DATA, k } from './requests.js'

function process() {
  const scheduler = new Scheduler()
  const fail = (what: unknown) => {
    throw what
  }
  return { scheduler, process: new SimProcess({ scheduler, settles: false, onFatal: fail, onBug: fail }) }
}

describe('ticks', () => {
  it('come at most one per turn, however late the turn is', async () => {
    const { scheduler, process: own } = process()
    const ticker = new Ticker(own.clock, { isIdle: () => false, wake: () => {} })
    ticker.start()
    await scheduler.runUntil(limits.tickMs * 4 + 1)
    expect([ticker.take(), ticker.take()]).toEqual([true, false])
    await scheduler.runUntil(limits.tickMs * 5 + 1)
    expect([ticker.take(), ticker.take()]).toEqual([true, false])
  })

  it('are held back for one heartbeat interval after a stall, and not again until an election timeout has passed', async () => {
    const { scheduler, process: own } = process()
    const ticker: Ticker = new Ticker(own.clock, { isIdle: () => false, wake: () => ticker.take() })
    ticker.start()
    const stall = async () => {
      own.pause()
      await scheduler.runUntil(scheduler.nowMs + 500)
      own.resume()
    }
    /** Ticks that come in the time of `count`. */
    const run = async (count: number) => {
      const before = ticker.now
      await scheduler.runUntil(scheduler.nowMs + count * limits.tickMs + 1)
      return ticker.now - before
    }
    expect(await run(10)).toBe(10)
    await stall()
    expect(await run(limits.heartbeatTicks - 1)).toBe(0)
    expect(await run(10)).toBe(10)
    await stall()
    expect(await run(10)).toBe(10)
    expect(await run(limits.electionTicksMax)).toBe(limits.electionTicksMax)
    await stall()
    expect(await run(limits.heartbeatTicks - 1)).toBe(0)
  })

  it('are counted without a turn while nobody acts', async () => {
    const { scheduler, process: own } = process()
    let turns = 0
    const ticker = new Ticker(own.clock, { isIdle: (tick) => tick < 10, wake: () => turns++ })
    ticker.start()
    await scheduler.runUntil(limits.tickMs * 9 + 1)
    expect({ ticks: ticker.now, turns }).toEqual({ ticks: 9, turns: 0 })
  })

  it('a tick that somebody waits for passes in a turn, behind the frames, and no other before it', async () => {
    const { scheduler, process: own } = process()
    let turns = 0
    const ticker = new Ticker(own.clock, { isIdle: (tick) => tick !== 3, wake: () => turns++ })
    ticker.start()
    await scheduler.runUntil(limits.tickMs * 8 + 1)
    expect(ticker.now).toBe(2)
    expect(turns).toBeGreaterThan(0)
    expect(ticker.take()).toBe(true)
    expect(ticker.now).toBe(3)
    await scheduler.runUntil(limits.tickMs * 10 + 1)
    expect(ticker.now).toBe(5)
  })

  it('end when it is stopped', async () => {
    const { scheduler, process: own } = process()
    const ticker = new Ticker(own.clock, { isIdle: () => false, wake: () => {} })
    ticker.start()
    ticker.stop()
    await scheduler.runUntil(limits.tickMs * 10)
    expect(ticker.take()).toBe(false)
  })
})

describe('the pool of range ids', () => {
  function pool() {
    const asked: number[] = []
    const ids = new IdPool(new SeededRandom('ids'), (request) => asked.push(request))
    const got: (number | string)[] = []
    const take = (expiresAt = 1_000) =>
      ids.take({ expiresAt, use: (id) => got.push(id), refuse: ({ code }) => got.push(code) })
    return { ids, asked, got, take }
  }

  it('asks once for all that wait, and gives each id once', () => {
    const { ids, asked, got, take } = pool()
    for (let i = 0; i < 3; i++) take()
    expect(asked).toHaveLength(1)
    ids.allocated(asked[0]!, 10)
    expect(got).toEqual([10, 11, 12])
    take()
    expect(got).toEqual([10, 11, 12, 13])
    take()
    expect(asked).toHaveLength(2)
  })

  it('takes an answer once, and none that it did not ask for', () => {
    const { ids, asked, got, take } = pool()
    for (let i = 0; i < 6; i++) take()
    ids.allocated(asked[0]!, 10)
    ids.allocated(asked[0]!, 10)
    ids.allocated(asked[0]! + 1_000, 90)
    expect(got).toEqual([10, 11, 12, 13])
  })

  it('asks again while nobody answers or nobody can, and takes a late answer too', () => {
    const { ids, asked, got, take } = pool()
    take()
    for (let tick = 0; tick < 25; tick++) ids.tick(0)
    expect(asked).toHaveLength(2)
    ids.allocated(asked[1]!, null)
    expect(got).toEqual([])
    ids.allocated(asked[0]!, 10)
    expect(got).toEqual([10])
    for (let tick = 0; tick < 100; tick++) ids.tick(0)
    expect(asked).toHaveLength(2)
  })

  it('of several nodes that were asked, the one that can counts, though another said first that it can not', () => {
    const { ids, asked, got, take } = pool()
    take()
    ids.allocated(asked[0]!, null)
    ids.allocated(asked[0]!, 10)
    expect(got).toEqual([10])
  })

  it('refuses who has waited past his deadline, and beyond its bound who comes', () => {
    const { ids, asked, got, take } = pool()
    take(50)
    for (let i = 0; i < 999; i++) expect(take(1_000)).toBe(true)
    expect(take()).toBe(false)
    ids.tick(50)
    expect(got).toEqual(['DEADLINE'])
    expect(take()).toBe(true)
    ids.refuseAll(failure('UNAVAILABLE', ''))
    expect(got).toHaveLength(1_001)
    expect(got.at(-1)).toBe('UNAVAILABLE')
    ids.allocated(asked[0]!, 10)
    expect(got).toHaveLength(1_001)
  })
})

function descriptor(range: number, parts: Partial<Descriptor> = {}): Descriptor {
  const replicas = [{ replica: 1 as ReplicaId, node: 1 as NodeId, role: 'voter' as const }]
  const span = { start: k('a'), end: k('m') }
  return {
    range: range as RangeId,
    span,
    generation: 1 as Generation,
    epoch: 0,
    replicas,
    nextReplica: 2 as ReplicaId,
    ...parts,
  }
}

const info = (node: number, pid = node): NodeInfo => ({
  node: node as NodeId,
  clientAddress: `node${node}:7400`,
  peerAddress: `node${node}:7500`,
  pid,
})

describe('the meta index', () => {
  const indexed = (index: MetaIndex, found: Descriptor) =>
    index.applied({ key: descriptorKey(found.span.end), value: encodeMeta(found) })

  it('has a descriptor and all older ones of its range', () => {
    const index = new MetaIndex()
    expect(index.isEmpty).toBe(true)
    indexed(index, descriptor(5, { generation: 3 as Generation, epoch: 2 }))
    expect(index.isEmpty).toBe(false)
    const has = (generation: number, epoch: number) =>
      index.has(descriptor(5, { generation: generation as Generation, epoch }))
    expect([has(3, 2), has(3, 1), has(2, 9)]).toEqual([true, true, true])
    expect([has(3, 3), has(4, 0)]).toEqual([false, false])
    expect(index.has(descriptor(6))).toBe(false)
  })

  it('knows who covers a key after a split was indexed, child or parent first', () => {
    const parent = descriptor(5)
    const left = descriptor(5, { span: { start: k('a'), end: k('g') }, generation: 2 as Generation })
    const right = descriptor(9, { span: { start: k('g'), end: k('m') }, generation: 2 as Generation })
    for (const order of [
      [parent, left, right],
      [parent, right, left],
    ]) {
      const index = new MetaIndex()
      for (const each of order) indexed(index, each)
      expect(index.from(k('b'), 10).map(({ range }) => range)).toEqual([5, 9])
      expect(index.from(k('h'), 1).map(({ range }) => range)).toEqual([9])
    }
  })

  it('keeps the newer descriptor of a range, though an older one is read behind it', () => {
    const index = new MetaIndex()
    const left = descriptor(5, { span: { start: k('a'), end: k('g') }, generation: 2 as Generation })
    for (const each of [left, descriptor(5)]) indexed(index, each)
    expect(index.has(left)).toBe(true)
  })

  it('tells of a node when its record comes, and has it with this address and process only', () => {
    const index = new MetaIndex()
    expect(index.applied({ key: nodeKey(7 as NodeId), value: encodeMeta(info(7)) })).toEqual(info(7))
    expect(indexed(index, descriptor(5))).toBeNull()
    expect([index.hasNode(info(7)), index.hasNode(info(7, 99)), index.hasNode(info(8))]).toEqual([true, false, false])
  })
})

describe('joining', () => {
  async function join(bench: Bench, token: string): Promise<JoinResult> {
    const results: JoinResult[] = []
    bench.store.join({ token, clientAddress: 'new:7400', peerAddress: 'new:7500', pid: 1 }, (result) =>
      results.push(result),
    )
    await bench.runWhile(() => results.length === 0)
    return results[0]!
  }

  it('the same token gets the same node id, also after a restart, another one another; none is one of birth', async () => {
    const bench = await Bench.open()
    await bench.leads(1)
    await bench.runFor(2_000)
    const first = await join(bench, 'token a')
    expect(first).toMatchObject({ kind: 'joined' })
    const second = await join(bench, 'token b')
    expect(await join(bench, 'token a')).toEqual(first)
    expect(second).not.toEqual(first)
    expect([first, second].map((result) => result.kind === 'joined' && result.node > 1)).toEqual([true, true])
    await bench.runFor(100)
    expect(bench.store.node(first.kind === 'joined' ? first.node : (0 as NodeId))?.peerAddress).toBe('new:7500')
    bench.crash()
    await bench.start()
    await bench.leads(1)
    expect(await join(bench, 'token a')).toEqual(first)
  })

  it('is sent on by a node that does not lead the meta range', async () => {
    const bench = await Bench.open({ nodes: 3 })
    expect(await join(bench, 'token')).toEqual({ kind: 'redirect', leader: null })
  })

  it('a node is where it says itself, not where an index has it that is older', async () => {
    const indexed: string[] = []
    const bench = await Bench.open({
      nodes: 3,
      onApplied: (_, { records }) => void indexed.push(...records.map(({ key }) => key)),
    })
    new Followers(bench)
    const moved = { ...info(2), peerAddress: 'elsewhere:7500' }
    bench.store.nodeSeen(moved)
    await bench.runWhile(() => !indexed.includes(nodeKey(2 as NodeId)))
    expect(bench.store.node(2 as NodeId)).toEqual(moved)
  })

  it('nodes of the index are known again after a restart, before anybody spoke', async () => {
    const bench = await Bench.open()
    await bench.leads(1)
    await bench.runFor(2_000)
    const joined = await join(bench, 'token')
    await bench.runFor(100)
    await bench.stop()
    await bench.start()
    expect(bench.store.node(joined.kind === 'joined' ? joined.node : (0 as NodeId))).toMatchObject({ pid: 1 })
  })
})

describe('routes', () => {
  it('a node says who leads what it has, and sends whoever asks for another range there', async () => {
    const bench = await Bench.open({ nodes: 3, splitAt: ['g', 'p'] })
    new Followers(bench)
    for (const range of [1, DATA, 3, 4]) await bench.leads(range)
    const client = new Client()
    const request = { kind: 'routes', id: 1, deadlineMs: 1_000, from: k('h'), limit: 10 } as const
    await bench.ask(client, request)
    const reply = client.reply(request)
    const routes = reply?.kind === 'routes' ? reply.routes : []
    expect(routes.map(({ descriptor: { range }, leader }) => [range, leader])).toEqual([
      [3, 1],
      [4, 1],
    ])
    expect(reply?.kind === 'routes' && reply.nodes.map(({ node }) => node)).toEqual([1, 2, 3])
    const one = { ...request, id: 2, from: k('a'), limit: 1 }
    await bench.ask(client, one)
    expect(client.reply(one)).toMatchObject({ routes: [{ descriptor: { range: DATA } }] })
  })
})
