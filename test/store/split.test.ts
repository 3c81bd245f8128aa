import { describe, expect, it } from 'vitest'
import { type Descriptor, isJoint } from '../../src/base/descriptor.js'
import { META_RANGE, type RangeId } from '../../src/base/ids.js'
import { DESCRIPTOR_SPAN, decodeDescriptor } from '../../src/kv/meta.js'
import type { Route } from '../../src/kv/requests.js'
import { SimCluster } from '../../src/testing/cluster.js'
import { Bench } from './bench.js'
import { append, Followers, heartbeat, vote } from './followers.js'
import { Client, DATA, get, k, put, putWrite, scan, split, write } from './requests.js'

async function leading(seed = 1) {
  const bench = await Bench.open({ nodes: 3, seed })
  new Followers(bench)
  await bench.leads(1)
  await bench.leads(DATA)
  await bench.runFor(1_000)
  return { bench, client: new Client() }
}

async function cut(bench: Bench, client: Client, at: string, generation = 1): Promise<RangeId> {
  const request = split(at, { generation })
  await bench.ask(client, request)
  const reply = client.reply(request)
  if (reply?.kind !== 'split') throw new Error(`the split was answered by ${client.said(request)}`)
  return reply.child
}

/** What the meta range has stored. */
async function descriptorsOf(cluster: SimCluster): Promise<Descriptor[]> {
  const client = new Client()
  const stored = { ...scan('', null, { range: META_RANGE }), start: DESCRIPTOR_SPAN.start, end: DESCRIPTOR_SPAN.end }
  cluster.node(cluster.leaderOf(META_RANGE)!).store!.submit([stored], client)
  await cluster.runWhile(() => client.reply(stored) === undefined, 1_000)
  const reply = client.reply(stored)
  return reply?.kind === 'page' ? reply.rows.map(({ value }) => decodeDescriptor(value)) : []
}

describe('a split', () => {
  it('the child campaigns where the parent is led: at once, without pre-vote, past leader stickiness', async () => {
    const { bench, client } = await leading()
    const before = bench.sent.length
    const child = await cut(bench, client, 'm')
    await bench.runWhile(() => bench.store.replica(child)?.leads !== true)
    const sent = bench.sent.slice(before).filter(({ message }) => 'range' in message && message.range === child)
    expect(sent.some(({ message }) => message.type === 'preVote')).toBe(false)
    expect(sent[0]?.message).toMatchObject({ type: 'vote', term: 1, transfer: true })
  })

  it('elsewhere it votes for the node that leads the parent, and for nobody else for one election timeout', async () => {
    // The entries come from a real leader's log.
    const { bench: leader, client } = await leading()
    await cut(leader, client, 'm')
    const { raft } = leader.replica(DATA)
    const entries = [...raft.committedEntries({ from: 1 as typeof raft.commit, bytesMax: 1e6 })]
    const child = [...leader.store.replicas].map(({ range }) => range).at(-1)!
    const { term } = raft

    const follower = await Bench.open({ nodes: 3, seed: 2 })
    follower.receive(2, append(2, term, entries, { commit: entries.length }))
    await follower.runWhile(() => follower.store.replica(child) === undefined)
    follower.receive(3, vote(3, 1, { range: child }))
    follower.receive(2, vote(2, 1, { range: child, transfer: true }))
    await follower.runFor(5)
    expect(follower.messagesTo(3, 'voteReply')).toMatchObject([{ range: child, granted: false }])
    expect(follower.messagesTo(2, 'voteReply')).toMatchObject([{ range: child, granted: true }])
  })

  it('beside a change of voters is refused as retryable, at the door and where it applies behind it, and done afterwards', async () => {
    const { bench, client } = await leading(4)
    const replica = bench.replica(DATA)
    const leaving = replica.descriptor.replicas.map((each) =>
      each.replica === 3 ? { ...each, role: 'outgoing' as const } : each,
    )
    // The first has to wait for a range id, so that the change gets into the log before it.
    const [overtaken, late] = [split('m'), split('n')]
    bench.submit(client, overtaken)
    await bench.runFor(0.05)
    expect(client.reply(overtaken)).toBeUndefined()
    expect(replica.proposeReplicas({ replicas: leaving, nextReplica: replica.descriptor.nextReplica })).toBe(true)
    expect(isJoint(replica.descriptor)).toBe(false)
    await bench.ask(client, late)
    expect(client.said(late)).toBe('UNAVAILABLE')
    await bench.runWhile(() => client.reply(overtaken) === undefined)
    expect(client.said(overtaken)).toBe('UNAVAILABLE')
    await bench.runWhile(() => replica.descriptor.replicas.length > 2)
    await cut(bench, client, 'm')
  })

  it('applied again after a crash, it keeps the term, vote and log that the child had', async () => {
    const { bench, client } = await leading(3)
    const child = await cut(bench, client, 'm')
    await bench.leads(child)
    const request = write([putWrite('q', '1')], { range: child, generation: 2 })
    await bench.ask(client, request)
    const { raft } = bench.replica(child)
    const before = { term: raft.term, lastIndex: raft.lastIndex, lastTimestamp: raft.lastTimestamp }
    await bench.runFor(5)
    bench.crash()
    await bench.start()
    await bench.runWhile(() => bench.store.replica(child) === undefined)
    const { raft: after } = bench.replica(child)
    expect({ term: after.term, lastIndex: after.lastIndex, lastTimestamp: after.lastTimestamp }).toEqual(before)
    // Its vote of that term went to itself.
    bench.receive(3, vote(3, before.term, { range: child, lastIndex: raft.lastIndex, lastTerm: raft.term }))
    await bench.runFor(1)
    expect(bench.messagesTo(3, 'voteReply').filter((reply) => 'granted' in reply && reply.granted)).toEqual([])
    await bench.leads(child)
    const read = get(['q'], { range: child, generation: 2 })
    await bench.ask(client, read)
    expect(client.values(read)).toEqual(['1'])
  })

  it('applied again after a restart, a child that heard a leader may have confirmed its lease: it votes for nobody for a while', async () => {
    const { bench: leader, client } = await leading()
    await cut(leader, client, 'm')
    const { raft } = leader.replica(DATA)
    const entries = [...raft.committedEntries({ from: 1 as typeof raft.commit, bytesMax: 1e6 })]
    const child = [...leader.store.replicas].map(({ range }) => range).at(-1)!

    const bench = await Bench.open({ nodes: 3, seed: 2 })
    bench.receive(2, append(2, raft.term, entries, { commit: entries.length }))
    await bench.runWhile(() => bench.store.replica(child) === undefined)
    bench.receive(3, heartbeat(3, 1, child))
    await bench.runFor(20)
    bench.crash()
    await bench.start()
    // The parent hears its leader before it applies the split again.
    bench.receive(2, heartbeat(2, raft.term))
    await bench.runWhile(() => bench.store.replica(child) === undefined)
    const before = bench.sent.length
    const replies = () => bench.sent.slice(before).filter(({ message }) => message.type === 'voteReply')
    bench.receive(2, vote(2, 2, { range: child }))
    await bench.runFor(400)
    expect(replies()).toEqual([])
    await bench.runFor(200)
    bench.receive(2, vote(2, 9, { range: child }))
    await bench.runFor(20)
    expect(replies()).toMatchObject([{ message: { granted: true } }])
  })

  it('a child has its checkpoint in the same batch as the parent that is past the split, never before', async () => {
    const { bench, client } = await leading()
    const child = await cut(bench, client, 'm')
    await bench.leads(child)
    await bench.stop()
    const last = bench.batches.findLast(({ items }) => items.some(({ kind }) => kind === 'checkpoint'))!
    const ranges = last.items.flatMap((item) => (item.kind === 'checkpoint' ? [item.range] : []))
    expect(ranges).toContain(DATA)
    expect(ranges).toContain(child)
    await bench.start()
    expect(bench.replica(child).descriptor.span).toEqual({ start: k('m'), end: null })
  })

  it('requests of the old generation get RANGE_MOVED with the routes of both halves', async () => {
    const { bench, client } = await leading()
    const child = await cut(bench, client, 'm')
    await bench.leads(child)
    const both = write([putWrite('a', '1'), putWrite('q', '1')])
    const requests = [both, get(['a', 'q']), put('a', '1'), scan('a', 'z')]
    await bench.ask(client, ...requests)
    expect(requests.map((request) => client.said(request))).toEqual(requests.map(() => 'RANGE_MOVED'))
    for (const request of [both, requests[1]!]) {
      const reply = client.reply(request)
      const routes: readonly Route[] = reply?.kind === 'error' ? reply.error.routes : []
      expect(routes.map(({ descriptor, leader }) => [descriptor.range, descriptor.generation, leader])).toEqual([
        [DATA, 2, 1],
        [child, 2, 1],
      ])
    }
  })

  it('a write that was on its way behind the split is refused when it is applied, and may be sent again', async () => {
    const { bench, client } = await leading()
    // The ids that came with the first are there for the second: it is proposed at once.
    await cut(bench, client, 'x')
    const request = split('m', { generation: 2 })
    const behind = put('q', '1', { generation: 2 })
    bench.submit(client, request, behind)
    await bench.runWhile(() => client.said(behind) === 'nothing')
    expect([client.said(request), client.said(behind)]).toEqual(['split', 'RANGE_MOVED'])
  })

  it('a scan stays on its side of the border and sees what was there before', async () => {
    const { bench, client } = await leading()
    await bench.ask(client, put('a', '1'), put('q', '1'))
    const child = await cut(bench, client, 'm')
    await bench.leads(child)
    const left = scan('a', 'm', { generation: 2 })
    const right = scan('m', null, { range: child, generation: 2 })
    const across = scan('a', 'z', { generation: 2 })
    await bench.ask(client, left, right, across)
    const keys = [left, right].map((request) => {
      const reply = client.reply(request)
      return reply?.kind === 'page' ? reply.rows.map(({ key }) => key) : null
    })
    expect(keys).toEqual([[k('a')], [k('q')]])
    expect(client.said(across)).toBe('RANGE_MOVED')
  })

  it('the meta range learns both descriptors, and no range id is given twice', async () => {
    const cluster = new SimCluster({ seed: 'many splits' })
    await cluster.start()
    const db = cluster.client()
    const ids: number[] = []
    for (const at of ['b', 'd', 'f', 'h', 'j', 'l', 'n', 'p']) {
      ids.push((await cluster.run(() => db.split(at))).range)
      if (at === 'f') cluster.crash(cluster.leaderOf(1)!)
      if (at === 'j') for (const { id } of cluster.nodes) cluster.restart(id)
    }
    expect(new Set([1, DATA, ...ids]).size).toBe(10)
    await cluster.run(() => db.put('c', 'x'))
    await cluster.runFor(3_000)
    const ranges = await cluster.run(() => db.ranges())
    expect(ranges).toHaveLength(10)
    const published = await descriptorsOf(cluster)
    expect(published.map(({ range }) => range).sort((a, b) => a - b)).toEqual([1, DATA, ...ids].sort((a, b) => a - b))
    for (const [at, { span }] of published.entries()) expect(span.end).toBe(published[at + 1]?.span.start ?? null)
    for (const { store } of cluster.nodes) {
      const client = new Client()
      const request = { kind: 'routes', id: 1, deadlineMs: 1_000, from: k(''), limit: 100 } as const
      store!.submit([request], client)
      await cluster.runWhile(() => client.reply(request) === undefined, 1_000)
      const reply = client.reply(request)
      const spans = reply?.kind === 'routes' ? reply.routes.map(({ descriptor }) => descriptor.span) : []
      for (const [at, span] of spans.entries()) expect(span.end).toBe(spans[at + 1]?.start ?? null)
      expect(spans).toHaveLength(9)
    }
    cluster.checkQuiet()
    expect(cluster.violations).toEqual([])
  })
})
