import { parseArgs } from 'node:util'
import { tuneForBatchRun } from '../../src/testing/batch-run.js'
import { describePlan } from '../../src/testing/fault-plan.js'
import { describeFailure, type SimulationResult, simulateSeed } from '../../src/testing/simulation.js'

const usage = `usage: npm run sim -- [--seed N | --seeds COUNT --from SEED] [--verbose]
  --seed N       one seed (default 1)
  --seeds COUNT  this many seeds
  --from SEED    the first of them (default 1)
  --verbose      print the plan of each run, and the last events of one that fails`

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string', default: '1' },
    from: { type: 'string', default: '1' },
    verbose: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) {
  console.log(usage)
} else {
  process.exitCode = (await runSeeds()) > 0 ? 1 : 0
}

/** Returns how many seeds failed. */
async function runSeeds(): Promise<number> {
  const first = numberOf('seed', values.seed ?? values.from)
  const count = values.seed === undefined ? numberOf('seeds', values.seeds) : 1
  // Many seeds pay for the optimiser, one does not.
  if (count === 1) tuneForBatchRun()
  const results: SimulationResult[] = []
  let failed = 0
  const began = performance.now()
  for (let seed = first; seed < first + count; seed++) {
    const seedBegan = performance.now()
    const result = await simulateSeed({ seed, keepEvents: values.verbose ? 400 : 0 })
    results.push(result)
    console.log(line(result, performance.now() - seedBegan))
    if (values.verbose && result.violations.length === 0) console.log(describePlan(result.plan))
    if (result.violations.length === 0) continue
    failed++
    console.log(describeFailure(result))
  }
  console.log(summary(results, failed, performance.now() - began))
  return failed
}

function line(result: SimulationResult, ms: number): string {
  const { seed, hash, acknowledged, unknown, faults, restarts, leaderChanges, ranges, entries, violations } = result
  const verdict = violations.length === 0 ? 'ok    ' : 'FAILED'
  const counts = `${acknowledged} acknowledged, ${unknown} unknown, ${faults} faults, ${restarts} restarts`
  const rest = `${leaderChanges} leader changes, ${ranges} ranges, ${entries} entries`
  return `${verdict} seed ${seed} ${hash} ${counts}, ${rest}, ${Math.round(ms)} ms`
}

function summary(results: readonly SimulationResult[], failed: number, ms: number): string {
  const least = (count: (result: SimulationResult) => number) => Math.min(...results.map(count))
  const virtualMs = results.reduce((sum, result) => sum + result.virtualMs, 0)
  const speed = (virtualMs / ms).toFixed(0)
  const lowest = `at least ${least((r) => r.acknowledged)} acknowledged, ${least((r) => r.faults)} faults, ${least((r) => r.leaderChanges)} leader changes each`
  const first = `${results.length} seeds, ${failed} failed; ${lowest}; ${speed} times real time`
  const faults = `faults that took effect: ${totals(results.map((result) => result.faultsByKind))}`
  return [first, faults, `the nodes said: ${totals(results.map((result) => result.happened))}`].join('\n')
}

function totals(each: readonly Readonly<Record<string, number>>[]): string {
  const sums = new Map<string, number>()
  for (const counts of each) {
    for (const [name, count] of Object.entries(counts)) sums.set(name, (sums.get(name) ?? 0) + count)
  }
  return [...sums]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')
}

function numberOf(name: string, text: string): number {
  const number = Number(text)
  if (Number.isSafeInteger(number) && number >= 0) return number
  console.error(`--${name} takes a whole number, not '${text}'\n${usage}`)
  process.exit(2)
}
