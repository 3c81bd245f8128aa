import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Job, Outcome } from './jobs.js'

const WORKER = fileURLToPath(new URL('./worker.js', import.meta.url))
/** A run makes much that lives shortly: collected less often, a twentieth of the time is saved. */
const ROOM_FOR_YOUNG = '--max-semi-space-size=32'
/** No seed takes a hundredth of it: what does never ends. */
const ENDLESS_MS = 600_000

export interface PoolOptions {
  /** Processes. Each runs many seeds, which pays for the optimiser. */
  readonly processes: number
  readonly jobs: Iterator<Job>
  /** Called for each job that ended, in the order of ending. */
  ended(outcome: Outcome): void
}

/** Runs all jobs. Rejects if a process dies or a job never ends: naming its seed. */
export async function runJobs({ processes, jobs, ended }: PoolOptions): Promise<void> {
  await Promise.all(Array.from({ length: processes }, () => work(jobs, ended)))
}

async function work(jobs: Iterator<Job>, ended: (outcome: Outcome) => void): Promise<void> {
  let worker: ChildProcess | null = null
  try {
    for (let next = jobs.next(); next.done !== true; next = jobs.next()) {
      worker ??= fork(WORKER, { execArgv: [ROOM_FOR_YOUNG] })
      ended(await outcomeOf(worker, next.value))
    }
  } finally {
    worker?.kill('SIGKILL')
  }
}

function outcomeOf(worker: ChildProcess, job: Job): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const died = (code: number | null, signal: string | null) =>
      end(() => reject(new Error(`the process that ran seed ${job.seed} ended with ${signal ?? code}`)))
    const answered = (outcome: Outcome) => end(() => resolve(outcome))
    const endless = () => end(() => reject(new Error(`seed ${job.seed} does not end`)))
    const timer = setTimeout(endless, ENDLESS_MS)
    const end = (settle: () => void) => {
      clearTimeout(timer)
      worker.off('exit', died).off('message', answered)
      settle()
    }
    worker.on('exit', died).on('message', answered)
    worker.send(job)
  })
}
