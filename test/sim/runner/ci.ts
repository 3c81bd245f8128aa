import type { Coverage } from '../../../src/testing/coverage.js'
import type { Cell } from '../../../src/testing/directed.js'
import { cellsToMeet, isSeldom } from '../coverage-exceptions.js'
import { fixed, twice } from '../seeds.js'
import type { Job, Outcome } from './jobs.js'
import { runJobs } from './pool.js'
import { coverageOf, coverageText, lackOf, lineOf, summaryOf } from './report.js'

/** What the list is meant to have of each; less is told. */
const HITS_MIN = 20
/** Less fails: any change of the code moves the counts a little. */
const HITS_FLOOR = 5
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
 * What every build runs: a fixed list of seeds, each of which must count and which together have every fault in every phase often;
 * a directed scenario for each fault in each phase; some short seeds twice. Then fresh seeds, which are reported and fail nothing: who has a change in hand did not make what they find. Returns an exit code.
 */
export async function runCi({ processes, shrinkTo }: CiOptions): Promise<number> {
  const run = (jobs: readonly Job[]) => runAll(jobs, processes)
  const { outcomes, wallMs } = await run(fixed.map((seed) => ({ seed, shrinkTo })))
  console.log(summaryOf(outcomes, wallMs))
  const coverage = coverageOf(outcomes)
  console.log(coverageText(coverage))
  for (const few of tooFew(cellsToMeet, HITS_MIN, coverage)) console.log(few)
  const often = cellsToMeet.filter((cell) => !isSeldom(cell))
  const lacks = [...outcomes.flatMap(countLack), ...tooFew(often, HITS_FLOOR, coverage)]
  for (const lack of lacks) console.log(`FAILED ${lack}`)
  const met = await run(cellsToMeet.map((cell) => ({ seed: 1, cell, shrinkTo })))
  console.log(
    `scenarios: ${met.outcomes.length} faults in phases, ${failures(met.outcomes)} failed; ${seconds(met.wallMs)}`,
  )
  for (const { missed } of met.outcomes) if (missed !== null) console.log(missed)
  const same = await run(twice.map((seed) => ({ seed, twice: true, faultyMs: 12_000 })))
  console.log(`run twice: ${same.outcomes.length} seeds, ${failures(same.outcomes)} differed; ${seconds(same.wallMs)}`)
  await runFresh(run, shrinkTo)
  return [outcomes, met.outcomes, same.outcomes].some((each) => failures(each) > 0) || lacks.length > 0 ? 1 : 0
}

function countLack(outcome: Outcome): string[] {
  const lack = lackOf(outcome)
  return lack === null ? [] : [`seed ${outcome.seed} proves too little: ${lack}`]
}

function tooFew(cells: readonly Cell[], min: number, coverage: Coverage): string[] {
  return cells.flatMap(({ name, phase }) => {
    const count = coverage.count(name, phase)
    return count >= min ? [] : [`${name} took effect during ${phase} ${count} times, less than ${min}`]
  })
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(0)} s`
}

async function runFresh(run: (jobs: readonly Job[]) => ReturnType<typeof runAll>, shrinkTo: string): Promise<void> {
  const from = FRESH_FROM + (Math.floor(Date.now() / 1000) % FRESH_SEEDS)
  console.log(`fresh seeds ${from} to ${from + FRESH - 1}:`)
  const { outcomes, wallMs } = await run(Array.from({ length: FRESH }, (_, at) => ({ seed: from + at, shrinkTo })))
  console.log(summaryOf(outcomes, wallMs))
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
