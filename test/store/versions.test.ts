import { describe, expect, it } from 'vitest'
import { limits } from '../../src/base/limits.js'
import { VERSION_TICKS_PER_MS, versionAt, versionMs } from '../../src/base/version.js'
import { SimCluster } from '../../src/testing/cluster.js'
import { Bench } from './bench.js'
import { Followers } from './followers.js'
import { Client, DATA, get, origin, put, v } from './requests.js'

const HOUR_MS = 3_600_000
const EPOCH_MS = 1_800_000_000_000

/** Puts again and again while leaders change, and returns the versions in order. */
async function versionsOf(cluster: SimCluster, rounds: number): Promise<number[]> {
  const db = cluster.client()
  const versions: number[] = []
  for (let round = 0; round < rounds; round++) {
    const leader = cluster.leaderOf(DATA)!
    for (let at = 0; at < 3; at++) versions.push((await cluster.run(() => db.put('a', `${round}/${at}`))).version)
    cluster.crash(leader)
    versions.push((await cluster.run(() => db.put('a', `${round}/after`, { deadlineMs: 20_000 }))).version)
    cluster.restart(leader)
    await cluster.runFor(1_500)
  }
  return versions
}

describe('versions', () => {
  it.each([
    { clocks: 'true', clockOffsetsMs: [0, 0, 0], behindMs: 0 },
    { clocks: 'with one an hour ahead', clockOffsetsMs: [HOUR_MS, 0, 0], behindMs: 0 },
    { clocks: 'with one an hour behind', clockOffsetsMs: [0, -HOUR_MS, 0], behindMs: HOUR_MS },
    // Of two clocks that differ the lower one counts: log time may lag, it never runs ahead.
    { clocks: 'all apart', clockOffsetsMs: [-HOUR_MS, 0, HOUR_MS], behindMs: HOUR_MS },
  ])(
    'increase strictly over changes of leader, clocks $clocks, and are never from the future',
    async ({ clockOffsetsMs, behindMs }) => {
      const cluster = new SimCluster({ seed: 'versions', clockOffsetsMs })
      await cluster.start()
      const versions = await versionsOf(cluster, 4)
      for (let at = 1; at < versions.length; at++) expect(versions[at]!).toBeGreaterThan(versions[at - 1]!)
      for (const version of versions) {
        expect(versionMs(v(version)) - EPOCH_MS).toBeLessThanOrEqual(cluster.nowMs + 1)
        expect(versionMs(v(version)) - EPOCH_MS).toBeGreaterThanOrEqual(-behindMs)
      }
      expect(cluster.violations).toEqual([])
    },
  )

  it('a node that starts an hour ahead gives no version before it has heard a majority, and then none from the future', async () => {
    const bench = await Bench.open({ nodes: 3, clockOffsetMs: HOUR_MS })
    const client = new Client()
    await bench.runFor(300)
    new Followers(bench)
    await bench.leads(DATA)
    const request = put('a', '1')
    await bench.ask(client, request)
    expect(versionMs(client.version(request)) - EPOCH_MS).toBeLessThan(10_000)
    expect(versionMs(bench.store.hello().version) - EPOCH_MS).toBeLessThan(10_000)
  })

  it('are known once a majority of the nodes is heard, also while one of them has two replicas of a range', async () => {
    const bench = await Bench.open({ nodes: 3 })
    new Followers(bench)
    const replica = await bench.leads(DATA)
    const { replicas, nextReplica } = replica.descriptor
    const both = [...replicas, { replica: nextReplica, node: replicas[2]!.node, role: 'learner' as const }]
    const next = (nextReplica + 1) as typeof nextReplica
    await bench.runWhile(() => !replica.proposeReplicas({ replicas: both, nextReplica: next }))
    await bench.runWhile(() => replica.descriptor.replicas.length < 4)
    await bench.stop()
    await bench.start()
    expect(bench.store.hello().version).toBe(0)
    bench.receive(2)
    await bench.runFor(5)
    expect(bench.store.hello().version).toBeGreaterThan(0)
  })

  it('a node without replicas that starts an hour ahead tells its clients nothing of that hour', async () => {
    const bench = await Bench.open({ nodes: 3, router: true, clockOffsetMs: HOUR_MS })
    expect(bench.store.hello().version).toBe(0)
    bench.receive(1)
    await bench.runFor(10)
    expect(bench.store.hello().version).toBe(0)
    bench.receive(2)
    await bench.runFor(10)
    expect(versionMs(bench.store.hello().version) - EPOCH_MS).toBeLessThan(1_000)
    expect(versionMs(bench.store.hello().version)).toBeGreaterThanOrEqual(EPOCH_MS)
  })

  it('go on when the own clock jumps, and by no more than a tenth faster', async () => {
    const bench = await Bench.open()
    const client = new Client()
    await bench.leads(DATA)
    const before = put('a', '1')
    await bench.ask(client, before)
    for (const [jumpMs, atMost, atLeast] of [
      [HOUR_MS, 1_101, 999],
      [-HOUR_MS, 1_001, 899],
    ] as const) {
      bench.wallOffsetMs = jumpMs
      const [first, second] = [put('a', '2'), put('a', '3')]
      await bench.ask(client, first)
      await bench.runFor(1_000)
      await bench.ask(client, second)
      const ranMs = versionMs(client.version(second)) - versionMs(client.version(first))
      expect(client.version(first)).toBeGreaterThan(client.version(before))
      expect(ranMs).toBeLessThanOrEqual(atMost)
      expect(ranMs).toBeGreaterThanOrEqual(atLeast)
    }
  })

  it('lie above what the client has seen', async () => {
    const bench = await Bench.open()
    const client = new Client()
    await bench.leads(DATA)
    const seen = v(bench.store.now + 1_000 * VERSION_TICKS_PER_MS)
    const [first, second] = [put('a', '1', { seen }), put('a', '2')]
    await bench.ask(client, first)
    await bench.ask(client, second)
    expect(client.version(first)).toBeGreaterThan(seen)
    expect(client.version(second)).toBeGreaterThan(client.version(first))
  })

  it('go on above the last one of the log after a restart with a clock that went back', async () => {
    const bench = await Bench.open({ clockOffsetMs: HOUR_MS })
    const client = new Client()
    await bench.leads(DATA)
    const first = put('a', '1')
    await bench.ask(client, first)
    bench.crash()
    await bench.start()
    bench.wallOffsetMs = -HOUR_MS
    await bench.leads(DATA)
    const second = put('a', '2')
    await bench.ask(client, second)
    expect(client.version(second)).toBeGreaterThan(client.version(first))
  })
})

describe('the door', () => {
  it('refuses versions more than two seconds ahead as VERSION_TOO_FAR, in reads, writes and origins', async () => {
    const bench = await Bench.open()
    const client = new Client()
    await bench.leads(DATA)
    const inMs = (ms: number) => versionAt(versionMs(bench.store.now) + limits.versionAheadMsMax + ms)
    const far = inMs(1_000)
    const refused = [
      get(['a'], { seen: far }),
      { ...get(['a'], { seen: far }), weak: { kind: 'follower' as const } },
      put('a', '1', { seen: far }),
      put('a', '1', { origin: origin('writer', 1, { firstSent: far }) }),
    ]
    const taken = [get(['a'], { seen: inMs(-1_000) }), put('a', '1', { seen: inMs(-1_000) })]
    await bench.ask(client, ...refused, ...taken)
    expect(refused.map((request) => client.said(request))).toEqual(refused.map(() => 'VERSION_TOO_FAR'))
    expect(taken.map((request) => client.said(request))).toEqual(['rows', 'written'])
  })

  it('is not known to a leader that has come to distrust the clocks it heard: the client is to ask again, not to give up', async () => {
    const bench = await Bench.open({ nodes: 3 })
    const followers = new Followers(bench)
    await bench.leads(DATA)
    followers.deafTo.add('heartbeat')
    followers.deafTo.add('append')
    bench.wallOffsetMs = 60_000
    const client = new Client()
    const read = get(['a'], { seen: versionAt(EPOCH_MS + Math.floor(bench.scheduler.nowMs) + 60_000) })
    await bench.ask(client, read)
    expect(client.said(read)).toBe('UNAVAILABLE')
  })

  it('goes by the upper median: a leader whose clock is behind does not refuse what the others made', async () => {
    const bench = await Bench.open({ nodes: 3, clockOffsetMs: -HOUR_MS })
    new Followers(bench)
    await bench.leads(DATA)
    const client = new Client()
    const read = get(['a'], { seen: versionAt(EPOCH_MS + Math.floor(bench.scheduler.nowMs)) })
    await bench.ask(client, read)
    expect(client.said(read)).toBe('rows')
  })
})
