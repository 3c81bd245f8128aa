import { describe, expect, it } from 'vitest'
import { Bench } from './bench.js'
import { Followers, heartbeat } from './followers.js'
import { Client, DATA, get, put, split } from './requests.js'

async function leading() {
  const bench = await Bench.open({ nodes: 3 })
  const followers = new Followers(bench)
  await bench.leads(1)
  await bench.leads(DATA)
  await bench.runFor(1_000)
  return { bench, followers, client: new Client() }
}

describe('a store that stops', () => {
  it('answers all that waits: writes, reads, splits', async () => {
    const { bench, followers, client } = await leading()
    for (const type of ['append', 'heartbeat'] as const) followers.deafTo.add(type)
    const [inFlight, reading, splitting] = [put('a', '1'), get(['a']), split('m')]
    bench.submit(client, inFlight, reading, splitting)
    await bench.runFor(5)
    const arrived = [put('b', '1'), get(['b'])]
    bench.submit(client, ...arrived)
    bench.store.stop(() => {})
    await bench.runFor(5)
    expect([inFlight, reading, splitting].map((request) => client.said(request))).toEqual([
      'OUTCOME_UNKNOWN',
      'UNAVAILABLE',
      'UNAVAILABLE',
    ])
    expect(arrived.map((request) => client.said(request))).toEqual(['UNAVAILABLE', 'UNAVAILABLE'])
  })

  it('takes no more work: requests are refused, joining nodes sent away, frames dropped', async () => {
    const { bench, client } = await leading()
    let stopped = false
    bench.store.stop(() => {
      stopped = true
    })
    await bench.runWhile(() => !stopped)
    const batches = bench.batches.length
    const sent = bench.sent.length
    const requests = [put('a', '1'), get(['a']), split('m')]
    bench.submit(client, ...requests)
    bench.receive(2, heartbeat(2, 99))
    const joins: string[] = []
    bench.store.join({ token: 't', clientAddress: '', peerAddress: '', pid: 1 }, ({ kind }) => joins.push(kind))
    await bench.runFor(3_000)
    expect(requests.map((request) => client.said(request))).toEqual(['UNAVAILABLE', 'UNAVAILABLE', 'UNAVAILABLE'])
    expect(joins).toEqual(['redirect'])
    expect(bench.replica(DATA).raft.term).toBeLessThan(99)
    expect([bench.batches.length, bench.sent.length]).toEqual([batches, sent])
  })

  it('writes nothing more to the log from the moment that it is done, whatever still comes in until then', async () => {
    const { bench, client } = await leading()
    const requests = Array.from({ length: 200 }, (_, at) => put(`a ${at}`, 'x'))
    let stopped = 0
    for (const [at, request] of requests.entries()) {
      bench.submit(client, request)
      if (at === 100) bench.store.stop(() => stopped++)
      if (stopped === 1) break
      await bench.runFor(0.1)
      bench.receive(2, heartbeat(2, 50 + at))
    }
    await bench.runWhile(() => stopped === 0)
    const batches = bench.batches.length
    bench.receive(2, heartbeat(2, 999))
    await bench.runFor(2_000)
    expect(bench.batches.length).toBe(batches)
    expect(bench.batches.every(({ durable }) => durable)).toBe(true)
    expect(bench.failures).toEqual([])
  })

  it('has its state durable, so that the next start replays nothing even if the power fails behind it', async () => {
    let applied = 0
    const bench = await Bench.open({
      onApplied: () => {
        applied++
      },
    })
    const client = new Client()
    await bench.leads(DATA)
    const keys = Array.from({ length: 50 }, (_, at) => `key ${at}`)
    for (const key of keys) await bench.ask(client, put(key, key))
    await bench.stop()
    bench.crash()
    applied = 0
    await bench.start()
    expect(applied).toBe(0)
    await bench.leads(DATA)
    // The first entry of its new term, in each range; nothing else.
    expect(applied).toBeLessThanOrEqual(2)
    const read = get(keys)
    await bench.ask(client, read)
    expect(client.values(read)).toEqual(keys)
  })

  it('stops with nothing new to write, too', async () => {
    const bench = await Bench.open()
    await bench.stop()
    await bench.start()
    await bench.stop()
    expect(bench.failures).toEqual([])
  })
})
