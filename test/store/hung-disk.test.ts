import { describe, expect, it } from 'vitest'
import type { RangeId } from '../../src/base/ids.js'
import { SimCluster } from '../../src/testing/cluster.js'

const DATA_RANGE = 2 as RangeId

describe('a node whose disk hangs', () => {
  it.each([1, 2, 3, 4, 5])(
    'steps down within a second of the first write that is not synced, and its ranges serve elsewhere (seed %d)',
    async (seed) => {
      const cluster = new SimCluster({ seed })
      await cluster.start()
      const db = cluster.client()
      await cluster.run(() => db.put('before', 1))
      const hung = cluster.node(cluster.leaderOf(DATA_RANGE)!)
      const replica = hung.store!.replica(DATA_RANGE)!
      hung.disk.hang()
      // The first write that meets the hung disk; a majority of others still commits it.
      await cluster.run(() => db.put('during', 2))
      expect(await cluster.runWhile(() => replica.leads, 1_000)).toBe(true)
      await cluster.run(() => db.put('after', 3), 3_000)
      expect(cluster.leaderOf(DATA_RANGE)).not.toBe(hung.id)
      expect(await cluster.run(() => db.getMany(['before', 'during', 'after']))).toEqual([1, 2, 3])
      // It is left alone by elections as long as its disk is, and takes part again after.
      await cluster.runFor(5_000)
      expect(replica.leads).toBe(false)
      hung.disk.release()
      expect(await cluster.runWhile(() => !cluster.isQuiet, 5_000)).toBe(true)
      cluster.checkQuiet()
      expect(cluster.violations).toEqual([])
    },
  )
})
