import type { Clock, Fatal, Logger } from '../../base/ports.js'
import { isDiskFull } from '../disk-full.js'
import type { StateDb } from '../types.js'
import type { ReadBarrier } from './read-barrier.js'

/** How often a full disk is tried again. */
const RETRY_MS = 1_000

type Write = (done: (error: Error | null) => void) => void

interface Job {
  readonly write: Write
  /** No read may be open meanwhile. */
  readonly alone: boolean
  readonly done: () => void
}

/**
 * All writing to LevelDB, and what follows where the disk is full. After a failed write LevelDB's log may end in half a record that
 * swallows what is written behind it, so nothing more is written to this opening of it: it is read on, and once there is room it is closed,
 * checked as at a start, and opened again. What failed is then written again, from memory: records are written once, so those that
 * the failed attempt left on the disk are the same bytes under the same keys. If the check misses anything that had been
 * written, the process ends: the log replays it.
 */
export class DbWriter {
  readonly #db: StateDb
  readonly #barrier: ReadBarrier
  readonly #clock: Pick<Clock, 'setTimer'>
  readonly #fatal: Fatal
  readonly #logger: Logger
  #inFlight = 0
  #failed: Job[] = []
  #isFull = false
  #whenSpace: (() => void)[] = []
  #cancelRetry: (() => void) | null = null
  #closed = false
  #whenIdle: (() => void) | null = null

  constructor(parts: {
    db: StateDb
    barrier: ReadBarrier
    clock: Pick<Clock, 'setTimer'>
    fatal: Fatal
    logger: Logger
  }) {
    this.#db = parts.db
    this.#barrier = parts.barrier
    this.#clock = parts.clock
    this.#fatal = parts.fatal
    this.#logger = parts.logger
  }

  get isFull(): boolean {
    return this.#isFull
  }

  whenSpace(action: () => void): void {
    if (this.#isFull) this.#whenSpace.push(action)
    else action()
  }

  /** Calls `done` once it is written, however often it takes; never after close. */
  attempt(job: Job): void {
    if (this.#closed) return
    if (this.#isFull) this.#failed.push(job)
    else this.#try(job)
  }

  /** Resolves when nothing is under way any more. What a full disk held back is given up: the log has it. */
  close(): Promise<void> {
    this.#closed = true
    this.#cancelRetry?.()
    if (this.#inFlight === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#whenIdle = resolve
    })
  }

  #try(job: Job): void {
    this.#inFlight++
    if (!job.alone) return job.write((error) => this.#written(job, error))
    this.#barrier.close((lift) =>
      job.write((error) => {
        lift()
        this.#written(job, error)
      }),
    )
  }

  #written(job: Job, error: Error | null): void {
    this.#inFlight--
    if (this.#closed) {
      if (this.#inFlight === 0) this.#whenIdle?.()
      return
    }
    if (error !== null && !isDiskFull(error)) {
      this.#fatal(`writing to the state database failed: ${error.message}`, error)
    }
    if (error === null && !this.#isFull) return job.done()
    if (!this.#isFull) this.#logger.log('error', `the disk of the state database is full: ${error?.message}`)
    this.#isFull = true
    // Also one that came behind it and says that it was done: half a record may have swallowed it, and with it a sync's marker.
    this.#failed.push(job)
    if (this.#inFlight === 0) this.#retryLater()
  }

  #retryLater(): void {
    this.#cancelRetry ??= this.#clock.setTimer(RETRY_MS, () => {
      this.#cancelRetry = null
      this.#inFlight++
      this.#barrier.close((lift) =>
        this.#db.reopen((error) => {
          lift()
          this.#reopened(error)
        }),
      )
    })
  }

  #reopened(error: Error | null): void {
    this.#inFlight--
    if (this.#closed) return this.#whenIdle?.()
    if (error !== null && !isDiskFull(error)) {
      this.#fatal(`the state database cannot be used again after its disk was full: ${error.message}`, error)
    }
    if (error !== null) return this.#retryLater()
    this.#logger.log('info', 'the state database has room again')
    this.#isFull = false
    for (const job of this.#failed.splice(0)) this.attempt(job)
    for (const action of this.#whenSpace.splice(0)) this.whenSpace(action)
  }
}
