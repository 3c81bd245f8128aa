import { describe, expect, it } from 'vitest'
import { describeFailure, simulateSeed } from '../../src/testing/simulation.js'
import { few, twice } from './seeds.js'

describe('a simulated minute under faults', () => {
  it.each(few)('seed %i: nothing acknowledged is lost or misread', async (seed) => {
    const result = await simulateSeed({ seed })
    if (result.violations.length > 0) throw new Error(describeFailure(result))
    // A run in which too little happened proves too little.
    expect(result.acknowledged).toBeGreaterThan(1_000)
    expect(result.faults).toBeGreaterThanOrEqual(8)
    expect(result.restarts).toBeGreaterThanOrEqual(1)
    expect(result.leaderChanges).toBeGreaterThanOrEqual(2)
    expect(result.met['sent again']).toBeGreaterThan(0)
    expect(result.met['given up']).toBeGreaterThan(0)
  })

  it.each(twice.slice(0, 1))('seed %i: run twice, it is the same run event for event', async (seed) => {
    const first = await simulateSeed({ seed, faultyMs: 15_000 })
    const second = await simulateSeed({ seed, faultyMs: 15_000 })
    expect(second.hash).toBe(first.hash)
    expect(second.events).toBe(first.events)
    expect(second).toEqual(first)
  })

  it('two seeds are two runs', async () => {
    const [first, second] = [
      await simulateSeed({ seed: 1, faultyMs: 5_000 }),
      await simulateSeed({ seed: 2, faultyMs: 5_000 }),
    ]
    expect(first.hash).not.toBe(second.hash)
  })

  it('nobody changes what was sent: with frozen frames a run is the same', async () => {
    const free = await simulateSeed({ seed: 3, faultyMs: 15_000 })
    const frozen = await simulateSeed({ seed: 3, faultyMs: 15_000, freeze: true })
    expect(frozen.violations).toEqual([])
    expect(frozen.hash).toBe(free.hash)
  })
})
