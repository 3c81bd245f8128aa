import { describe, expect, it } from 'vitest'
import { SimCluster } from '../../src/testing/cluster.js'
import type { DiskCopy } from '../../src/testing/disk.js'

const DATA = 2

/** Both ways between a node and all others. */
function links(cluster: SimCluster, id: number): (readonly [string, string])[] {
  const { place } = cluster.node(id)
  const others = cluster.nodes.filter((node) => node.id !== id)
  return others.flatMap((other) => [[place, other.place] as const, [other.place, place] as const])
}

/** What an older copy of node `old`'s disk leads to, where the other node that could elect it has not seen what only the leader has. */
async function meetsOldCopy(cluster: SimCluster, makeCopy: (old: number) => Promise<DiskCopy>): Promise<void> {
  await cluster.start()
  const db = cluster.client()
  await cluster.run(() => db.put('a', 'before'))
  const leader = cluster.leaderOf(DATA)!
  const [old, other] = cluster.nodes.map((node): number => node.id).filter((id) => id !== leader) as [number, number]
  const copy = await makeCopy(old)
  // Only the leader and the node whose disk is about to be exchanged have this.
  for (const [from, to] of links(cluster, other)) cluster.network.block(from, to)
  await cluster.run(() => db.put('a', 'after'))
  const keptOut: number[] = []
  cluster.onKeptOut = ({ id }) => keptOut.push(id)
  cluster.crash(leader)
  cluster.rollBack(old, copy)
  for (const [from, to] of links(cluster, other)) cluster.network.unblock(from, to)
  cluster.restart(old)
  await cluster.runFor(5_000)
  expect([keptOut, cluster.leaderOf(DATA)]).toEqual([[old], null])
  cluster.restart(leader)
  await cluster.run(() => cluster.rejoin(old))
  expect(await cluster.run(() => db.get('a', { deadlineMs: 20_000 }))).toBe('after')
  expect(await cluster.runWhile(() => cluster.lack !== null || !cluster.isQuiet, 30_000)).toBe(true)
  cluster.checkQuiet()
  expect(cluster.violations).toEqual([])
}

describe('a node on an older copy of its disk helps nobody to lead without what it acknowledged since', () => {
  it.each([1, 2, 3])('made between two starts (seed %i)', async (seed) => {
    const cluster = new SimCluster({ seed: `old copy ${seed}` })
    await meetsOldCopy(cluster, async (old) => {
      cluster.crash(old)
      const copy = cluster.node(old).disk.copy()
      cluster.restart(old)
      const isBack = () => cluster.node(old).isLetInByAll && cluster.isQuiet
      expect(await cluster.runWhile(() => !isBack(), 10_000)).toBe(true)
      return copy
    })
  })

  it.each([1, 2, 3])('made while it ran (seed %i)', async (seed) => {
    const cluster = new SimCluster({ seed: `copy of a running disk ${seed}` })
    await meetsOldCopy(cluster, async (old) => {
      const copy = cluster.node(old).disk.copy()
      const db = cluster.client()
      for (const value of ['1', '2', '3']) await cluster.run(() => db.put('b', value))
      // How far its log reaches now is heard and written down by the others.
      await cluster.runFor(5_000)
      return copy
    })
  })
})
