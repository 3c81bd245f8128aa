import { describe, expect, it } from 'vitest'
import type { Fault, FaultPlan } from '../../src/testing/fault-plan.js'
import { calmLink } from '../../src/testing/network.js'
import { simulateSeed } from '../../src/testing/simulation.js'
import type { StateGuard } from '../../src/testing/state-db.js'

const KiB = 1024
/** A guard that is gone must be missed within so many runs. */
const RUNS = 4

/** Small logs and frequent syncs: what is lost from the state is not replayed any more. */
function planOf(faults: readonly Fault[]): FaultPlan {
  return {
    nodes: 3,
    ranges: 2,
    clients: 6,
    thinkMsMax: 5,
    faults,
    healedMs: 5_500,
    clockOffsetsMs: [],
    syncMsMax: 1,
    quality: calmLink,
    keptBytesMax: 0,
    stateSyncEveryBytes: 4 * KiB,
    historyKeptMs: 600_000,
    sessionKeptMs: 600_000,
  }
}

const timesMs = [1_000, 1_800, 2_600, 3_400, 4_200, 5_000]

const everywhere = timesMs.map((atMs): Fault => ({ atMs, forMs: 100, kind: 'crash', targets: [1, 2, 3] }))

/** After each the old state is deleted, beside whatever is read. */
const replaced = timesMs.map((atMs, at): Fault => {
  return { atMs, forMs: 50, kind: 'harm', harm: 'record hidden', target: 1 + (at % 3) }
})

const hidden = timesMs.map(
  (atMs): Fault => ({ atMs, forMs: 50, kind: 'harm', harm: 'record hidden', target: 'leader' }),
)

const cases: readonly (readonly [StateGuard, readonly Fault[]])[] = [
  ['sync of all files', everywhere],
  ['wait for the sync', everywhere],
  ['read barrier', replaced],
  ['walk over the files', hidden],
]

async function firstViolation(faults: readonly Fault[], without: readonly StateGuard[]): Promise<string | null> {
  for (let seed = 1; seed <= RUNS; seed++) {
    const { violations } = await simulateSeed({ seed, plan: planOf(faults), stateWithout: without })
    if (violations[0] !== undefined) return violations[0]
  }
  return null
}

describe('what LevelDB does to a state is harmless, and seen where its guard is missing', () => {
  it.each(cases)('%s', async (guard, faults) => {
    const { violations } = await simulateSeed({ seed: 1, plan: planOf(faults) })
    expect(violations).toEqual([])
    expect(await firstViolation(faults, [guard])).not.toBeNull()
  })
})
