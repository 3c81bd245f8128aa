import { describe, expect, it } from 'vitest'
import { PHASES } from '../../src/testing/phases.js'
import { cellsToMeet } from './coverage-exceptions.js'
import { runJob } from './runner/run-job.js'

/** One for each phase; `npm run sim -- --ci` runs them all. */
const some = PHASES.map((phase, at) => {
  const cells = cellsToMeet.filter((cell) => cell.phase === phase)
  return cells[(7 * at) % cells.length]!
})

describe('a fault meant for a phase', () => {
  it.each(some)('$name takes effect during $phase, and the cluster comes through', async (cell) => {
    const { violation, missed, report } = await runJob({ seed: 1, cell })
    if (violation !== null) throw new Error(report)
    expect(missed).toBe(null)
  })
})
