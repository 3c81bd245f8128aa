import { describe, expect, it } from 'vitest'
import { SILENCE_MS_MAX } from '../../src/client/link.js'
import { type Arrival, FakeCluster, outcomeOf, raw, route, settled } from './fake-cluster.js'

const whole = { range: 2 }

/** Every write that arrived at any node, in order, and is not answered yet. */
function writesAt(cluster: FakeCluster): Arrival[] {
  return cluster.nodes.flatMap((node) => node.arrived.filter(({ request }) => request.kind === 'write'))
}

function originOf(arrival: Arrival): unknown {
  return arrival.request.kind === 'write' ? arrival.request.origin : null
}

describe('retries', () => {
  it('keep session, sequence and first-sent version, whatever was seen meanwhile', async () => {
    const cluster = new FakeCluster()
    const written = cluster.write()
    cluster.turn()
    const first = cluster.node(1).takeOne('write')
    first.refuse('NOT_LEADER', { routes: [route(whole, 2)], version: 5_000_000 })
    cluster.turn()
    const second = cluster.node(2).takeOne('write')
    expect(second.request.origin).toEqual(first.request.origin)
    expect(second.request.seen).toBe(5_000_000)
    second.written(5_000_001)
    await settled()
    expect(written.value).toEqual({ version: 5_000_001, deleted: [] })
  })

  it('a lost connection: the write goes elsewhere under the same request id', async () => {
    const cluster = new FakeCluster()
    const written = cluster.write()
    cluster.turn()
    const first = cluster.node(1).takeOne('write')
    cluster.node(1).mode = 'refuse'
    cluster.node(1).drop()
    cluster.turn()
    const [second] = writesAt(cluster)
    expect(second!.node.info.node).not.toBe(1)
    expect(originOf(second!)).toEqual(first.request.origin)
    second!.refuse('NOT_LEADER', { routes: [route(whole, 1)] })
    cluster.node(second!.node.info.node).arrived = []
    for (let step = 0; step < 20 && writesAt(cluster).length === 0; step++) cluster.clock.advance(10)
    writesAt(cluster)[0]!.written(2_000_000)
    await settled()
    expect(written.value?.version).toBe(2_000_000)
  })

  it('a node that falls silent is asked no more, and the others get what it owes', async () => {
    const cluster = new FakeCluster()
    const written = cluster.write()
    cluster.turn()
    const owed = cluster.node(1).takeOne('write')
    cluster.clock.advance(SILENCE_MS_MAX - 10)
    expect(writesAt(cluster)).toEqual([])
    cluster.clock.advance(20)
    const [hedge] = writesAt(cluster)
    expect(originOf(hedge!)).toEqual(owed.request.origin)
    cluster.write(raw('b'))
    cluster.turn()
    expect(cluster.node(1).arrived).toEqual([])
    owed.written(2_000_000)
    await settled()
    expect(written.value?.version).toBe(2_000_000)
  })

  it('an answer on its way from a node that fell silent counts, and brings it back', async () => {
    const cluster = new FakeCluster()
    cluster.write()
    cluster.turn()
    const owed = cluster.node(1).takeOne('write')
    cluster.clock.advance(SILENCE_MS_MAX + 20)
    owed.written(2_000_000)
    cluster.write(raw('b'))
    cluster.turn()
    cluster.node(1).takeOne('write')
  })

  it('a node that fell silent over one slow answer is asked again as soon as it shows that it lives', () => {
    const cluster = new FakeCluster()
    cluster.write()
    cluster.turn()
    cluster.node(1).takeOne('write')
    cluster.clock.advance(SILENCE_MS_MAX + 20)
    expect(writesAt(cluster)).toHaveLength(1)
    cluster.node(1).alive()
    cluster.write(raw('b'))
    cluster.turn()
    const again = cluster.node(1).takeOne('write')
    // It answers nothing again: as before.
    cluster.clock.advance(SILENCE_MS_MAX + 20)
    expect(writesAt(cluster).map(originOf)).toContainEqual(originOf(again))
  })

  it('a node that was slow to connect is noticed when it falls silent as any other', () => {
    const cluster = new FakeCluster({ endpoints: ['node-1:7400'] })
    cluster.node(1).mode = 'hang'
    cluster.write()
    cluster.clock.advance(SILENCE_MS_MAX + 100)
    cluster.node(1).open()
    cluster.clock.advance(150)
    cluster.node(1).takeOne('write')
    cluster.clock.advance(SILENCE_MS_MAX + 20)
    expect(writesAt(cluster)).toHaveLength(1)
  })

  it('a node that answers others is not silent', () => {
    const cluster = new FakeCluster()
    cluster.write()
    cluster.turn()
    cluster.node(1).takeOne('write')
    for (let step = 0; step < 10; step++) {
      cluster.write(raw(`b${step}`))
      cluster.turn()
      cluster.node(1).takeOne('write').written(2_000_000)
      cluster.clock.advance(100)
    }
    expect(writesAt(cluster)).toEqual([])
  })

  it('what is owed for two seconds goes elsewhere, though its node answers others', () => {
    const cluster = new FakeCluster()
    cluster.write()
    cluster.turn()
    cluster.node(1).takeOne('write')
    for (let step = 0; step < 25 && writesAt(cluster).length === 0; step++) {
      cluster.write(raw(`b${step}`))
      cluster.turn()
      cluster.node(1).takeOne('write').written(2_000_000)
      cluster.clock.advance(100)
    }
    expect(writesAt(cluster)).toHaveLength(1)
    expect(writesAt(cluster)[0]!.node.info.node).not.toBe(1)
  })

  it('the only node is not asked twice on one connection while it owes the answer', () => {
    const cluster = new FakeCluster({ nodes: 1, routes: [route({ range: 2, nodes: [1] }, 1)] })
    cluster.write()
    cluster.clock.advance(4_500)
    cluster.node(1).takeOne('write')
  })

  it('the only node is asked again when its connection is back', async () => {
    const cluster = new FakeCluster({ nodes: 1, routes: [route({ range: 2, nodes: [1] }, 1)] })
    const written = cluster.write()
    cluster.turn()
    cluster.node(1).takeOne('write')
    cluster.node(1).drop()
    cluster.clock.advance(500)
    cluster.node(1).takeOne('write').written(2_000_000)
    await settled()
    expect(written.value).toBeDefined()
  })

  it('OVERLOADED is retried no sooner than the node asked for', () => {
    const cluster = new FakeCluster()
    cluster.write()
    cluster.turn()
    cluster.node(1).takeOne('write').refuse('OVERLOADED', { retryAfterMs: 300 })
    cluster.clock.advance(295)
    expect(writesAt(cluster)).toEqual([])
    cluster.clock.advance(15)
    expect(writesAt(cluster)).toHaveLength(1)
  })

  it('a failover is followed within a pause: dead leader, election, new leader', async () => {
    const cluster = new FakeCluster()
    const written = cluster.write()
    cluster.turn()
    cluster.node(1).takeOne('write')
    cluster.node(1).mode = 'refuse'
    cluster.node(1).drop()
    const electedAtMs = cluster.clock.nowMs + 800
    while (written.value === undefined && cluster.clock.nowMs < electedAtMs + 300) {
      cluster.clock.advance(5)
      for (const arrival of writesAt(cluster)) {
        const { node } = arrival
        node.arrived = []
        if (cluster.clock.nowMs < electedAtMs) arrival.refuse('NOT_LEADER', { routes: [route(whole, 1)] })
        else if (node.info.node === 3) arrival.written(2_000_000)
        else arrival.refuse('NOT_LEADER', { routes: [route(whole, 3)] })
      }
      await settled()
    }
    expect(written.value).toBeDefined()
    expect(cluster.clock.nowMs - electedAtMs).toBeLessThan(120)
  })

  it('names as lowest the lowest sequence that somebody still waits for', async () => {
    const cluster = new FakeCluster()
    for (const key of ['a', 'b', 'c']) cluster.write(raw(key))
    cluster.turn()
    const [a, b, c] = cluster.node(1).arrived.splice(0)
    expect([a, b, c].map((arrival) => originOf(arrival!))).toMatchObject([
      { sequence: 1, lowest: 1 },
      { sequence: 2 },
      { sequence: 3 },
    ])
    b!.written(2_000_000)
    cluster.write(raw('d'))
    cluster.turn()
    expect(cluster.node(1).takeOne('write').request.origin).toMatchObject({
      sequence: 4,
      lowest: 1,
      firstSent: 2_000_000,
    })
    a!.written(2_000_001)
    cluster.write(raw('e'))
    cluster.turn()
    expect(cluster.node(1).takeOne('write').request.origin).toMatchObject({
      sequence: 5,
      lowest: 3,
      firstSent: 2_000_001,
    })
  })

  it('an outcome given up is waited for no more', async () => {
    const cluster = new FakeCluster()
    const given = cluster.write(raw('a'), { deadlineMs: 100 })
    cluster.clock.advance(150)
    await settled()
    expect(given.error).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    cluster.node(1).arrived = []
    cluster.write(raw('b'))
    cluster.turn()
    expect(cluster.node(1).takeOne('write').request.origin).toMatchObject({ sequence: 2, lowest: 2 })
  })
})

describe('an expired session', () => {
  it('stamps anew, under a new sequence and a fresh version, if no send can have been executed', async () => {
    const cluster = new FakeCluster()
    const written = cluster.write()
    cluster.turn()
    cluster.node(1).takeOne('write').refuse('SESSION_EXPIRED', { version: 9_000_000 })
    cluster.turn()
    const second = cluster.node(1).takeOne('write')
    expect(second.request.origin).toMatchObject({ sequence: 2, lowest: 2, firstSent: 9_000_000 })
    second.written(9_000_001)
    await settled()
    expect(written.value?.version).toBe(9_000_001)
  })

  it('ends as unknown if an earlier send was not answered', async () => {
    const cluster = new FakeCluster()
    const written = cluster.write()
    cluster.turn()
    cluster.node(1).takeOne('write')
    cluster.node(1).mode = 'refuse'
    cluster.node(1).drop()
    cluster.turn()
    writesAt(cluster)[0]!.refuse('SESSION_EXPIRED', { version: 9_000_000 })
    await settled()
    expect(written.error).toMatchObject({ code: 'OUTCOME_UNKNOWN', mayHaveBeenApplied: true })
  })
})

describe('connections', () => {
  it('hello is awaited from any endpoint', async () => {
    const cluster = new FakeCluster()
    cluster.node(1).mode = 'refuse'
    cluster.node(2).mode = 'hang'
    const ready = outcomeOf(cluster.core.ready())
    cluster.turn()
    await settled()
    expect(ready.value).toMatchObject({ node: 3 })
  })

  it('UNAVAILABLE names every endpoint and why it failed', async () => {
    const cluster = new FakeCluster({ endpoints: ['node-1:7400', 'node-2:7400', 'nowhere:1'] })
    cluster.node(1).mode = 'refuse'
    cluster.node(2).mode = 'hang'
    const ready = outcomeOf(cluster.core.ready({ deadlineMs: 300 }))
    cluster.clock.advance(400)
    await settled()
    expect(ready.error).toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(
        /node-1:7400 \(connection refused\), node-2:7400 \(no answer yet\), nowhere:1 \(no such host\)/,
      ),
    })
  })

  it('a node that starts later is found', async () => {
    const cluster = new FakeCluster({ nodes: 1 })
    cluster.node(1).mode = 'refuse'
    const ready = outcomeOf(cluster.core.ready())
    cluster.clock.advance(2_000)
    cluster.node(1).mode = 'serve'
    cluster.clock.advance(1_500)
    await settled()
    expect(ready.value).toMatchObject({ node: 1 })
  })

  it('a node of another cluster is refused by name and gets no request', async () => {
    const cluster = new FakeCluster({ nodes: 2, routes: [route({ range: 2, nodes: [1, 2] }, 2)] })
    const other = 'ffffffffffffffffffffffffffffffff' as never
    cluster.node(2).hello = { ...cluster.node(2).hello, cluster: other }
    cluster.node(2).mode = 'hang'
    const ready = outcomeOf(cluster.core.ready())
    cluster.turn()
    await settled()
    expect(ready.value).toMatchObject({ node: 1 })
    cluster.node(2).drop()
    cluster.node(2).mode = 'serve'
    const written = cluster.write(raw('a'), { deadlineMs: 1_000 })
    cluster.answerAll((arrival) => arrival.refuse('NOT_LEADER', { routes: [route(whole, 2)] }))
    cluster.clock.advance(1_100)
    await settled()
    expect(cluster.node(2).messages).toEqual([])
    expect(written.error).toMatchObject({ message: expect.stringMatching(/belongs to cluster ffff/) })
  })

  it('a connection is not dialled again and again while its node refuses', () => {
    const cluster = new FakeCluster({ nodes: 1 })
    cluster.node(1).mode = 'refuse'
    void outcomeOf(cluster.core.ready({ deadlineMs: 10_000 }))
    cluster.clock.advance(10_000)
    expect(cluster.dialled.length).toBeGreaterThan(5)
    expect(cluster.dialled.length).toBeLessThan(25)
  })
})
