import { expect, it } from 'vitest'
import { HoldfastError } from '../../src/base/errors.js'
import type { RangeId } from '../../src/base/ids.js'
import { SimCluster } from '../../src/testing/cluster.js'

const DATA = 2 as RangeId
/** Later than a leader finds that it hears nobody, sooner than the others elect another one. */
const DEADLINE_MS = 950

it.each([1, 2, 3])(
  'a write that was on its way when its leader lost the lead may be applied by the next one, and is told so (seed %i)',
  async (seed) => {
    const cluster = new SimCluster({ seed: `unknown ${seed}` })
    await cluster.start()
    const db = cluster.client()
    await cluster.run(() => db.put('a', 'before'))
    const leader = cluster.leaderOf(DATA)!
    const { place, store } = cluster.node(leader)
    // Its entries arrive, and nobody's word comes back.
    for (const other of cluster.nodes) if (other.id !== leader) cluster.network.block(other.place, place)
    let said = ''
    await cluster.run(async () => {
      await db.put('a', 'after', { deadlineMs: DEADLINE_MS }).catch((error: unknown) => {
        said =
          error instanceof HoldfastError
            ? `${error.code}, may have been applied: ${error.mayHaveBeenApplied}`
            : `${error}`
      })
    })
    expect(store!.replica(DATA)!.leads).toBe(false)
    expect(said).toBe('OUTCOME_UNKNOWN, may have been applied: true')
    cluster.network.healAll()
    expect(await cluster.run(() => db.get('a', { deadlineMs: 20_000 }))).toBe('after')
    expect(cluster.violations).toEqual([])
  },
)
