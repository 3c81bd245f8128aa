import { describe, expect, it } from 'vitest'
import type { Term } from '../../src/base/ids.js'
import { limits } from '../../src/base/limits.js'
import { Bench } from './bench.js'
import { Followers, heartbeat, vote } from './followers.js'
import { Client, DATA, put, transfer } from './requests.js'

const ELECTION_MS = limits.electionTicksMin * limits.tickMs

async function leading() {
  const bench = await Bench.open({ nodes: 3 })
  const followers = new Followers(bench)
  const replica = await bench.leads(DATA)
  await bench.runFor(1_000)
  return { bench, followers, replica, client: new Client() }
}

type Scene = Awaited<ReturnType<typeof leading>>

/** Node 2 has been told to campaign. */
const isAsked = ({ bench }: Scene) => bench.messagesTo(2, 'timeoutNow').length > 0

/** Node 2 does as it was told, and wins. */
function takeLead({ bench, replica }: Scene, node = 2): void {
  const { lastIndex, term } = replica.raft
  const next = term + 1
  bench.receive(node, vote(node, next, { transfer: true, lastIndex, lastTerm: term as Term }))
  bench.receive(node, heartbeat(node, next))
}

describe('the lead of a range, handed on by request', () => {
  it('is with the voter that was named when the request is answered, and not before', async () => {
    const scene = await leading()
    const { bench, client } = scene
    const request = transfer(2)
    bench.submit(client, request)
    await bench.runWhile(() => !isAsked(scene))
    await bench.runFor(100)
    expect(client.said(request)).toBe('nothing')
    takeLead(scene)
    await bench.runWhile(() => client.said(request) === 'nothing')
    expect(client.said(request)).toBe('transferred')
    expect(scene.replica.leaderNode).toBe(2)
  })

  it('stays where it is if that is what was asked for', async () => {
    const { bench, client, replica } = await leading()
    const request = transfer(1)
    await bench.ask(client, request)
    expect(client.said(request)).toBe('transferred')
    expect(replica.leads).toBe(true)
    expect(replica.raft.isTransferring).toBe(false)
  })

  it('is refused to a node without a voter, which is named with those that have one', async () => {
    const { bench, client, replica } = await leading()
    const request = transfer(7)
    await bench.ask(client, request)
    expect(client.reply(request)).toMatchObject({
      error: { code: 'INVALID_ARGUMENT', message: 'node 7 holds no voter of range 2; those are on nodes 1, 2, 3' },
    })
    expect(replica.raft.isTransferring).toBe(false)
  })

  it('is not even begun for a voter that no longer answers, so that writes go on', async () => {
    const { bench, client, followers, replica } = await leading()
    followers.mute.add(2)
    await bench.runFor(ELECTION_MS)
    const request = transfer(2)
    await bench.ask(client, request)
    expect(client.reply(request)).toMatchObject({ error: { code: 'UNAVAILABLE' } })
    expect(replica.raft.isTransferring).toBe(false)
    const written = put('a', '1')
    await bench.ask(client, written)
    expect(client.said(written)).toBe('written')
  })

  it('is not even begun for a voter that is still being caught up', async () => {
    const { bench, client, replica } = await leading()
    replica.raft.unreachable(replica.raft.configuration.voters[1]!)
    const request = transfer(2)
    bench.submit(client, request)
    await bench.runWhile(() => client.said(request) === 'nothing', 10)
    expect(client.reply(request)).toMatchObject({
      error: { code: 'UNAVAILABLE', message: "node 2 can't lead range 2 now: it is being caught up" },
    })
  })

  it('is with the old leader if the other one does not take it within an election timeout, which is told, and writes go on', async () => {
    const { bench, client, replica } = await leading()
    const request = transfer(2)
    const written = put('a', '1')
    bench.submit(client, request, written)
    await bench.runFor(ELECTION_MS - 100)
    expect([client.said(request), client.said(written)]).toEqual(['nothing', 'nothing'])
    await bench.runFor(300)
    expect(client.reply(request)).toMatchObject({ error: { code: 'OUTCOME_UNKNOWN' } })
    expect(client.said(written)).toBe('written')
    expect(replica.leads).toBe(true)
  })

  it.each([0, 1, 2, 3, 4])(
    'leaves the other one a whole election timeout, %i ticks into an interval',
    async (ticks) => {
      const { bench, client } = await leading()
      await bench.runFor(ticks * limits.tickMs)
      const request = transfer(2)
      bench.submit(client, request)
      await bench.runFor(ELECTION_MS - limits.tickMs)
      expect(client.said(request)).toBe('nothing')
      await bench.runWhile(() => client.said(request) === 'nothing')
      expect(client.said(request)).toBe('OUTCOME_UNKNOWN')
    },
  )

  it('cannot go to two at once: the second is refused as retryable, a repeat of the first waits with it', async () => {
    const scene = await leading()
    const { bench, client } = scene
    const [first, other, again] = [transfer(2), transfer(3), transfer(2)]
    bench.submit(client, first, other, again)
    await bench.runWhile(() => !isAsked(scene))
    takeLead(scene)
    await bench.runWhile(() => client.said(again) === 'nothing')
    expect([first, other, again].map((each) => client.said(each))).toEqual([
      'transferred',
      'UNAVAILABLE',
      'transferred',
    ])
  })

  it('that went to somebody else is asked of that one: the request is sent on to it', async () => {
    const scene = await leading()
    const { bench, client } = scene
    const request = transfer(2)
    bench.submit(client, request)
    await bench.runWhile(() => !isAsked(scene))
    takeLead(scene, 3)
    await bench.runWhile(() => client.said(request) === 'nothing')
    expect(client.reply(request)).toMatchObject({ error: { code: 'NOT_LEADER', routes: [{ leader: 3 }] } })
    const late = transfer(2)
    await bench.ask(client, late)
    expect(client.reply(late)).toMatchObject({ error: { code: 'NOT_LEADER', routes: [{ leader: 3 }] } })
  })

  it('of a span that has changed since is handed on all the same; of a range that is not here it is not', async () => {
    const scene = await leading()
    const { bench, client } = scene
    const [old, gone] = [transfer(2, { generation: 9 }), transfer(2, { range: 99 as typeof DATA })]
    bench.submit(client, old, gone)
    await bench.runWhile(() => !isAsked(scene))
    takeLead(scene)
    await bench.runWhile(() => client.said(old) === 'nothing')
    expect([client.said(old), client.said(gone)]).toEqual(['transferred', 'RANGE_MOVED'])
  })

  it('is answered when the node stops meanwhile', async () => {
    const { bench, client } = await leading()
    const request = transfer(2)
    bench.submit(client, request)
    await bench.runFor(50)
    expect(client.said(request)).toBe('nothing')
    await bench.stop()
    expect(client.said(request)).toBe('UNAVAILABLE')
  })
})
