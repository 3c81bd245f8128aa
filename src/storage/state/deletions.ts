import type { Clock } from '../../base/ports.js'
import type { StateDb } from '../types.js'
import type { DbWriter } from './db-writer.js'
import type { WriteQueue } from './write-queue.js'

/** How long a delete waits where LevelDB is busy with compactions: it would stall, and with it the reads that wait for it. */
const BUSY_RETRY_MS = 100

/** The only way to a delete: between two batches, behind the read barrier, and not while LevelDB is busy. */
export class Deletions {
  readonly #db: StateDb
  readonly #queue: WriteQueue
  readonly #writer: DbWriter
  readonly #clock: Pick<Clock, 'setTimer'>
  #closed = false

  constructor(parts: { db: StateDb; queue: WriteQueue; writer: DbWriter; clock: Pick<Clock, 'setTimer'> }) {
    this.#db = parts.db
    this.#queue = parts.queue
    this.#writer = parts.writer
    this.#clock = parts.clock
  }

  /** `may` is asked when they are handed over: `done(false)` where it says no. */
  remove(keys: readonly Uint8Array[], done: (deleted: boolean) => void, may: () => boolean = () => true): void {
    this.#queue.between((release) => {
      if (!may()) {
        release()
        return done(false)
      }
      if (this.#db.isBusy) {
        release()
        this.later(BUSY_RETRY_MS, () => this.remove(keys, done, may))
        return
      }
      this.#writer.attempt({
        alone: true,
        write: (written) => this.#db.remove(keys, written),
        done: () => {
          release()
          done(true)
        },
      })
    })
  }

  later(delayMs: number, action: () => void): void {
    this.#clock.setTimer(delayMs, () => {
      if (!this.#closed) action()
    })
  }

  close(): void {
    this.#closed = true
  }
}
