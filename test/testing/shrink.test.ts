import { describe, expect, it } from 'vitest'
import type { SimCluster } from '../../src/testing/cluster.js'
import type { FaultPlan } from '../../src/testing/fault-plan.js'
import { kindOfViolation, shrinkPlan } from '../../src/testing/shrink.js'
import { planOf, type SimulationResult, simulateSeed } from '../../src/testing/simulation.js'

const plan = planOf({ seed: 5 })
const failedAtMs = plan.healedMs

/** Which seed meets it depends on all that is drawn. */
async function firstFailure(): Promise<SimulationResult> {
  for (let seed = 1; seed <= 100; seed++) {
    const quiet = { ...planOf({ seed, faultyMs: 8_000 }), clients: 1, thinkMsMax: 100 }
    const result = await simulateSeed({ seed, plan: quiet, prepare: plantBug })
    if (result.violations.length > 0) return result
  }
  throw new Error('no seed meets the planted bug')
}

describe('shrinking a plan', () => {
  it('leaves the faults without which it does not fail, and nothing else', async () => {
    const needed = [plan.faults[3]!, plan.faults.at(-4)!]
    const fails = async ({ faults }: FaultPlan) => needed.every(({ atMs }) => faults.some((each) => each.atMs === atMs))
    const shrunk = await shrinkPlan({ plan, failedAtMs, fails })
    expect(shrunk.plan.faults.map(({ atMs, kind }) => ({ atMs, kind }))).toEqual(
      needed.map(({ atMs, kind }) => ({ atMs, kind })),
    )
    expect(shrunk.plan).toMatchObject({ clients: 1, ranges: 1, quality: { loss: 0 }, clockOffsetsMs: [0, 0, 0] })
    expect(shrunk.plan.healedMs).toBeLessThan(plan.healedMs)
  })

  it('gives back what it was given where all of it is needed', async () => {
    expect((await shrinkPlan({ plan, failedAtMs, fails: async () => false })).plan).toBe(plan)
  })

  it('ends after its number of tries, and when there is no time left', async () => {
    const fails = async () => true
    expect((await shrinkPlan({ plan, failedAtMs, fails, triesMax: 3 })).tries).toBe(3)
    let left = 5
    expect((await shrinkPlan({ plan, failedAtMs, fails, isOver: () => left-- <= 0 })).tries).toBe(5)
  })

  it('finds the two faults of a run that meet in a planted bug', async () => {
    const failed = await firstFailure()
    const run = (each: FaultPlan) => simulateSeed({ seed: failed.seed, plan: each, prepare: plantBug })
    const kind = kindOfViolation(failed.violations[0]!)
    const shrunk = await shrinkPlan({
      plan: failed.plan,
      failedAtMs: failed.virtualMs,
      fails: async (each) => (await run(each)).violations.some((violation) => kindOfViolation(violation) === kind),
    })
    expect(shrunk.plan.faults.length).toBeLessThanOrEqual(3)
    expect(shrunk.plan.faults.length).toBeLessThan(failed.plan.faults.length)
    expect((await run(shrunk.plan)).violations).toHaveLength(1)
  })

  it('tells violations apart by what they say, not by their numbers', () => {
    expect(kindOfViolation('key 05 was not linearizable:\n...')).toBe(kindOfViolation('key 11/a was not linearizable:'))
    expect(kindOfViolation('node 1 failed: x')).not.toBe(kindOfViolation('node 1 failed: y'))
  })
})

/** A node that stands still while another is down is taken for a mistake. */
function plantBug(cluster: SimCluster): void {
  const look = () => {
    const paused = cluster.nodes.find((node) => node.isPaused)
    const down = cluster.nodes.find((node) => !node.isUp)
    if (paused !== undefined && down !== undefined)
      cluster.report(`planted: ${paused.place} stands, ${down.place} is down`)
    else cluster.scheduler.schedule(5, look)
  }
  look()
}
