import { describe, expect, it } from 'vitest'
import type { Key, RangeId, Version } from '../../src/base/ids.js'
import { keyBelow, RouteCache } from '../../src/client/route-cache.js'
import { asNode, FakeCluster, FIRST_VERSION, outcomeOf, raw, route, settled } from './fake-cluster.js'

const whole = { range: 2, generation: 1 }
const left = { range: 2, generation: 2, end: raw('m') }
const right = { range: 3, generation: 2, start: raw('m') }

describe('the routing cache', () => {
  it('a newer generation replaces all that it overlaps; an older one changes nothing', () => {
    const cache = new RouteCache()
    cache.learn([route(whole, 1)], null)
    cache.learn([route(left, 1), route(right, 2)], null)
    cache.learn([route(whole, 3)], null)
    expect(cache.find(raw('a'))).toMatchObject({ descriptor: { generation: 2, range: 2 }, leader: 1 })
    expect(cache.find(raw('z'))).toMatchObject({ descriptor: { generation: 2, range: 3 }, leader: 2 })
  })

  it('what is replaced in part leaves a gap, not a wrong route', () => {
    const cache = new RouteCache()
    cache.learn([route(whole, 1)], null)
    cache.learn([route(right, 2)], null)
    expect(cache.find(raw('a'))).toBeNull()
  })

  it('an old route fills the gap that a newer one left, and nothing else', () => {
    const cache = new RouteCache()
    cache.learn([route(right, 2), route(whole, 1)], null)
    expect(cache.find(raw('a'))).toMatchObject({ descriptor: whole, span: { end: raw('m') } })
    expect(cache.find(raw('z'))).toMatchObject({ descriptor: { range: 3 } })
    cache.forget(cache.find(raw('z'))!)
    cache.learn([route(whole, 1)], null)
    expect(cache.find(raw('z'))).toMatchObject({ descriptor: whole, span: { start: raw('m') } })
  })

  it('a node that knows nobody else ends its own lead, never another one', () => {
    const cache = new RouteCache()
    cache.learn([route(whole, 1)], null)
    cache.learn([route(whole, null)], asNode(2))
    expect(cache.find(raw('a'))!.leader).toBe(1)
    cache.learn([route(whole, null)], asNode(1))
    expect(cache.find(raw('a'))!.leader).toBeNull()
  })

  it('finds the route that holds the keys below an end', () => {
    const cache = new RouteCache()
    cache.learn([route(left, 1), route(right, 2)], null)
    expect(cache.findBelow(null)!.descriptor.range).toBe(3)
    expect(cache.findBelow(raw('m'))!.descriptor.range).toBe(2)
    expect(cache.findBelow(raw('ma'))!.descriptor.range).toBe(3)
    cache.forget(cache.find(raw('z'))!)
    expect(cache.findBelow(null)).toBeNull()
    expect(cache.findBelow(raw('ma'))).toBeNull()
    expect(cache.findBelow(raw('b'))!.descriptor.range).toBe(2)
  })

  it('keyBelow is below, and exact before a zero byte', () => {
    expect(keyBelow(raw('b')) < raw('b')).toBe(true)
    expect(keyBelow(raw('b')) > raw('azzzzzz')).toBe(true)
    expect(keyBelow(raw('b\0'))).toBe(raw('b'))
    expect(keyBelow(null) > raw('\xff')).toBe(true)
  })
})

describe('routing', () => {
  it('asks for routes once, then knows', async () => {
    const cluster = new FakeCluster({ routes: [route(left, 1), route(right, 2)] })
    const first = cluster.write(raw('a'))
    const second = cluster.write(raw('z'))
    cluster.turn()
    cluster.node(1).takeOne('write').written(2_000_000)
    cluster.node(2).takeOne('write').written(2_000_001)
    await settled()
    expect([first.value?.version, second.value?.version]).toEqual([2_000_000, 2_000_001])
    const questions = cluster.nodes.flatMap((node) => node.messages.flat()).filter(({ kind }) => kind === 'routes')
    expect(questions).toHaveLength(1)
  })

  it('a wrong leader costs one more round trip and no pause, and is remembered', async () => {
    const cluster = new FakeCluster()
    const { nowMs } = cluster.clock
    const first = cluster.write()
    cluster.turn()
    cluster
      .node(1)
      .takeOne('write')
      .refuse('NOT_LEADER', { routes: [route(whole, 3)] })
    cluster.turn()
    cluster.node(3).takeOne('write').written(2_000_000)
    await settled()
    expect(first.value).toBeDefined()
    expect(cluster.clock.nowMs).toBe(nowMs)
    cluster.write()
    cluster.turn()
    expect(cluster.node(3).takeOne('write').request.range).toBe(2)
  })

  it('a read that any replica answers spreads over them by range, and teaches nothing of leaders', async () => {
    const ranges = ['a', 'b', 'c', 'd'].map((start, at) =>
      route({ range: at + 2, generation: 1, start: raw(start), end: raw(`${start}z`) }, 1),
    )
    const cluster = new FakeCluster({ routes: ranges })
    const reads = ['a', 'b', 'c'].map((name) => cluster.core.get([raw(name)], { weak: { kind: 'follower' } }))
    cluster.turn()
    const asked = cluster.nodes.map((node) => node.arrived)
    expect(asked.map((arrived) => arrived.length)).toEqual([1, 1, 1])
    for (const [arrival] of asked) {
      expect(arrival!.request).toMatchObject({ kind: 'get', weak: { kind: 'follower' } })
      arrival!.reply({ kind: 'rows', id: arrival!.request.id, version: FIRST_VERSION, rows: [null] })
    }
    await Promise.all(reads)
    for (const node of cluster.nodes) node.arrived = []
    for (const name of ['a', 'b', 'c']) cluster.write(raw(name))
    cluster.turn()
    expect(cluster.nodes.map((node) => node.arrived.length)).toEqual([3, 0, 0])
  })

  it('a replica that can not answer a weak read sends it to another one', async () => {
    const cluster = new FakeCluster()
    const read = cluster.core.get([raw('a')], { weak: { kind: 'stale', maxStaleMs: 100 } })
    cluster.turn()
    const first = cluster.nodes.find((node) => node.arrived.length > 0)!
    first.takeOne('get').refuse('UNAVAILABLE')
    cluster.clock.advance(200)
    cluster.turn()
    const second = cluster.nodes.find((node) => node.arrived.length > 0)!
    expect(second).not.toBe(first)
    const arrival = second.takeOne('get')
    arrival.reply({ kind: 'rows', id: arrival.request.id, version: FIRST_VERSION, rows: [null] })
    expect(await read).toEqual([null])
  })

  it('a moved range costs one more round trip: the answer brings the new one', async () => {
    const cluster = new FakeCluster()
    const written = cluster.write(raw('z'))
    cluster.turn()
    cluster
      .node(1)
      .takeOne('write')
      .refuse('RANGE_MOVED', { routes: [route(left, 1), route(right, 2)] })
    cluster.turn()
    const arrival = cluster.node(2).takeOne('write')
    expect(arrival.request).toMatchObject({ range: 3, generation: 2 })
    arrival.written(2_000_000)
    await settled()
    expect(written.value).toBeDefined()
  })

  it('a leader that tells of its own split is asked again at once', () => {
    const cluster = new FakeCluster()
    cluster.write(raw('z'))
    cluster.turn()
    cluster
      .node(1)
      .takeOne('write')
      .refuse('RANGE_MOVED', { routes: [route(left, 1), route(right, 1)] })
    cluster.turn()
    expect(cluster.node(1).takeOne('write').request).toMatchObject({ range: 3, generation: 2 })
  })

  it('a node that lags behind what the client knows makes it forget nothing', () => {
    const cluster = new FakeCluster({ routes: [route(left, 2), route(right, 2)] })
    cluster.write(raw('z'))
    cluster.turn()
    cluster
      .node(2)
      .takeOne('write')
      .refuse('NOT_LEADER', { routes: [route(right, 3)] })
    cluster.routes = [route(whole, 1)]
    cluster.turn()
    cluster
      .node(3)
      .takeOne('write')
      .refuse('RANGE_MOVED', { routes: [route(whole, 1)] })
    cluster.clock.advance(30)
    const [next] = cluster.nodes.flatMap((node) => node.arrived)
    expect(next!.request).toMatchObject({ range: 3, generation: 2 })
  })

  it('a moved range without a better route is asked for anew', () => {
    const cluster = new FakeCluster()
    cluster.write(raw('z'))
    cluster.turn()
    cluster.routes = [route(left, 1), route(right, 2)]
    cluster.node(1).takeOne('write').refuse('RANGE_MOVED')
    cluster.turn()
    expect(cluster.node(2).takeOne('write').request.range).toBe(3)
  })

  it.each([
    ['lags behind', route(whole, 1), null],
    ['knows what took its place', route({ range: 9, generation: 3 }, 1), 'there is no range 3'],
  ])('a hand-over whose route was forgotten, and the next node that is asked for one %s', async (_, told, refusal) => {
    const cluster = new FakeCluster({ routes: [route(left, 2), route(right, 2)] })
    const ended = cluster.core.transfer({ range: 3 as RangeId, to: asNode(1) }).catch((error: Error) => error.message)
    const turnOn = async (): Promise<void> => {
      for (let turn = 0; turn < 5; turn++) {
        cluster.turn()
        await settled()
      }
    }
    await turnOn()
    cluster.routes = [told]
    cluster.node(2).takeOne('transfer').refuse('RANGE_MOVED')
    await turnOn()
    if (refusal === null) {
      const [again] = cluster.nodes.flatMap((node) => node.arrived)
      expect(again!.request).toMatchObject({ kind: 'transfer', range: 3, to: 1 })
      again!.reply({ id: again!.request.id, version: 0 as Version, kind: 'transferred' })
    }
    expect(await ended).toBe(refusal ?? undefined)
  })

  it('a hand-over that may still come to pass is not asked for again', async () => {
    const cluster = new FakeCluster({ routes: [route(whole, 2)] })
    const ended = outcomeOf(cluster.core.transfer({ range: 2 as RangeId, to: asNode(1) }))
    for (let turn = 0; turn < 5; turn++) {
      cluster.turn()
      await settled()
    }
    cluster.node(2).takeOne('transfer').refuse('OUTCOME_UNKNOWN')
    await settled()
    expect(ended.error).toMatchObject({ code: 'OUTCOME_UNKNOWN', mayHaveBeenApplied: true })
    cluster.clock.advance(1_000)
    expect(cluster.nodes.flatMap((node) => node.arrived)).toEqual([])
  })

  it('without a known leader the replicas are tried in turn, and who answers is remembered', async () => {
    const cluster = new FakeCluster({ routes: [route(whole, null)] })
    cluster.write()
    cluster.turn()
    const tried: number[] = []
    for (let round = 0; round < 20 && tried.at(-1) !== 3; round++) {
      const node = cluster.nodes.find(({ arrived }) => arrived.length > 0)
      if (node !== undefined) {
        tried.push(node.info.node)
        if (node.info.node !== 3) node.takeOne('write').refuse('NOT_LEADER', { routes: [route(whole, null)] })
      }
      cluster.clock.advance(50)
    }
    expect(new Set(tried).size).toBe(3)
    cluster.node(3).takeOne('write').written(2_000_000)
    cluster.write()
    cluster.turn()
    cluster.node(3).takeOne('write')
  })

  it.each([1, 2, 3])('who refused is not asked next: node %d', (leader) => {
    const cluster = new FakeCluster({ routes: [route(whole, leader)] })
    cluster.write()
    cluster.turn()
    cluster
      .node(leader)
      .takeOne('write')
      .refuse('NOT_LEADER', { routes: [route(whole, null)] })
    cluster.clock.advance(50)
    const next = cluster.nodes.filter((node) => node.arrived.length > 0)
    expect(next).toHaveLength(1)
    expect(next[0]!.info.node).not.toBe(leader)
  })

  it('two nodes that name each other cause pauses that grow, not a storm', () => {
    const cluster = new FakeCluster()
    cluster.write()
    for (let step = 0; step < 1_000; step++) {
      cluster.clock.advance(1)
      for (const node of cluster.nodes.slice(0, 2)) {
        const other = node.info.node === 1 ? 2 : 1
        for (const arrival of node.arrived.splice(0)) arrival.refuse('NOT_LEADER', { routes: [route(whole, other)] })
      }
    }
    const sends = cluster.nodes.flatMap((node) => node.messages.flat()).filter(({ kind }) => kind === 'write')
    expect(sends.length).toBeGreaterThan(10)
    expect(sends.length).toBeLessThan(60)
  })

  it('a node that knows no range for the key is not asked twice in a row', () => {
    const cluster = new FakeCluster()
    const asked: number[] = []
    for (const node of cluster.nodes) {
      node.answer = (arrival) => {
        if (arrival.request.kind !== 'routes') return false
        asked.push(node.info.node)
        arrival.reply({ id: arrival.request.id, version: 0 as never, kind: 'routes', routes: [], nodes: [] })
        return true
      }
    }
    void outcomeOf(cluster.core.ready())
    cluster.clock.advance(10)
    cluster.write()
    cluster.clock.advance(300)
    expect(new Set(asked).size).toBe(3)
    expect(asked.length).toBeLessThan(10)
  })

  it('a batch over several ranges is refused before it is sent, naming two keys', async () => {
    const cluster = new FakeCluster({ routes: [route(left, 1), route(right, 2)] })
    const put = (key: Key) => ({ kind: 'put', key, codec: 'bytes', value: Uint8Array.of(1) }) as const
    cluster.write(raw('a'))
    cluster.turn()
    cluster.node(1).takeOne('write').written(2_000_000)
    const batch = outcomeOf(
      cluster.core.write({ conditions: [], writes: [put(raw('a')), put(raw('z'))], wantValue: false }),
    )
    cluster.turn()
    await settled()
    expect(batch.error).toMatchObject({ code: 'CROSSES_RANGES', message: expect.stringMatching(/"a" and "z"/) })
    expect(cluster.nodes.flatMap(({ arrived }) => arrived)).toEqual([])
  })

  it('a node that moved to another address is found through the others', async () => {
    const cluster = new FakeCluster({ nodes: 2, endpoints: ['node-2:7400'], routes: [route(whole, 1)] })
    const oldInfo = { ...cluster.node(1).info, clientAddress: 'gone:7400' }
    cluster.node(2).hello = { ...cluster.node(2).hello, nodes: [oldInfo] }
    const stale = cluster.routes
    cluster.routes = null
    const written = cluster.write()
    cluster.turn()
    const asked = cluster.node(2).takeOne('routes')
    asked.reply({ id: asked.request.id, version: 0 as never, kind: 'routes', routes: stale!, nodes: [oldInfo] })
    cluster.routes = stale
    for (let step = 0; step < 100 && cluster.node(1).arrived.length === 0; step++) {
      cluster.clock.advance(20)
      for (const arrival of cluster.node(2).arrived.splice(0))
        arrival.refuse('NOT_LEADER', { routes: [route(whole, 1)] })
    }
    cluster.node(1).takeOne('write').written(2_000_000)
    await settled()
    expect(written.value).toBeDefined()
  })
})
