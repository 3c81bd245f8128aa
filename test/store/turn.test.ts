import { describe, expect, it } from 'vitest'
import type { RangeId } from '../../src/base/ids.js'
import { META_RANGE } from '../../src/base/ids.js'
import { limits } from '../../src/base/limits.js'
import { Bench } from './bench.js'
import { Followers, heartbeat } from './followers.js'
import { Client, DATA, put } from './requests.js'

const RANGES = [DATA, 3, 4] as RangeId[]
const splitAt = ['g', 'p']
const keys = ['a', 'h', 'q']

async function single() {
  const bench = await Bench.open({ splitAt })
  for (const range of [META_RANGE, ...RANGES]) await bench.leads(range)
  await bench.runFor(1_000)
  return { bench, client: new Client() }
}

async function leading() {
  const bench = await Bench.open({ nodes: 3, splitAt })
  const followers = new Followers(bench)
  for (const range of [META_RANGE, ...RANGES]) await bench.leads(range)
  await bench.runFor(1_000)
  return { bench, followers, client: new Client() }
}

const putAll = (round: string) => RANGES.map((range, at) => put(`${keys[at]} ${round}`, round, { range }))

describe('a turn', () => {
  it('writes one log batch for all ranges', async () => {
    const { bench, client } = await single()
    const before = bench.batches.length
    await bench.ask(client, ...putAll('1'))
    const entries = bench.batches[before]!.items.filter((item) => item.kind === 'entries')
    expect(entries.map((item) => item.range)).toEqual(RANGES)
    expect(
      bench.batches.slice(before + 1).flatMap(({ items }) => items.filter(({ kind }) => kind === 'entries')),
    ).toEqual([])
  })

  it('what comes while a batch is being synced goes into the next one, all of it', async () => {
    const { bench, client } = await single()
    bench.logGate.close()
    const before = bench.batches.length
    const requests = [0, 1, 2, 3, 4].flatMap((round) => putAll(`${round}`))
    for (let at = 0; at < requests.length; at += 3) {
      bench.submit(client, ...requests.slice(at, at + 3))
      await bench.runFor(2)
    }
    expect(bench.batches.length).toBe(before + 1)
    expect(requests.map((request) => client.said(request))).not.toContain('written')
    bench.logGate.open()
    await bench.runWhile(() => requests.some((request) => client.said(request) !== 'written'))
    expect(
      bench.batches.slice(before).filter(({ items }) => items.some(({ kind }) => kind === 'entries')),
    ).toHaveLength(2)
  })

  it('makes one entry of all commands of a range, and one message of all replies to a client', async () => {
    const { bench, client } = await single()
    const requests = Array.from({ length: 50 }, (_, at) => put(`a ${at}`, 'x'))
    const before = { index: bench.replica(DATA).applied, messages: client.messages.length }
    await bench.ask(client, ...requests)
    expect(bench.replica(DATA).applied).toBe(before.index + 1)
    expect(client.messages.slice(before.messages)).toEqual([50])
  })

  it('sends a peer one frame with the messages of all ranges, before the own disk has the entries', async () => {
    const { bench, client } = await leading()
    bench.logGate.close()
    const before = bench.sent.length
    bench.submit(client, ...putAll('1'))
    await bench.runFor(0)
    const appends = bench.sent.slice(before).filter(({ message }) => message.type === 'append')
    expect(new Set(appends.map(({ turn }) => turn)).size).toBe(1)
    for (const node of [2, 3]) {
      const ranges = appends.filter(({ to }) => to === node).map(({ message }) => 'range' in message && message.range)
      expect(ranges).toEqual(RANGES)
    }
    // Two followers are a majority: the own sync may come later.
    await bench.runFor(5)
    expect(bench.logGate.held).toBe(1)
    expect(client.messages).toEqual([3])
  })

  it('sends a peer the heartbeats of all ranges in one frame, whenever each was elected', async () => {
    const { bench } = await leading()
    const before = bench.sent.length
    await bench.runFor(limits.tickMs * limits.heartbeatTicks * 3)
    const beats = bench.sent.slice(before).filter(({ message }) => message.type === 'heartbeat')
    const frames = new Map<string, number>()
    for (const { turn, to } of beats) frames.set(`${turn}/${to}`, (frames.get(`${turn}/${to}`) ?? 0) + 1)
    expect([...frames.values()]).toEqual(new Array(6).fill(RANGES.length + 1))
  })

  it('is not taken for ticks at which nobody acts: an idle node takes one per heartbeat, and some for its duties', async () => {
    const { bench } = await single()
    const before = bench.turns
    await bench.runFor(10_000)
    const beats = 10_000 / (limits.tickMs * limits.heartbeatTicks)
    expect(bench.turns - before).toBeGreaterThanOrEqual(beats)
    expect(bench.turns - before).toBeLessThan(beats * 1.4)
  })

  it('a follower waits a whole election timeout from when it heard its leader, however long it had not heard it', async () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const bench = await Bench.open({ nodes: 3, seed })
      const preVotes = () =>
        bench.messagesTo(2, 'preVote').filter((message) => 'range' in message && message.range === DATA)
      bench.receive(2, heartbeat(2, 1))
      await bench.runFor(limits.tickMs * (limits.electionTicksMin - 2))
      bench.receive(2, heartbeat(2, 1))
      await bench.runFor(limits.tickMs * (limits.electionTicksMin - 1))
      expect(preVotes()).toEqual([])
      await bench.runFor(limits.tickMs * (limits.electionTicksMax - limits.electionTicksMin + 1))
      expect(preVotes()).not.toEqual([])
    }
  })

  it('what apply has for a peer leaves with the next turn, when that peer already got a frame in this one', async () => {
    const { bench, client } = await leading()
    for (let request = 1; request <= 20; request++) {
      bench.receive(2, { type: 'allocate', request, count: 4 })
      await bench.runFor(0)
      // The followers' answers, which commit it, come in the same turn as these.
      bench.scheduler.schedule(0.1, () => bench.submit(client, ...putAll(`${request}`)))
      await bench.runFor(20)
    }
    const firsts = bench.messagesTo(2, 'allocated').map((message) => message.type === 'allocated' && message.first)
    expect(new Set(firsts).size).toBe(20)
    expect(firsts).not.toContain(null)
    expect(bench.failures).toEqual([])
  })

  it('takes no message for a range in the name of a node that has no such replica', async () => {
    const { bench } = await leading()
    const { term } = bench.replica(DATA).raft
    bench.receive(3, heartbeat(2, term + 5))
    await bench.runFor(5)
    expect(bench.replica(DATA).raft).toMatchObject({ role: 'leader', term })
    bench.receive(2, heartbeat(2, term + 5))
    await bench.runFor(5)
    expect(bench.replica(DATA).raft).toMatchObject({ role: 'follower', term: term + 5 })
  })
})

describe('a leader that is deposed', () => {
  it('says NOT_LEADER to what was not proposed, OUTCOME_UNKNOWN to what was, each with the way to the next leader', async () => {
    const { bench, followers, client } = await leading()
    followers.deafTo.add('append')
    const { term } = bench.replica(DATA).raft
    const inFlight = put('a', '1')
    bench.submit(client, inFlight)
    await bench.runFor(5)
    expect(client.said(inFlight)).toBe('nothing')
    const waiting = put('b', '1')
    bench.submit(client, waiting)
    bench.receive(2, heartbeat(2, term + 1))
    await bench.runFor(5)
    const routes = [{ leader: 2 }]
    expect(client.reply(inFlight)).toMatchObject({ error: { code: 'OUTCOME_UNKNOWN', routes } })
    expect(client.reply(waiting)).toMatchObject({ error: { code: 'NOT_LEADER', routes } })
  })

  it('steps down without a majority, and tells all that waited', async () => {
    const { bench, followers, client } = await leading()
    for (const type of ['append', 'heartbeat', 'preVote'] as const) followers.deafTo.add(type)
    const requests = [put('a', '1'), put('b', '1')]
    bench.submit(client, ...requests)
    await bench.runWhile(() => bench.replica(DATA).leads, limits.tickMs * limits.electionTicksMax)
    await bench.runFor(1)
    expect(requests.map((request) => client.said(request))).toEqual(['OUTCOME_UNKNOWN', 'OUTCOME_UNKNOWN'])
  })

  it('refuses as OVERLOADED what does not fit into the bound of a range, and takes again when there is room', async () => {
    const { bench, followers, client } = await leading()
    followers.deafTo.add('append')
    const big = 'x'.repeat(1_000_000)
    const requests = Array.from({ length: 20 }, (_, at) => put(`a ${at}`, big))
    bench.submit(client, ...requests)
    await bench.runFor(5)
    const refused = requests.filter((request) => client.said(request) === 'OVERLOADED')
    expect(refused).toHaveLength(20 - Math.floor(limits.rangeProposalBytesMax / 1_000_068))
    expect(client.reply(refused[0]!)).toMatchObject({ error: { retryAfterMs: 20 } })
    followers.deafTo.delete('append')
    const taken = requests.filter((request) => !refused.includes(request))
    await bench.runWhile(() => taken.some((request) => client.said(request) !== 'written'))
    const later = put('a', 'x')
    await bench.ask(client, later)
    expect(client.said(later)).toBe('written')
  })
})
