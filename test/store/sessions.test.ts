import { describe, expect, it } from 'vitest'
import type { RangeId, SessionId, Version } from '../../src/base/ids.js'
import { limits } from '../../src/base/limits.js'
import { VERSION_TICKS_PER_MS } from '../../src/base/version.js'
import type { Request, WriteRequest } from '../../src/kv/requests.js'
import { SessionFloors } from '../../src/store/session-floors.js'
import { SimCluster } from '../../src/testing/cluster.js'
import { Bench } from './bench.js'
import { Client, DATA, get, origin, put, split, v } from './requests.js'

/** Asks whoever leads the range. */
async function askLeader(cluster: SimCluster, client: Client, request: Request & { range: number }): Promise<void> {
  const led = await cluster.runWhile(() => cluster.leaderOf(request.range) === null, 10_000)
  if (!led) throw new Error(`range ${request.range} has no leader`)
  cluster.node(cluster.leaderOf(request.range)!).store!.submit([request], client)
  await cluster.runWhile(() => client.reply(request) === undefined, 10_000)
}

const again = (request: WriteRequest, parts: Partial<WriteRequest> = {}): WriteRequest => ({
  ...request,
  id: request.id + 1_000_000 * (1 + Math.floor(request.id / 1_000_000)),
  ...parts,
})

describe('a repeat gets the first outcome and is not applied again', () => {
  it('after a change of leader, a restart of all, and a split that moved its key', async () => {
    const cluster = new SimCluster({ seed: 'repeat' })
    await cluster.start()
    const client = new Client()
    const first = put('q', 'first', { origin: origin('writer', 1) })
    await askLeader(cluster, client, first)
    await askLeader(cluster, client, put('q', 'second', { origin: origin('other', 1) }))

    cluster.crash(cluster.leaderOf(DATA)!)
    const second = again(first)
    await askLeader(cluster, client, second)
    expect(client.reply(second)).toEqual({ ...client.reply(first), id: second.id })

    for (const { id } of cluster.nodes) cluster.crash(id)
    for (const { id } of cluster.nodes) cluster.restart(id)
    const third = again(second)
    await askLeader(cluster, client, third)
    expect(client.reply(third)).toEqual({ ...client.reply(first), id: third.id })

    const cut = split('m', { origin: origin('writer', 2) })
    await askLeader(cluster, client, cut)
    const reply = client.reply(cut)
    if (reply?.kind !== 'split') throw new Error(`the split was answered by ${client.said(cut)}`)
    const fourth = again(third, { range: reply.child, generation: cut.generation })
    await askLeader(cluster, client, fourth)
    expect(client.reply(fourth)).toEqual({ ...client.reply(first), id: fourth.id })
    // The parent remembers too, though the key is no longer there.
    const fifth = again(fourth, { range: DATA })
    await askLeader(cluster, client, fifth)
    expect(client.reply(fifth)).toEqual({ ...client.reply(first), id: fifth.id })

    const read = get(['q'], { range: reply.child, generation: 2 })
    await askLeader(cluster, client, read)
    expect(client.values(read)).toEqual(['second'])
    expect(cluster.violations).toEqual([])
  })

  it('also while the first one is still in flight', async () => {
    const bench = await Bench.open()
    const client = new Client()
    await bench.leads(DATA)
    const first = put('a', 'x', { origin: origin('writer', 1) })
    const second = again(first)
    bench.logGate.close()
    bench.submit(client, first)
    await bench.runFor(5)
    bench.submit(client, second)
    await bench.runFor(5)
    bench.logGate.open()
    await bench.runWhile(() => client.said(second) === 'nothing')
    expect(client.reply(second)).toEqual({ ...client.reply(first), id: second.id })
  })

  it('with hundreds in flight, out of order and sent again, over a crash, clock jumps and a split', async () => {
    const cluster = new SimCluster({ seed: 'hundreds' })
    await cluster.start()
    const client = new Client()
    const sent = new Map<number, WriteRequest[]>()
    let where = { child: null as number | null }
    const send = (sequence: number) => {
      const key = sequence % 2 === 0 ? `a-${sequence}` : `q-${sequence}`
      const inChild = where.child !== null && sequence % 2 === 1
      const at = { range: (inChild ? where.child : DATA) as RangeId, generation: where.child === null ? 1 : 2 }
      const request = put(key, `${sequence}`, { ...at, origin: origin('writer', sequence) })
      sent.set(sequence, [...(sent.get(sequence) ?? []), request])
      const leader = cluster.leaderOf(at.range)
      if (leader !== null) cluster.node(leader).store?.submit([request], client)
    }
    const isWritten = (sequence: number) => sent.get(sequence)?.some((each) => client.said(each) === 'written') ?? false
    // 7 and 300 have no common divisor: every sequence once, none behind the one before it.
    const order = Array.from({ length: 300 }, (_, at) => ((at * 7) % 300) + 1)
    for (const [at, sequence] of order.entries()) {
      send(sequence)
      if (at % 3 === 0) send(order[(at * 5) % (at + 1)]!)
      if (at === 90) cluster.node(cluster.leaderOf(DATA)!).jumpClock(3_600_000)
      if (at === 180) cluster.node(cluster.leaderOf(DATA)!).jumpClock(-7_200_000)
      if (at === 120 || at === 240) {
        const leader = cluster.leaderOf(DATA)!
        cluster.crash(leader)
        cluster.restart(leader)
        await cluster.runWhile(() => cluster.leaderOf(DATA) === null, 10_000)
      }
      if (at === 200) {
        const cut = split('m', { origin: origin('cutter', 1) })
        await askLeader(cluster, client, cut)
        const reply = client.reply(cut)
        if (reply?.kind !== 'split') throw new Error(`the split was answered by ${client.said(cut)}`)
        where = { child: reply.child }
        await cluster.runWhile(() => cluster.leaderOf(reply.child) === null, 10_000)
      }
      if (at % 40 === 39) await cluster.runFor(3)
    }
    while (!order.every(isWritten)) {
      for (const sequence of order) if (!isWritten(sequence)) send(sequence)
      await cluster.runFor(200)
    }
    // Once more, all of them: whoever is asked gives the first answer.
    for (const sequence of order) send(sequence)
    await cluster.runFor(500)
    for (const sequence of order) {
      const written = sent.get(sequence)!.filter((each) => client.said(each) === 'written')
      expect(written.length).toBeGreaterThan(1)
      const versions = new Set(written.map((each) => client.version(each)))
      expect([...versions], `sequence ${sequence}`).toHaveLength(1)
      const inChild = sequence % 2 === 1
      const range = (inChild ? where.child : DATA) as RangeId
      const read = get([inChild ? `q-${sequence}` : `a-${sequence}`], { range, generation: 2 })
      await askLeader(cluster, client, read)
      const reply = client.reply(read)
      if (reply?.kind !== 'rows') throw new Error(`the get was answered by ${client.said(read)}`)
      expect(reply.rows[0]?.version).toBe([...versions][0])
    }
    expect(cluster.violations).toEqual([])
  })

  it('by the child of a split, from what the parent wrote down, after a start that replays nothing', async () => {
    const bench = await Bench.open()
    const client = new Client()
    await bench.leads(DATA)
    await bench.leads(1)
    const first = put('q', 'x', { origin: origin('writer', 1) })
    const cut = split('m', { origin: origin('writer', 2) })
    await bench.ask(client, first)
    await bench.ask(client, cut)
    const reply = client.reply(cut)
    if (reply?.kind !== 'split') throw new Error(`the split was answered by ${client.said(cut)}`)
    await bench.leads(reply.child)
    await bench.ask(client, put('q', 'y', { origin: origin('writer', 3), range: reply.child, generation: 2 }))
    const images = [DATA, reply.child].map((range) => bench.replica(range).machine.sessions.image())
    await bench.stop()
    await bench.start()
    expect([DATA, reply.child].map((range) => bench.replica(range).machine.sessions.image())).toEqual(images)
    await bench.leads(reply.child)
    const second = again(first, { range: reply.child })
    await bench.ask(client, second)
    expect(client.reply(second)).toEqual({ ...client.reply(first), id: second.id })
  })

  it('by a follower that has applied it, which need not lead to know', async () => {
    const cluster = new SimCluster({ seed: 'follower' })
    await cluster.start()
    const client = new Client()
    const first = put('a', 'x', { origin: origin('writer', 1) })
    await askLeader(cluster, client, first)
    await cluster.runFor(500)
    const follower = cluster.nodes.find(({ id }) => id !== cluster.leaderOf(DATA))!
    const [second, unknown] = [again(first), put('a', 'y', { origin: origin('writer', 2, { firstSent: v(2 ** 52) }) })]
    follower.store!.submit([second, unknown], client)
    await cluster.runWhile(() => client.said(unknown) === 'nothing', 1_000)
    expect(client.reply(second)).toEqual({ ...client.reply(first), id: second.id })
    expect(client.said(unknown)).toBe('NOT_LEADER')
  })
})

describe('what a range has let go of', () => {
  it('a sequence below the lowest that its session named is refused, with the present version', async () => {
    const bench = await Bench.open()
    const client = new Client()
    await bench.leads(DATA)
    await bench.ask(client, put('a', '1', { origin: origin('writer', 5, { lowest: 5 }) }))
    const late = put('a', 'late', { origin: origin('writer', 4) })
    await bench.ask(client, late)
    expect(client.said(late)).toBe('SESSION_EXPIRED')
    expect(client.version(late)).toBeGreaterThan(0)
    const read = get(['a'])
    await bench.ask(client, read)
    expect(client.values(read)).toEqual(['1'])
  })

  it('the floor moves by command after ten minutes of log time, and what was first sent below it is refused', async () => {
    const bench = await Bench.open()
    const client = new Client()
    const replica = await bench.leads(DATA)
    const first = put('a', '1', { origin: origin('writer', 1) })
    await bench.ask(client, first)
    const firstSent = v(client.version(first) + 1)
    const slackMs = limits.sessionKeptMs / 10
    await bench.runFor(limits.sessionKeptMs)
    expect(replica.machine.sessions.floor).toBe(0)
    await bench.runFor(slackMs + 15_000)
    const { floor, size } = replica.machine.sessions
    expect(size).toBe(0)
    expect(floor).toBeGreaterThan(client.version(first))
    expect(floor).toBeLessThanOrEqual(bench.store.now - limits.sessionKeptMs * VERSION_TICKS_PER_MS)

    const stale = put('a', 'stale', { origin: origin('writer', 2, { firstSent }) })
    await bench.ask(client, stale)
    expect(client.said(stale)).toBe('SESSION_EXPIRED')
    const anew = put('a', 'anew', { origin: origin('writer', 3, { firstSent: client.version(stale) }) })
    await bench.ask(client, anew)
    expect(client.said(anew)).toBe('written')
    expect(bench.failures).toEqual([])
  })

  it('where there are more outcomes than a range may have, the oldest go, by command, and what may be among them is refused', async () => {
    const bench = await Bench.open()
    const client = new Client()
    const replica = await bench.leads(DATA)
    const floors = new SessionFloors(new Map([[DATA, replica]]), () => {}, { outcomesMax: 8 })
    const tick = () => {
      floors.move(25, bench.store.now)
    }
    const requests = Array.from({ length: 9 }, (_, at) => put('a', `${at}`, { origin: origin(`writer-${at}`, 1) }))
    for (const request of requests.slice(0, 8)) await bench.ask(client, request)
    tick()
    expect(replica.proposals.count).toBe(0)
    await bench.ask(client, requests[8]!)
    tick()
    // One floor at a time, however long it takes.
    tick()
    expect(replica.proposals.count).toBe(1)
    // Any request gives the range its turn.
    await bench.ask(client, get(['a']))
    await bench.runWhile(() => replica.proposals.count > 0)
    expect(replica.machine.sessions.size).toBe(6)
    expect(replica.machine.sessions.floor).toBe(client.version(requests[3]!))
    tick()
    expect(replica.proposals.count).toBe(0)

    const [old, kept] = [again(requests[0]!), again(requests[5]!)]
    await bench.ask(client, old)
    await bench.ask(client, kept)
    expect([client.said(old), client.reply(kept)]).toEqual([
      'SESSION_EXPIRED',
      { ...client.reply(requests[5]!), id: kept.id },
    ])
  })

  it('a table restored after a restart is the one that was: also with an outcome at the floor itself', async () => {
    for (const seed of [1, 2, 3]) {
      const bench = await Bench.open({ seed })
      const client = new Client()
      const replica = await bench.leads(DATA)
      const requests = [1, 2, 3, 4].map((sequence) => put('a', `${sequence}`, { origin: origin('writer', sequence) }))
      for (const request of requests) {
        await bench.ask(client, request)
        await bench.runFor(10)
      }
      const floor: Version = client.version(requests[1]!)
      const replies: string[] = []
      replica.proposals.offer({
        make: (version) => ({ kind: 'sessionFloor', version, floor }),
        settle: (settled) => replies.push(settled.kind),
        bytes: 64,
        seen: v(0),
        expiresAt: Number.POSITIVE_INFINITY,
        endsEntry: false,
      })
      await bench.ask(client, get(['a']))
      await bench.runWhile(() => replies.length === 0)
      const image = replica.machine.sessions.image()
      expect(image).toMatchObject([
        { session: 'writer'.padEnd(22, '-') as SessionId, outcomes: [{ sequence: 2 }, {}, {}] },
      ])
      await bench.stop()
      await bench.start()
      expect(bench.replica(DATA).machine.sessions.image()).toEqual(image)
    }
  })
})
