import { describe, expect, it } from 'vitest'
import { RARE_PATHS } from '../../src/base/ports.js'
import { SimCluster } from '../../src/testing/cluster.js'
import { drawFaultPlan } from '../../src/testing/draw-plan.js'
import { SeededRandom } from '../../src/testing/random.js'
import { simulateSeed } from '../../src/testing/simulation.js'
import { drawTuning, type Tuning, usualTuning } from '../../src/testing/tuning.js'

const often: Tuning = {
  ...usualTuning,
  segmentBytes: 16 * 1024,
  rare: {
    'short entry': 0.5,
    'proposals full': 0.05,
    'reads full': 0.05,
    'late round': 0.2,
    'short page': 0.5,
    'early sync': 0.02,
    'log let go': 0.5,
    'spare lost': 0.5,
    'lead handed on': 0.003,
    'late checkpoint': 0.7,
  },
}

function run(tuning: Tuning) {
  const bounds = { nodes: 3, fromMs: 1_000, untilMs: 8_000 }
  const plan = drawFaultPlan(new SeededRandom('tuning'), bounds)
  const split = { atMs: 3_000, forMs: 0, kind: 'split' as const, key: '06' }
  return simulateSeed({ seed: 1, plan: { ...plan, tuning, faults: [split, ...plan.faults] } })
}

describe('rare paths', () => {
  it('are taken where a run says so, and are right', async () => {
    const { violations, rarePaths } = await run(often)
    expect(violations).toEqual([])
    expect(Object.keys(rarePaths).sort()).toEqual([...RARE_PATHS].sort())
  })

  it('are not taken without need where it does not', async () => {
    const { rarePaths } = await run(usualTuning)
    expect(rarePaths).toEqual({})
  })

  it('end by themselves: a log that all nodes make a segment for goes on, though nothing else happens', async () => {
    const tuning: Tuning = { ...usualTuning, segmentBytes: 16 * 1024, rare: { 'spare lost': 0.9 } }
    const cluster = new SimCluster({ seed: 1, tuning })
    await cluster.start()
    expect(cluster.rarePaths['spare lost']).toBeGreaterThan(0)
    expect(cluster.violations).toEqual([])
  })
})

describe('the tuning of a run', () => {
  it('is the usual one in half of the runs, and names every rare path in some of the others', () => {
    const drawn = Array.from({ length: 100 }, (_, seed) => drawTuning(new SeededRandom(seed)))
    const others = drawn.filter((tuning) => tuning !== usualTuning)
    expect(others.length).toBeGreaterThan(30)
    expect(others.length).toBeLessThan(70)
    const paths = new Set(others.flatMap(({ rare }) => Object.keys(rare)))
    expect([...paths].sort()).toEqual([...RARE_PATHS].sort())
  })
})
