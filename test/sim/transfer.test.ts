import { describe, expect, it } from 'vitest'
import type { NodeId } from '../../src/base/ids.js'
import { SimCluster } from '../../src/testing/cluster.js'
import { DATA } from '../store/requests.js'

async function cluster(seed: number) {
  const made = new SimCluster({ seed })
  await made.start()
  const db = made.client()
  await made.run(() => db.put('a', 0))
  await made.runFor(500)
  const leader = () => made.leaderOf(DATA)!
  const followers = () => made.nodes.map(({ id }) => id).filter((id) => id !== leader())
  return { made, db, leader, followers }
}

describe('the lead of a range goes where it is told to', () => {
  it.each([1, 2, 3])('round all nodes, under writes none of which fails, seed %i', async (seed) => {
    const { made, db, leader, followers } = await cluster(seed)
    await made.run(async () => {
      let isOver = false
      let written = 0
      const writing = (async () => {
        while (!isOver) await db.put('a', ++written)
      })()
      for (let turn = 0; turn < 6; turn++) {
        const [to] = followers() as [NodeId]
        const before = written
        await db.transfer({ range: DATA, to })
        expect(leader()).toBe(to)
        await db.transfer({ range: DATA, to })
        expect(leader()).toBe(to)
        await until(made, () => written > before + 3)
      }
      isOver = true
      await writing
      expect(await db.get('a')).toBe(written)
    })
    expect(made.violations).toEqual([])
  })

  it('not to a node that is dead: that is said before the deadline is over, and the range serves on', async () => {
    const { made, db, leader, followers } = await cluster(4)
    const old = leader()
    const [dead] = followers() as [NodeId]
    made.crash(dead)
    await made.run(async () => {
      const refused = db.transfer({ range: DATA, to: dead }, { deadlineMs: 2_000 })
      await expect(refused).rejects.toMatchObject({ mayHaveBeenApplied: false })
      await db.put('a', 1)
    })
    expect(leader()).toBe(old)
    expect(made.violations).toEqual([])
  })
})

async function until(made: SimCluster, condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => made.scheduler.schedule(10, resolve, true))
}
