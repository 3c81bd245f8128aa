import { describe, expect, it } from 'vitest'
import { FAULT_NAMES } from '../../src/testing/deeds.js'
import { drawFaultPlan } from '../../src/testing/draw-plan.js'
import { describePlan, type FaultPlan, nameOf } from '../../src/testing/fault-plan.js'
import { SeededRandom } from '../../src/testing/random.js'

const bounds = { nodes: 3, fromMs: 3_000, untilMs: 50_000 }
const plan = (seed: number): FaultPlan => drawFaultPlan(new SeededRandom(seed), bounds)

describe('a fault plan', () => {
  it('is the same for the same seed', () => {
    expect(plan(5)).toEqual(plan(5))
    expect(plan(5)).not.toEqual(plan(6))
  })

  it('is plain data: it survives JSON', () => {
    expect(JSON.parse(JSON.stringify(plan(5)))).toEqual(plan(5))
  })

  it('ends every fault before the cluster is healed', () => {
    for (let seed = 0; seed < 200; seed++) {
      for (const { atMs, forMs } of plan(seed).faults) {
        expect(atMs).toBeGreaterThanOrEqual(bounds.fromMs / 2)
        expect(atMs + forMs).toBeLessThanOrEqual(bounds.untilMs)
      }
    }
  })

  it('over two hundred seeds has every fault there is, under its name', () => {
    const seen = new Set<string>()
    for (let seed = 0; seed < 200; seed++) for (const fault of plan(seed).faults) seen.add(nameOf(fault))
    expect([...seen].sort()).toEqual([...FAULT_NAMES].sort())
  })

  it('prints one line per fault', () => {
    const { faults } = plan(5)
    const lines = describePlan(plan(5)).split('\n')
    expect(lines).toHaveLength(faults.length + 2)
  })
})
