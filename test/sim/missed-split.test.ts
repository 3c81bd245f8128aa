import { describe, expect, it } from 'vitest'
import type { RangeId } from '../../src/base/ids.js'
import { SimCluster } from '../../src/testing/cluster.js'
import { isComplete } from '../volume.js'
import { expectAll, fill, replicasOf } from './data.js'

const DATA = 2

/** A cluster that keeps little log for who is away. */
async function started(seed: string): Promise<SimCluster> {
  const cluster = new SimCluster({ syncMsMax: 2, seed, keptBytesMax: 40_000 })
  await cluster.start()
  return cluster
}

/**
 * One node is down; meanwhile the range is split at each of the keys, the last first, and so much is written to all pieces that the
 * log of the splits is let go of.
 */
async function missing(cluster: SimCluster, at: readonly string[]) {
  await fill(cluster, 'a', 20, 500)
  const away = [3, 2, 1].find((id) => id !== cluster.leaderOf(DATA) && id !== cluster.leaderOf(1))!
  cluster.crash(away)
  const db = cluster.client()
  const children: number[] = []
  for (const key of at) children.push((await cluster.run(() => db.split(key))).range)
  const written = await fill(cluster, 'b', 400, 500)
  for (const prefix of at) for (const [key, value] of await fill(cluster, prefix, 400, 500)) written.set(key, value)
  const others = [1, 2, 3].filter((id) => id !== away) as [number, number]
  return { away, others, children, written }
}

const here = (cluster: SimCluster, node: number, range: number) => cluster.node(node).store?.replica(range as RangeId)

describe('a node that was down while a range was split, and gets its state by a snapshot from behind', () => {
  it('makes the voter that the split named: under its id, without help, before anybody gives it another', async () => {
    const cluster = await started('missed')
    const { away, children, written } = await missing(cluster, ['m'])
    const [child] = children as [number]
    const before = replicasOf(cluster, child)
    cluster.restart(away)
    const back = await cluster.runWhile(() => !(here(cluster, away, child)?.hasState && cluster.isQuiet), 10_000)
    expect(cluster.violations).toEqual([])
    expect([back, replicasOf(cluster, child)]).toEqual([true, before])
    expect(here(cluster, away, DATA)!.incarnation).toBeGreaterThan(0)
    expect(here(cluster, away, child)!.id).toBe(away)
    // It counts: any other may lose its disk now.
    const lost = cluster.leaderOf(child)!
    cluster.wipe(lost)
    await expectAll(cluster, written)
    cluster.restart(lost)
    expect(await cluster.runWhile(() => cluster.lack !== null || !cluster.isQuiet, 30_000)).toBe(true)
    cluster.checkQuiet()
    expect(cluster.violations).toEqual([])
  })

  it.each([[['m']], [['t', 'm']], [['m', 't']]])(
    'saves what was cut off (%j) when the disk of another one is lost before it is back',
    async (at) => {
      const cluster = await started(`stranded ${at}`)
      const { away, others, written } = await missing(cluster, at)
      cluster.wipe(others[0])
      await cluster.runFor(1_000)
      cluster.restart(others[0])
      cluster.restart(away)
      const back = await cluster.runWhile(() => cluster.lack !== null || !cluster.isQuiet, 30_000)
      expect([back, cluster.lack, cluster.unrest]).toEqual([true, null, null])
      await expectAll(cluster, written)
      cluster.checkQuiet()
      expect(cluster.violations).toEqual([])
    },
  )

  it.each(isComplete ? [1, 2, 3, 4] : [1])(
    'does so under crashes of it at any moment, one vote a term (seed %i)',
    async (seed) => {
      const cluster = await started(`crashes ${seed}`)
      const random = cluster.random.fork('crashes')
      const { away, others, written } = await missing(cluster, ['t', 'm'])
      cluster.wipe(others[0])
      cluster.restart(others[0])
      cluster.restart(away)
      for (let round = 0; round < 15; round++) {
        // Short and long waits, so that the crash falls into every step of snapshot, placement and election.
        await cluster.runFor(random.chance(0.5) ? random.between(0, 300) : random.between(300, 1_500))
        cluster.crash(away)
        await cluster.runFor(random.between(0, 100))
        cluster.restart(away)
      }
      const back = await cluster.runWhile(() => cluster.lack !== null || !cluster.isQuiet, 60_000)
      expect([back, cluster.lack, cluster.unrest]).toEqual([true, null, null])
      await expectAll(cluster, written)
      cluster.checkQuiet()
      expect(cluster.violations).toEqual([])
    },
  )
})

describe('a node that has a split in its log, and does not know that it was committed', () => {
  /** Two nodes commit the split, and the one of them that follows is gone before it hears of it; the third was away, and is back. */
  async function heldBack(seed: string) {
    const cluster = await started(seed)
    const written = await fill(cluster, 'p', 20, 500)
    const leader = cluster.leaderOf(DATA)!
    const [holder, away] = [1, 2, 3].filter((id) => id !== leader) as [number, number]
    cluster.crash(away)
    for (const [key, value] of await fill(cluster, 'a', 400, 500)) written.set(key, value)
    const split = cluster.run(() => cluster.client().split('m'))
    const isCommitted = () => here(cluster, leader, DATA)!.descriptor.generation > 1
    expect(await cluster.runWhile(() => !isCommitted(), 10_000)).toBe(true)
    expect(here(cluster, holder, DATA)!.descriptor.generation).toBe(1)
    cluster.crash(holder)
    cluster.restart(away)
    const child = (await split).range
    const { machine } = here(cluster, leader, DATA)!
    const isInLog = () => here(cluster, leader, DATA)!.truncated <= machine.bookkeeping.splits[0]!.index
    // For a while it is kept for the one that was away.
    for (let round = 0; round < 20 && isInLog(); round++) {
      await cluster.runFor(1_000)
      for (const [key, value] of await fill(cluster, 'b', 100, 500)) written.set(key, value)
    }
    expect(isInLog()).toBe(false)
    return { cluster, holder, child, written }
  }

  it('learns it from the snapshot that would have taken it past the split, and makes the child of what it holds', async () => {
    const { cluster, holder, child, written } = await heldBack('held')
    cluster.restart(holder)
    const back = await cluster.runWhile(() => cluster.lack !== null || !cluster.isQuiet, 30_000)
    expect([back, cluster.lack, cluster.unrest]).toEqual([true, null, null])
    expect(here(cluster, holder, DATA)!.incarnation).toBeGreaterThan(0)
    // No snapshot brought this one: it is its own copy, and not that of the one disk that could have been lost meanwhile.
    expect(here(cluster, holder, child)!.incarnation).toBe(0)
    await expectAll(cluster, written)
    cluster.checkQuiet()
    expect(cluster.violations).toEqual([])
  })
})

describe('a node that is given a new id in the parent while the range is split', () => {
  it('is a voter of the child under the id that the split named, whatever the leader says to the new one', async () => {
    const cluster = await started('two ids')
    await fill(cluster, 'a', 20, 500)
    const away = [3, 2, 1].find((id) => id !== cluster.leaderOf(DATA) && id !== cluster.leaderOf(1))!
    cluster.wipe(away)
    await cluster.runFor(500)
    cluster.restart(away)
    const learner = () => {
      const replica = here(cluster, away, DATA)
      return replica?.hasState && replica.descriptor.replicas.some((each) => each.replica === replica.id)
    }
    expect(await cluster.runWhile(() => !learner(), 20_000)).toBe(true)
    // So that it has durably been a member, and is none that votes.
    await cluster.runFor(60)
    cluster.crash(away)
    const roles = () => replicasOf(cluster, DATA).map((each) => each.split(' ')[1])
    expect(roles()).toEqual(['voter', 'voter', 'voter', 'learner'])
    const child = (await cluster.run(() => cluster.client().split('m'))).range
    const written = await fill(cluster, 'p', 400, 500)
    for (let round = 0; round < 15; round++) {
      await cluster.runFor(1_000)
      for (const [key, value] of await fill(cluster, 'b', 100, 500)) written.set(key, value)
    }
    const before = replicasOf(cluster, child)
    expect(before).toHaveLength(3)
    cluster.restart(away)
    expect(
      await cluster.runWhile(
        () => here(cluster, away, child) === undefined || here(cluster, away, child) === null,
        15_000,
      ),
    ).toBe(true)
    const lost = [1, 2, 3].find((id) => id !== away && id !== cluster.leaderOf(child))!
    cluster.wipe(lost)
    await cluster.runFor(500)
    cluster.restart(lost)
    expect(await cluster.runWhile(() => cluster.lack !== null || !cluster.isQuiet, 60_000)).toBe(true)
    expect(replicasOf(cluster, child).filter((each) => before.includes(each))).toHaveLength(2)
    await expectAll(cluster, written)
    expect(cluster.violations).toEqual([])
  })
})
