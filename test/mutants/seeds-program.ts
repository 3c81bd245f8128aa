import { parseArgs } from 'node:util'
import type { Job } from '../sim/runner/jobs.js'
import { runJobs } from '../sim/runner/pool.js'
import { fixed } from '../sim/seeds.js'

/** What the program prints as its last line. */
export interface SeedsRun {
  /** Seeds run. */
  readonly count: number
  readonly failed: { readonly seed: number; readonly violation: string } | null
}

/** Runs the seeds at these places of the list that every build runs, `--to` not among them, and stops at the first that fails. */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { jobs: { type: 'string' }, from: { type: 'string' }, to: { type: 'string' } },
  })
  let count = 0
  let failed: SeedsRun['failed'] = null
  function* jobs(): Generator<Job> {
    for (const seed of fixed.slice(Number(values.from), Number(values.to))) {
      if (failed !== null) return
      yield { seed }
    }
  }
  try {
    await runJobs({
      processes: Number(values.jobs),
      jobs: jobs(),
      ended: ({ seed, violation }) => {
        count++
        if (violation !== null) failed ??= { seed, violation }
      },
    })
  } catch (error) {
    // A seed that does not end, or takes its process along, is caught as well; its number stands in the message.
    failed ??= { seed: Number(/seed (\d+)/.exec(String(error))?.[1] ?? Number.NaN), violation: String(error) }
  }
  console.log(JSON.stringify({ count, failed } satisfies SeedsRun))
}

await main()
