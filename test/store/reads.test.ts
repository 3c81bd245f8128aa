import { describe, expect, it } from 'vitest'
import type { LogIndex } from '../../src/base/ids.js'
import { limits } from '../../src/base/limits.js'
import { type PendingRead, Reads } from '../../src/store/reads.js'
import { Bench } from './bench.js'
import { Followers, heartbeat } from './followers.js'
import { bytes, Client, DATA, get, k, put, putWrite, scan, split, v, write } from './requests.js'

async function leading() {
  const bench = await Bench.open({ nodes: 3 })
  const followers = new Followers(bench)
  await bench.leads(1)
  await bench.leads(DATA)
  const client = new Client()
  await bench.ask(client, put('a', 'before'), put('q', 'before'))
  return { bench, followers, client }
}

const noLease = () => null

function pending(bytes = 100): PendingRead {
  return { request: get(['a']), sink: new Client(), bytes, expiresAt: 0 }
}

describe('a read', () => {
  it('is not served before an entry of the own term is applied', async () => {
    const bench = await Bench.open({ nodes: 3 })
    const followers = new Followers(bench)
    followers.deafTo.add('append')
    const client = new Client()
    await bench.runWhile(() => !bench.replica(DATA).leads)
    const read = get(['a'])
    bench.submit(client, read)
    await bench.runFor(100)
    expect(bench.replica(DATA).leads).toBe(true)
    expect(client.said(read)).toBe('nothing')
    followers.deafTo.delete('append')
    await bench.runWhile(() => client.said(read) === 'nothing')
    expect(bench.replica(DATA).appliedTerm).toBe(bench.replica(DATA).raft.term)
    expect(client.values(read)).toEqual([null])
  })

  it('that came after a round had left waits for the answers to the next one', async () => {
    const { bench, followers, client } = await leading()
    followers.deafTo.add('heartbeat')
    const early = get(['a'])
    const before = bench.messagesTo(2, 'heartbeat').length
    bench.submit(client, early)
    await bench.runFor(1)
    const [round] = bench.messagesTo(2, 'heartbeat').slice(before)
    if (round?.type !== 'heartbeat') throw new Error('no round began')
    const late = get(['a'])
    bench.submit(client, late)
    await bench.runFor(1)
    // The answer to the first round says nothing about the time after it left.
    const { range, from, to, term } = round
    const { lastIndex } = bench.replica(DATA).raft
    const answer = { range, from: to, to: from, term, lastIndex, needsSnapshot: false }
    bench.receive(2, { type: 'heartbeatReply', boot: heartbeat(2, 1).boot, ...answer, round: round.round })
    await bench.runFor(1)
    expect([client.said(early), client.said(late)]).toEqual(['rows', 'nothing'])
    bench.receive(2, { type: 'heartbeatReply', boot: heartbeat(2, 1).boot, ...answer, round: round.round + 1 })
    await bench.runFor(1)
    expect(client.said(late)).toBe('rows')
  })

  it('all reads of a turn share one round', async () => {
    const { bench, client } = await leading()
    const before = bench.messagesTo(2, 'heartbeat').length
    const reads = Array.from({ length: 100 }, () => get(['a']))
    await bench.ask(client, ...reads)
    expect(bench.messagesTo(2, 'heartbeat').length - before).toBe(1)
    expect(client.values(reads[99]!)).toEqual(['before'])
  })

  it('waits until what was committed before it is applied, also where apply waits for the disk', async () => {
    const bench = await Bench.open({ cacheBytes: 600 })
    const client = new Client()
    await bench.leads(DATA)
    await bench.ask(client, ...['cold', 'a', 'b', 'c', 'd'].map((key) => put(key, 'x'.repeat(60))), put('a', '1'))
    await bench.runFor(50)
    bench.stateGate.close()
    const ifCold = { kind: 'value', key: k('cold'), codec: 'utf8', value: bytes('x'.repeat(60)) } as const
    const second = write([putWrite('a', '2')], { conditions: [ifCold] })
    bench.submit(client, second)
    await bench.runFor(20)
    const { raft, applied } = bench.replica(DATA)
    expect(raft.commit).toBe(applied + 1)
    const read = get(['a'])
    bench.submit(client, read)
    await bench.runFor(20)
    expect(client.said(read)).toBe('nothing')
    bench.stateGate.open()
    await bench.runWhile(() => client.said(read) === 'nothing')
    expect(client.said(second)).toBe('written')
    expect(client.values(read)).toEqual(['2'])
  })

  it('is refused where a split came between: keys and generation are looked at again', async () => {
    const { bench, followers, client } = await leading()
    followers.deafTo.add('heartbeat')
    const reads = [get(['a']), get(['q']), scan('a', 'z')]
    const cut = split('m')
    bench.submit(client, cut, ...reads)
    await bench.runWhile(() => client.said(cut) === 'nothing')
    followers.deafTo.delete('heartbeat')
    bench.submit(client, get(['a']))
    await bench.runWhile(() => reads.some((read) => client.said(read) === 'nothing'))
    for (const read of reads) {
      const reply = client.reply(read)
      expect(reply).toMatchObject({ error: { code: 'RANGE_MOVED' } })
    }
    const moved = client.reply(reads[1]!)
    expect(moved?.kind === 'error' && moved.error.routes.map(({ descriptor }) => descriptor.span.start)).toHaveLength(1)
  })

  it('that was not confirmed is refused by a leader that was deposed', async () => {
    const { bench, followers, client } = await leading()
    followers.deafTo.add('heartbeat')
    const { term } = bench.replica(DATA).raft
    const read = get(['a'])
    bench.submit(client, read)
    await bench.runFor(5)
    bench.receive(2, heartbeat(2, term + 1))
    await bench.runFor(1)
    expect(client.reply(read)).toMatchObject({ error: { code: 'NOT_LEADER', routes: [{ leader: 2 }] } })
  })

  it('that comes in the same turn as the news of another leader is refused', async () => {
    const { bench, client } = await leading()
    const read = get(['a'])
    bench.submit(client, read)
    bench.receive(2, heartbeat(2, bench.replica(DATA).raft.term + 1))
    await bench.runFor(1)
    expect(client.said(read)).toBe('NOT_LEADER')
  })

  it('whose deadline passed while it waited is refused as DEADLINE', async () => {
    const { bench, followers, client } = await leading()
    followers.deafTo.add('heartbeat')
    const read = get(['a'], { deadlineMs: 50 })
    bench.submit(client, read)
    await bench.runFor(60)
    followers.deafTo.delete('heartbeat')
    await bench.runWhile(() => client.said(read) === 'nothing')
    expect(client.said(read)).toBe('DEADLINE')
  })

  it('of a version that the range has not reached is refused', async () => {
    const { bench, client } = await leading()
    const ahead = scan('a', 'z', { at: v(bench.replica(DATA).clock + 1) })
    const present = scan('a', 'z', { at: bench.replica(DATA).clock })
    await bench.ask(client, ahead, present)
    expect([client.said(ahead), client.said(present)]).toEqual(['INVALID_ARGUMENT', 'page'])
  })
})

describe('the reads of a range', () => {
  it('are bounded in bytes until they are answered, whichever way', () => {
    const reads = new Reads()
    const full = pending(limits.rangeReadBytesMax)
    const refill = () => {
      expect(reads.arrive(full)).toBe(true)
      expect(reads.arrive(pending())).toBe(false)
    }
    refill()
    expect(reads.begin(() => false, noLease)).toEqual([full])
    refill()
    reads.begin(() => true, noLease)
    expect(reads.arrive(pending())).toBe(false)
    reads.confirm(2, 5 as LogIndex)
    expect(reads.takeServable(4 as LogIndex)).toEqual([])
    expect(reads.arrive(pending())).toBe(false)
    expect(reads.takeServable(5 as LogIndex)).toEqual([full])
    refill()
    reads.begin(() => true, noLease)
    expect(reads.fail(3)).toEqual([full])
    refill()
    expect(reads.takeAll()).toEqual([full])
    refill()
  })

  it('that ask for the lease need no round while it is held, and take part in one when it is not', () => {
    const reads = new Reads()
    const [strong, leased] = [
      pending(),
      { ...pending(), request: { ...get(['a']), weak: { kind: 'leaderLease' } as const } },
    ]
    reads.arrive(leased)
    expect(
      reads.begin(
        () => false,
        () => 4 as LogIndex,
      ),
    ).toEqual([])
    expect(reads.takeServable(3 as LogIndex)).toEqual([])
    expect(reads.takeServable(4 as LogIndex)).toEqual([leased])
    reads.arrive(strong)
    reads.arrive(leased)
    expect(reads.begin(() => false, noLease)).toEqual([strong, leased])
    reads.arrive(strong)
    reads.arrive(leased)
    expect(
      reads.begin(
        () => false,
        () => 4 as LogIndex,
      ),
    ).toEqual([strong])
  })

  it('are refused as OVERLOADED beyond it', async () => {
    const { bench, followers, client } = await leading()
    followers.deafTo.add('heartbeat')
    const keys = Array.from({ length: 1_000 }, (_, at) => `${at}`.padEnd(4_000, '-'))
    const reads = [1, 2, 3, 4, 5].map(() => get(keys))
    bench.submit(client, ...reads)
    await bench.runFor(1)
    expect(reads.map((read) => client.said(read))).toEqual(['nothing', 'nothing', 'nothing', 'nothing', 'OVERLOADED'])
    expect(client.reply(reads[4]!)).toMatchObject({ error: { retryAfterMs: 20 } })
  })

  it('once confirmed are served although the lead is lost, once their index is applied', () => {
    const reads = new Reads()
    const [confirmed, open] = [pending(), pending()]
    reads.arrive(confirmed)
    reads.begin(() => true, noLease)
    reads.arrive(open)
    reads.begin(() => true, noLease)
    reads.confirm(1, 7 as LogIndex)
    expect(reads.fail(2)).toEqual([open])
    expect(reads.takeServable(6 as LogIndex)).toEqual([])
    expect(reads.takeServable(7 as LogIndex)).toEqual([confirmed])
    expect(reads.takeServable(8 as LogIndex)).toEqual([])
  })
})

describe('a read of many keys that memory does not have', () => {
  it('reads them at one version, and leaves no old value behind for those that come after a write', async () => {
    const bench = await Bench.open({ cacheBytes: 8_192 })
    const client = new Client()
    await bench.leads(DATA)
    const keys = Array.from({ length: 200 }, (_, at) => `key ${at}`)
    await bench.ask(client, ...keys.map((key) => put(key, 'old'.padEnd(60, '-'))))
    await bench.runFor(50)
    bench.stateGate.close()
    const many = get(keys)
    bench.submit(client, many)
    await bench.runFor(5)
    const overwrite = keys.map((key) => put(key, 'new'))
    bench.submit(client, ...overwrite)
    await bench.runFor(5)
    expect(client.said(overwrite[0]!)).toBe('written')
    bench.stateGate.open()
    await bench.runWhile(() => client.said(many) === 'nothing')
    expect(new Set(client.values(many))).toEqual(new Set(['old'.padEnd(60, '-')]))
    const after = get(keys)
    await bench.ask(client, after)
    expect(new Set(client.values(after))).toEqual(new Set(['new']))
  })
})
