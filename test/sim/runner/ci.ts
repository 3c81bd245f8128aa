import { fixed, twice } from '../seeds.js'
import type { Job, Outcome } from './jobs.js'
import { runJobs } from './pool.js'
import { coverageOf, coverageText, lackOf, lineOf, summaryOf } from './report.js'

const FRESH = 20
/** Above all seeds that stand somewhere by number. */
const FRESH_FROM = 1_000_000
const FRESH_SEEDS = 1_000_000_000

interface CiOptions {
  readonly processes: number
  /** Where smaller plans of what fails are kept. */
  readonly shrinkTo: string
}

/**
 * What every build runs: a fixed list of seeds, each of which must count, some short ones twice, and all faults in all phases. Then
 * fresh seeds, which are reported and fail nothing: who has a change in hand did not make what they find. Returns an exit code.
 */
export async function runCi({ processes, shrinkTo }: CiOptions): Promise<number> {
  const run = (jobs: readonly Job[]) => runAll(jobs, processes)
  const { outcomes, wallMs } = await run(fixed.map((seed) => ({ seed, shrinkTo })))
  console.log(summaryOf(outcomes, wallMs))
  console.log(coverageText(coverageOf(outcomes)))
  const short = outcomes.filter((outcome) => lackOf(outcome) !== null)
  for (const outcome of short) console.log(`seed ${outcome.seed} proves too little: ${lackOf(outcome)}`)
  const same = await run(twice.map((seed) => ({ seed, twice: true, faultyMs: 12_000 })))
  console.log(`run twice: ${same.outcomes.length} seeds, ${failures(same.outcomes)} differed`)
  await runFresh(run, shrinkTo)
  return failures(outcomes) + short.length + failures(same.outcomes) > 0 ? 1 : 0
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
      if (outcome.violation !== null) console.log(`${lineOf(outcome)}\n${outcome.report}`)
    },
  })
  return { outcomes, wallMs: performance.now() - began }
}

function failures(outcomes: readonly Outcome[]): number {
  return outcomes.filter(({ violation }) => violation !== null).length
}
