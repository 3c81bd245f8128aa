import { describe, expect, it } from 'vitest'
import type { RangeId } from '../../src/base/ids.js'
import { SimCluster, type SimClusterOptions } from '../../src/testing/cluster.js'
import { Client, split } from '../store/requests.js'
import { expectAll, fill, replicasOf } from './data.js'

const DATA = 2

async function started(options: SimClusterOptions): Promise<SimCluster> {
  const cluster = new SimCluster({ syncMsMax: 2, ...options })
  await cluster.start()
  return cluster
}

function isReplaced(cluster: SimCluster, range: number, node: number): boolean {
  const replicas = replicasOf(cluster, range)
  return (
    replicas.length === 3 &&
    replicas.every((each) => each.endsWith(' voter')) &&
    !replicas.includes(`${node}@${node} voter`)
  )
}

describe('a node with an empty disk', () => {
  it('gets new replica ids, as learners first, and ends as a voter with equal data', async () => {
    const cluster = await started({ seed: 'wiped' })
    const written = await fill(cluster, 'a', 300)
    cluster.wipe(3)
    await cluster.runFor(1_000)
    cluster.restart(3)
    const seen = new Set<string>()
    const back = await cluster.runWhile(() => {
      for (const each of replicasOf(cluster, DATA)) seen.add(each)
      return !(isReplaced(cluster, 1, 3) && isReplaced(cluster, DATA, 3) && cluster.isQuiet)
    }, 20_000)
    expect(cluster.violations).toEqual([])
    expect(replicasOf(cluster, DATA)).toEqual(['1@1 voter', '2@2 voter', '4@3 voter'])
    expect(back).toBe(true)
    expect([...seen]).toContain('4@3 learner')
    // The new one counts: the others one by one may go now.
    cluster.crash(1)
    await expectAll(cluster, written)
    expect(cluster.violations).toEqual([])
  })
})

describe('a node that was away too long', () => {
  it('gets a snapshot once the log it needs is gone, keeps its id, and two in a row if it takes that long', async () => {
    const cluster = await started({ seed: 'away', keptBytesMax: 40_000 })
    await fill(cluster, 'a', 20)
    cluster.crash(3)
    const written = await fill(cluster, 'b', 600, 500)
    cluster.restart(3)
    const more = await fill(cluster, 'c', 300, 500)
    expect(await cluster.runWhile(() => !cluster.isQuiet, 30_000)).toBe(true)
    const replica = cluster.node(3).store!.replica(DATA as RangeId)!
    expect(replica.incarnation).toBeGreaterThan(0)
    expect(replicasOf(cluster, DATA)).toEqual(['1@1 voter', '2@2 voter', '3@3 voter'])
    cluster.crash(cluster.leaderOf(DATA)!)
    await expectAll(cluster, written)
    await expectAll(cluster, more)
    expect(cluster.violations).toEqual([])
  })

  // etcd 18055.
  it.each(['crashed', 'cut off'])(
    'gets a second snapshot right behind the first, %s in between, and ends with what both brought',
    async (how) => {
      const cluster = await started({ seed: `twice ${how}`, keptBytesMax: 40_000 })
      await fill(cluster, 'a', 20)
      const away = [1, 2, 3].find((id) => id !== cluster.leaderOf(DATA) && id !== cluster.leaderOf(1))!
      const others = [1, 2, 3].filter((id) => id !== away)
      const ways = others.flatMap((id) => {
        const [one, other] = [cluster.node(away).place, cluster.node(id).place]
        return [[one, other] as const, [other, one] as const]
      })
      cluster.crash(away)
      const written = [await fill(cluster, 'b', 300, 500)]
      cluster.restart(away)
      const incarnation = () => cluster.node(away).store?.replica(DATA as RangeId)?.incarnation ?? 0
      expect(await cluster.runWhile(() => incarnation() === 0, 30_000)).toBe(true)
      if (how === 'crashed') cluster.crash(away)
      else for (const [from, to] of ways) cluster.network.block(from, to)
      // So long the log behind a snapshot is kept for who took it in.
      await cluster.runFor(11_000)
      written.push(await fill(cluster, 'c', 600, 500))
      if (how === 'crashed') cluster.restart(away)
      else for (const [from, to] of ways) cluster.network.unblock(from, to)
      const second = how === 'crashed' ? 1 : 2
      const taking = () => cluster.node(away).store?.snapshots.in ?? 1
      const isDone = () => cluster.isQuiet && incarnation() >= second && taking() === 0
      expect(await cluster.runWhile(() => !isDone(), 30_000)).toBe(true)
      // With the other one gone it has to answer for all of it.
      cluster.crash(others[0]!)
      for (const each of written) await expectAll(cluster, each)
      expect(cluster.violations).toEqual([])
    },
  )

  it('keeps the log from going where it is only a little behind', async () => {
    const cluster = await started({ seed: 'little', keptBytesMax: 10_000_000 })
    cluster.crash(3)
    await fill(cluster, 'b', 300, 500)
    cluster.restart(3)
    expect(await cluster.runWhile(() => !cluster.isQuiet, 10_000)).toBe(true)
    expect(cluster.node(3).store!.replica(DATA as RangeId)!.incarnation).toBe(0)
  })
})

describe('crashes while replicas are replaced', () => {
  it.each([1, 2, 3, 4, 5, 6])(
    'of any node, again and again, lose nothing and leave nothing half done (seed %i)',
    async (seed) => {
      const cluster = await started({ seed: `crashes ${seed}`, keptBytesMax: 40_000, syncMsMax: 4 })
      const random = cluster.random.fork('crashes')
      const written = await fill(cluster, 'a', 150, 300)
      cluster.wipe(3)
      cluster.restart(3)
      for (let round = 0; round < 12; round++) {
        // Short and long waits, so that the crash falls into every step of change and snapshot.
        await cluster.runFor(random.chance(0.5) ? random.between(0, 300) : random.between(300, 2_500))
        const struck = random.between(1, 4) | 0
        cluster.crash(struck)
        await cluster.runFor(random.between(0, 400))
        cluster.restart(struck)
      }
      const back = await cluster.runWhile(
        () => !(isReplaced(cluster, 1, 3) && isReplaced(cluster, DATA, 3) && cluster.isQuiet),
        60_000,
      )
      expect(cluster.violations).toEqual([])
      expect([replicasOf(cluster, 1), replicasOf(cluster, DATA), back]).toEqual([
        expect.anything(),
        expect.anything(),
        true,
      ])
      await expectAll(cluster, written)
      cluster.checkQuiet()
      expect(cluster.violations).toEqual([])
    },
  )

  it.each([1, 2, 3])(
    'of the leader whenever the replicas change: the next one finishes what was begun (seed %i)',
    async (seed) => {
      const cluster = await started({ seed: `leader ${seed}` })
      const written = await fill(cluster, 'a', 100)
      cluster.wipe(2)
      cluster.restart(2)
      let last = replicasOf(cluster, DATA).join()
      let crashes = 0
      const deadline = cluster.nowMs + 90_000
      while (cluster.nowMs < deadline && !isReplaced(cluster, DATA, 2)) {
        await cluster.runWhile(() => {
          const now = replicasOf(cluster, DATA).join()
          return now === '' || now === last
        }, 10_000)
        last = replicasOf(cluster, DATA).join()
        const leader = cluster.leaderOf(DATA)
        if (leader === null || leader === 2) continue
        cluster.crash(leader)
        crashes++
        await cluster.runFor(100)
        cluster.restart(leader)
        await cluster.runWhile(() => cluster.leaderOf(DATA) === null, 5_000)
      }
      expect(cluster.violations).toEqual([])
      expect(crashes).toBeGreaterThan(2)
      expect(
        await cluster.runWhile(
          () => !(isReplaced(cluster, 1, 2) && isReplaced(cluster, DATA, 2) && cluster.isQuiet),
          30_000,
        ),
      ).toBe(true)
      await expectAll(cluster, written)
      expect(cluster.violations).toEqual([])
    },
  )
})

describe('a replica whose state is lost', () => {
  it('keeps its id, its vote and its log, and is given the state by a snapshot', async () => {
    const cluster = await started({ seed: 'state lost' })
    const written = await fill(cluster, 'a', 200)
    const term = cluster.node(3).store!.replica(DATA as RangeId)!.raft.term
    cluster.crash(3)
    cluster.node(3).loseState()
    cluster.restart(3)
    await cluster.runWhile(() => !cluster.node(3).serves, 1_000)
    const replica = cluster.node(3).store!.replica(DATA as RangeId)!
    expect(replica.hasState).toBe(false)
    expect(replica.raft.term).toBeGreaterThanOrEqual(term)
    expect(await cluster.runWhile(() => !(replica.hasState && cluster.isQuiet), 20_000)).toBe(true)
    expect(replicasOf(cluster, DATA)).toEqual(['1@1 voter', '2@2 voter', '3@3 voter'])
    cluster.crash(cluster.leaderOf(DATA)!)
    await expectAll(cluster, written)
    expect(cluster.violations).toEqual([])
  })

  it('waits for it over restarts too, and never serves or leads meanwhile', async () => {
    const cluster = await started({ seed: 'state lost again' })
    const written = await fill(cluster, 'a', 50)
    cluster.crash(3)
    cluster.node(3).loseState()
    // Alone it can't be given anything; what it knows about itself must last.
    cluster.crash(1)
    cluster.crash(2)
    for (let round = 0; round < 3; round++) {
      cluster.restart(3)
      await cluster.runFor(3_000)
      const replica = cluster.node(3).store!.replica(DATA as RangeId)!
      expect([replica.hasState, replica.raft.role]).toEqual([false, 'follower'])
      cluster.crash(3)
    }
    for (const id of [1, 2, 3]) cluster.restart(id)
    expect(
      await cluster.runWhile(
        () => !cluster.isQuiet || !cluster.node(3).store!.replica(DATA as RangeId)!.hasState,
        20_000,
      ),
    ).toBe(true)
    await expectAll(cluster, written)
    expect(cluster.violations).toEqual([])
  })
})

describe('a voter that was removed', () => {
  it('cannot disturb, is told, and leaves a tombstone that late messages do not pass', async () => {
    const cluster = await started({ seed: 'removed' })
    const leader = cluster.leaderOf(DATA)!
    const out = leader === 3 ? 2 : 3
    const store = cluster.node(leader).store!
    const replica = store.replica(DATA as RangeId)!
    const others = cluster.nodes.filter(({ id }) => id !== out).map(({ place }) => place)
    for (const place of others) {
      cluster.network.block(place, cluster.node(out).place)
      cluster.network.block(cluster.node(out).place, place)
    }
    const { replicas, nextReplica } = replica.descriptor
    const joint = replicas.map((each) => (each.node === out ? ({ ...each, role: 'outgoing' } as const) : each))
    expect(await cluster.runWhile(() => !replica.proposeReplicas({ replicas: joint, nextReplica }), 2_000)).toBe(true)
    expect(await cluster.runWhile(() => replica.descriptor.replicas.length > 2, 10_000)).toBe(true)
    const { term } = replica.raft
    await cluster.runFor(3_000)
    cluster.network.healAll()
    expect(await cluster.runWhile(() => cluster.node(out).store!.replica(DATA as RangeId) !== undefined, 10_000)).toBe(
      true,
    )
    expect([replica.raft.term, replica.leads]).toEqual([term, true])
    // It stays out over a restart.
    await cluster.runFor(1_000)
    cluster.crash(out)
    cluster.restart(out)
    await cluster.runFor(3_000)
    expect(cluster.node(out).store!.replica(DATA as RangeId)).toBeUndefined()
    expect(cluster.violations).toEqual([])
  })
})

describe('a tombstone', () => {
  it("comes behind a checkpoint of what was cut off: a split's child outlives the log of its parent", async () => {
    const cluster = await started({ seed: 'child' })
    await fill(cluster, 'k', 20)
    const leader = cluster.leaderOf(DATA)!
    const out = leader === 3 ? 2 : 3
    const store = cluster.node(leader).store!
    const parent = store.replica(DATA as RangeId)!
    const client = new Client()
    store.submit([split('k15')], client)
    expect(await cluster.runWhile(() => [...store.replicas].length < 3, 5_000)).toBe(true)
    const child = [...store.replicas].at(-1)!.range
    const { replicas, nextReplica } = parent.descriptor
    const joint = replicas.map((each) => (each.node === out ? ({ ...each, role: 'outgoing' } as const) : each))
    expect(await cluster.runWhile(() => !parent.proposeReplicas({ replicas: joint, nextReplica }), 5_000)).toBe(true)
    const at = cluster.node(out)
    expect(await cluster.runWhile(() => at.store!.replica(DATA as RangeId) !== undefined, 5_000)).toBe(true)
    await cluster.runFor(200)
    cluster.crash(out)
    cluster.restart(out)
    await cluster.runWhile(() => !at.serves, 1_000)
    await cluster.runFor(500)
    expect(at.store!.replica(DATA as RangeId)).toBeUndefined()
    expect(at.store!.replica(child)).toMatchObject({ id: out, hasState: true })
    expect(cluster.violations).toEqual([])
  })
})
