import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Cell, scenarioOf } from '../../../src/testing/directed.js'
import { describePlan } from '../../../src/testing/fault-plan.js'
import { formatPlanFile } from '../../../src/testing/plan-file.js'
import { kindOfViolation, shrinkPlan } from '../../../src/testing/shrink.js'
import { describeFailure, type SimulationResult, simulateSeed } from '../../../src/testing/simulation.js'
import type { Job, Outcome } from './jobs.js'

const SCENARIO_SEEDS = 6
const EVENTS_SHOWN = 60
/** A failure is worth this much of a machine's time. */
const SHRINK_MS_MAX = 90_000

/** Runs a seed; if it fails, runs it again to show its last events, and looks for a smaller plan. */
export async function runJob(job: Job): Promise<Outcome> {
  return job.cell === undefined ? runSeed(job) : runScenario(job, job.cell)
}

/** A shift of a few milliseconds can make a fault miss its phase: some other seed then meets it. */
async function runScenario(job: Job, cell: Cell): Promise<Outcome> {
  for (let seed = job.seed; ; seed++) {
    const { cell: _, ...rest } = job
    const outcome = await runSeed({ ...rest, seed, plan: scenarioOf(cell, seed) })
    const met = (outcome.coverage[cell.name]?.[cell.phase] ?? 0) > 0
    if (met || outcome.violation !== null) return outcome
    if (seed + 1 < job.seed + SCENARIO_SEEDS) continue
    const missed = `${cell.name} did not take effect during ${cell.phase} with any of ${SCENARIO_SEEDS} seeds`
    return { ...outcome, missed }
  }
}

async function runSeed(job: Job): Promise<Outcome> {
  const began = performance.now()
  const result = await simulateSeed(job)
  const violation = result.violations[0] ?? (job.twice === true ? await differenceTo(result, job) : null)
  const tookMs = performance.now() - began
  const { seed, hash, acknowledged, unknown, faults, restarts, leaderChanges, ranges, entries } = result
  const counts = { acknowledged, unknown, faults, restarts, leaderChanges, ranges, entries }
  const { virtualMs, faultsByKind, coverage, happened, met } = result
  const report = violation === null ? '' : await reportOf(job, result)
  return {
    seed,
    hash,
    violation,
    missed: null,
    report,
    ...counts,
    virtualMs,
    tookMs,
    faultsByKind,
    coverage,
    happened,
    met,
  }
}

/** Nothing but the seed may decide what happens. */
async function differenceTo(first: SimulationResult, job: Job): Promise<string | null> {
  const second = await simulateSeed(job)
  if (JSON.stringify(second) === JSON.stringify(first)) return null
  return `two runs of one seed differ: ${first.hash} after ${first.events} events, ${second.hash} after ${second.events}`
}

async function reportOf(job: Job, first: SimulationResult): Promise<string> {
  if (first.violations.length === 0) return `seed ${job.seed} is not one run but two`
  const result = await simulateSeed({ ...job, keepEvents: EVENTS_SHOWN })
  const text = describeFailure(result, job.plan === undefined ? undefined : 'npm run sim -- --plan FILE')
  return job.shrinkTo === undefined ? text : `${text}\n${await shrink(job, result, job.shrinkTo)}`
}

/** Keeps a smaller plan that fails in the same way. */
async function shrink(job: Job, failed: SimulationResult, folder: string): Promise<string> {
  const reason = failed.violations[0]!
  const kind = kindOfViolation(reason)
  const began = performance.now()
  const { plan, tries } = await shrinkPlan({
    plan: failed.plan,
    failedAtMs: failed.virtualMs,
    isOver: () => performance.now() - began > SHRINK_MS_MAX,
    fails: async (smaller) => {
      const { violations } = await simulateSeed({ ...job, plan: smaller })
      return violations[0] !== undefined && kindOfViolation(violations[0]) === kind
    },
  })
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `seed-${job.seed}.json`)
  writeFileSync(file, formatPlanFile({ seed: job.seed, plan, reason: reason.split('\n', 1)[0]! }))
  return [
    `smaller (${tries} tries), fails the same way:`,
    describePlan(plan),
    `replay: npm run sim -- --plan ${file}`,
  ].join('\n')
}
