import type { Coverage } from '../../../src/testing/coverage.js'
import type { Cell } from '../../../src/testing/directed.js'
import { cellsToMeet } from '../coverage-exceptions.js'
import { COUNTED, fixed, twice } from '../seeds.js'
import { clientsMeet } from '../workload-demands.js'
import type { Job, Outcome } from './jobs.js'
import { runJobs } from './pool.js'
import { coverageOf, coverageText, lackOf, lineOf, metBy, summaryOf } from './report.js'

/** The list has at least so many of each, or the build fails. */
const HITS_MIN = 20
/**
 * Below it a cell is told: any change of the code moves the counts by some, and it may be the next to fail. The walk of
 * `src/testing/directed.ts` is then to come by it more often (`weightOf`), unless the fault hardly ever takes effect in its scenario
 * (`npm run sim -- --scenarios`): then what brings its phase about no longer does, or something keeps the fault from striking, and that is
 * to be found.
 */
const HITS_GOAL = 30
const FRESH = 20
/** Somebody watches. */
const TELL_EVERY = 50
/** Above all seeds that stand somewhere by number. */
const FRESH_FROM = 1_000_000
const FRESH_SEEDS = 1_000_000_000

interface CiOptions {
  readonly processes: number
  /** Where smaller plans of what fails are kept. */
  readonly shrinkTo: string
}

/**
 * What every build runs: a fixed list of seeds, of which enough must count and which together have every fault in every phase often;
 * a directed scenario for each that did not come often enough, to tell why; some short seeds twice. Then fresh seeds, which are reported
 * and fail nothing: who has a change in hand did not make what they find. Returns an exit code.
 */
export async function runCi({ processes, shrinkTo }: CiOptions): Promise<number> {
  const run = (jobs: readonly Job[]) => runAll(jobs, processes)
  const { outcomes, wallMs } = await run(fixed.map((seed) => ({ seed, shrinkTo })))
  console.log(summaryOf(outcomes, wallMs))
  const coverage = coverageOf(outcomes)
  console.log(coverageText(coverage))
  const low = cellsToMeet.filter((cell) => countOf(coverage, cell) < HITS_GOAL)
  for (const cell of low) console.log(`${describeCell(cell)} ${countOf(coverage, cell)} times, not ${HITS_GOAL}`)
  const rare = low.filter((cell) => countOf(coverage, cell) < HITS_MIN)
  const met = await runScenarios(run, rare, shrinkTo)
  const uncounted = outcomes.flatMap(countLack)
  for (const lack of uncounted) console.log(lack)
  const counted = outcomes.length - uncounted.length
  const lacks = [
    ...metTooSeldom(outcomes),
    ...(counted < COUNTED ? [`only ${counted} seeds count, not ${COUNTED}`] : []),
    ...rare.map((cell) => `${describeCell(cell)} ${countOf(coverage, cell)} times, not ${HITS_MIN}`),
  ]
  for (const lack of lacks) console.log(`FAILED ${lack}`)
  const same = await run(twice.map((seed) => ({ seed, twice: true, faultyMs: 12_000 })))
  console.log(`run twice: ${same.outcomes.length} seeds, ${failures(same.outcomes)} differed; ${seconds(same.wallMs)}`)
  await runFresh(run, shrinkTo)
  const failed = failures([...outcomes, ...same.outcomes, ...met])
  return failed > 0 || lacks.length > 0 ? 1 : 0
}

function countLack(outcome: Outcome): string[] {
  const lack = lackOf(outcome)
  return lack === null ? [] : [`seed ${outcome.seed} proves too little: ${lack}`]
}

function metTooSeldom(outcomes: readonly Outcome[]): string[] {
  const met = metBy(outcomes)
  const seldom = clientsMeet.filter((what) => (met.get(what) ?? 0) < HITS_MIN)
  return seldom.map((what) => `the clients met '${what}' ${met.get(what) ?? 0} times, not ${HITS_MIN}`)
}

/** A directed scenario for each fault in each phase. Returns an exit code. */
export async function runAllScenarios({ processes, shrinkTo }: CiOptions): Promise<number> {
  const met = await runScenarios((jobs) => runAll(jobs, processes), cellsToMeet, shrinkTo)
  return met.some(({ violation, missed }) => violation !== null || missed !== null) ? 1 : 0
}

async function runScenarios(
  run: (jobs: readonly Job[]) => ReturnType<typeof runAll>,
  cells: readonly Cell[],
  shrinkTo: string,
) {
  const { outcomes, wallMs } = await run(cells.map((cell) => ({ seed: 1, cell, shrinkTo })))
  console.log(`scenarios: ${outcomes.length}, ${failures(outcomes)} failed; ${seconds(wallMs)}`)
  for (const { missed } of outcomes) if (missed !== null) console.log(missed)
  return outcomes
}

function countOf(coverage: Coverage, { name, phase }: Cell): number {
  return coverage.count(name, phase)
}

function describeCell({ name, phase }: Cell): string {
  return `${name} took effect during ${phase}`
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(0)} s`
}

async function runFresh(run: (jobs: readonly Job[]) => ReturnType<typeof runAll>, shrinkTo: string): Promise<void> {
  const from = FRESH_FROM + (Math.floor(Date.now() / 1000) % FRESH_SEEDS)
  console.log(`fresh seeds ${from} to ${from + FRESH - 1}:`)
  const jobs = Array.from({ length: FRESH }, (_, at) => ({ seed: from + at, shrinkTo }))
  try {
    const { outcomes, wallMs } = await run(jobs)
    console.log(summaryOf(outcomes, wallMs))
  } catch (error) {
    // Its process died of it, or it never ends.
    console.log((error as Error).message)
  }
}

async function runAll(jobs: readonly Job[], processes: number): Promise<{ outcomes: Outcome[]; wallMs: number }> {
  const began = performance.now()
  const outcomes: Outcome[] = []
  await runJobs({
    processes,
    jobs: jobs.values(),
    ended: (outcome) => {
      outcomes.push(outcome)
      if (outcomes.length % TELL_EVERY === 0)
        console.log(`${outcomes.length} of ${jobs.length} done; ${seconds(performance.now() - began)}`)
      if (outcome.violation !== null) console.log(`${lineOf(outcome)}\n${outcome.report}`)
    },
  })
  return { outcomes, wallMs: performance.now() - began }
}

function failures(outcomes: readonly Outcome[]): number {
  return outcomes.filter(({ violation }) => violation !== null).length
}
