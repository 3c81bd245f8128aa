import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parsePlanFile } from '../../src/testing/plan-file.js'
import { describeFailure, simulateSeed } from '../../src/testing/simulation.js'

const folder = new URL('../../../test/sim/seeds/', import.meta.url)
const kept = readdirSync(folder).map((name) => {
  const { reason, ...run } = parsePlanFile(readFileSync(new URL(name, folder), 'utf8'))
  return { name, reason, run, path: fileURLToPath(new URL(name, folder)) }
})

describe('a plan that once failed', () => {
  it.each(kept)('$name: $reason', async ({ path, run, reason }) => {
    expect(reason).toBeDefined()
    const result = await simulateSeed(run)
    if (result.violations.length > 0) throw new Error(describeFailure(result, `npm run sim -- --plan ${path}`))
  })
})
