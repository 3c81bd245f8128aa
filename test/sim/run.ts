import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'
import { tuneForBatchRun } from '../../src/testing/batch-run.js'
import { describePlan } from '../../src/testing/fault-plan.js'
import { formatPlanFile, parsePlanFile } from '../../src/testing/plan-file.js'
import { planOf } from '../../src/testing/simulation.js'
import { runAllScenarios, runCi } from './runner/ci.js'
import type { Job, Outcome } from './runner/jobs.js'
import { runJobs } from './runner/pool.js'
import { coverageOf, coverageText, lineOf, summaryOf } from './runner/report.js'
import { runJob } from './runner/run-job.js'

const usage = `usage: npm run sim -- [--seed N | --plan FILE | --seeds COUNT --from SEED --minutes M | --ci]
  --seed N       one seed (default 1)
  --plan FILE    the run that a plan file holds
  --seeds COUNT  this many seeds, on all cores
  --from SEED    the first of them (default 1)
  --minutes M    seeds until this time is over, or there are COUNT
  --ci           the fixed list, seeds run twice, the coverage of faults; then some fresh seeds, which fail nothing
  --scenarios    a directed scenario for each fault in each phase
  --jobs N       processes (default: one per core)
  --coverage     print how often each fault took effect in each phase
  --save FILE    write the plan of the seed to a file
  --out DIR      where smaller plans of what fails are kept (default dist/sim)
  --verbose      print the plan of the run`

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    plan: { type: 'string' },
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    minutes: { type: 'string' },
    ci: { type: 'boolean', default: false },
    scenarios: { type: 'boolean', default: false },
    jobs: { type: 'string' },
    coverage: { type: 'boolean', default: false },
    save: { type: 'string' },
    out: { type: 'string', default: 'dist/sim' },
    verbose: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

const began = performance.now()
const processes = values.jobs === undefined ? availableParallelism() : numberOf('jobs', values.jobs)
process.exitCode = await main()

async function main(): Promise<number> {
  if (values.help) return say(usage)
  if (values.ci) return runCi({ processes, shrinkTo: values.out })
  if (values.scenarios) return runAllScenarios({ processes, shrinkTo: values.out })
  if (values.seeds !== undefined || values.minutes !== undefined) return runMany()
  const job: Job =
    values.plan === undefined ? { seed: numberOf('seed', values.seed ?? values.from) } : readPlan(values.plan)
  const plan = job.plan ?? planOf(job)
  if (values.save !== undefined) save(values.save, formatPlanFile({ seed: job.seed, plan }))
  if (values.verbose) say(describePlan(plan))
  return runOne({ ...job, shrinkTo: values.out })
}

async function runOne(job: Job): Promise<number> {
  // Many seeds pay for the optimiser, one does not.
  tuneForBatchRun()
  const outcome = await runJob(job)
  show(outcome)
  return finish([outcome])
}

async function runMany(): Promise<number> {
  const first = numberOf('from', values.from)
  const count = values.seeds === undefined ? Number.POSITIVE_INFINITY : numberOf('seeds', values.seeds)
  const msMax = values.minutes === undefined ? Number.POSITIVE_INFINITY : numberOf('minutes', values.minutes) * 60_000
  const outcomes: Outcome[] = []
  function* jobs(): Generator<Job> {
    for (let at = 0; at < count && performance.now() - began < msMax; at++) {
      yield { seed: first + at, shrinkTo: values.out }
    }
  }
  await runJobs({
    processes,
    jobs: jobs(),
    ended: (outcome) => {
      outcomes.push(outcome)
      show(outcome)
    },
  })
  return finish(outcomes)
}

function finish(outcomes: readonly Outcome[]): number {
  say(summaryOf(outcomes, performance.now() - began))
  if (values.coverage) say(coverageText(coverageOf(outcomes)))
  return outcomes.some(({ violation }) => violation !== null) ? 1 : 0
}

function show(outcome: Outcome): void {
  say(lineOf(outcome))
  if (outcome.violation !== null) say(outcome.report)
}

function say(text: string): 0 {
  console.log(text)
  return 0
}

function readPlan(path: string): ReturnType<typeof parsePlanFile> {
  try {
    return parsePlanFile(readFileSync(path, 'utf8'))
  } catch (error) {
    console.error(`${path}: ${(error as Error).message}`)
    process.exit(2)
  }
}

function save(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

function numberOf(name: string, text: string): number {
  const number = Number(text)
  if (Number.isSafeInteger(number) && number >= 0) return number
  console.error(`--${name} takes a whole number, not '${text}'\n${usage}`)
  process.exit(2)
}
