import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Histogram } from '../../cli/histogram.js'
import { times } from '../property.js'

function exactPercentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)]!
}

describe('Histogram', () => {
  it('is within one part in 64 of the exact percentile, and never below it', () => {
    const durations = fc.array(fc.integer({ min: 0, max: 2 ** 36 }), { minLength: 1, maxLength: 200 })
    const percents = fc.constantFrom(1, 50, 90, 99, 99.9, 100)
    fc.assert(
      fc.property(durations, percents, (values, percent) => {
        const histogram = new Histogram()
        for (const value of values) histogram.record(value)
        const exact = exactPercentile(values, percent)
        const found = histogram.percentileMs(percent) * 1000
        expect(found).toBeGreaterThanOrEqual(exact - 0.001)
        expect(found).toBeLessThanOrEqual(exact * (1 + 1 / 64) + 1)
      }),
      times(500, 1),
    )
  })

  it('shows zero when nothing was recorded', () => {
    expect(new Histogram().percentileMs(99)).toBe(0)
    expect(new Histogram().maxMs).toBe(0)
  })
})
