import { assert } from '../../base/assert.js'
import type { Fatal } from '../../base/ports.js'
import type { DbPut, StateDb } from '../types.js'
import type { EncodedBatch } from './encode-batch.js'
import type { OverlayRecord } from './overlay.js'

/** Batches that wait for LevelDB are written together up to about this size. */
const DB_BATCH_BYTES_TARGET = 1024 * 1024

interface Waiting {
  readonly batch: EncodedBatch
  readonly needsLogBatch: number
}

interface Barrier {
  readonly written: number
  readonly passed: () => void
}

/**
 * The way of applied batches into LevelDB: in the order written, each only after its log batch is durable (after power
 * loss LevelDB must not hold what the log has forgotten), never two database batches in flight (concurrent ones only
 * park threads of the pool).
 */
export class WriteQueue {
  readonly #db: StateDb
  readonly #fatal: Fatal
  readonly #flushed: (record: OverlayRecord) => void
  #waiting: Waiting[] = []
  #barriers: Barrier[] = []
  #durable = 0
  #inFlight = false
  #closed = false
  #whenIdle: (() => void) | null = null
  /** Batches ever taken, and of them those in LevelDB. */
  #written = 0
  #done = 0
  #bytes = 0

  constructor({ db, fatal, flushed }: { db: StateDb; fatal: Fatal; flushed: (record: OverlayRecord) => void }) {
    this.#db = db
    this.#fatal = fatal
    this.#flushed = flushed
  }

  get bytes(): number {
    return this.#bytes
  }

  push(batch: EncodedBatch, needsLogBatch: number): void {
    assert(!this.#closed, 'written to a closed state store')
    if (batch.puts.length === 0) return
    this.#waiting.push({ batch, needsLogBatch })
    this.#written++
    this.#bytes += batch.bytes
    this.#maybeFlush()
  }

  logDurable(logBatch: number): void {
    if (logBatch > this.#durable) this.#durable = logBatch
    this.#maybeFlush()
  }

  /** Calls `passed` once all that was pushed before is in LevelDB; at once if it is. */
  afterWritten(passed: () => void): void {
    if (this.#done === this.#written) passed()
    else this.#barriers.push({ written: this.#written, passed })
  }

  /** What is not in LevelDB by then stays out of it: the log has it. */
  close(): Promise<void> {
    this.#closed = true
    if (!this.#inFlight) return Promise.resolve()
    return new Promise((resolve) => {
      this.#whenIdle = resolve
    })
  }

  #maybeFlush(): boolean {
    if (this.#inFlight || this.#closed) return false
    const taken = this.#take()
    if (taken.length === 0) return false
    this.#inFlight = true
    const puts: DbPut[] = taken.length === 1 ? taken[0]!.puts : taken.flatMap((batch) => batch.puts)
    this.#db.batch(puts, (error) => {
      this.#inFlight = false
      if (error !== null) this.#fatal(`writing to the state database failed: ${error.message}`, error)
      this.#finish(taken)
    })
    return true
  }

  /** The oldest waiting batches whose log batches are durable. */
  #take(): EncodedBatch[] {
    const taken: EncodedBatch[] = []
    let bytes = 0
    for (const { batch, needsLogBatch } of this.#waiting) {
      if (needsLogBatch > this.#durable || (bytes > 0 && bytes + batch.bytes > DB_BATCH_BYTES_TARGET)) break
      taken.push(batch)
      bytes += batch.bytes
    }
    this.#waiting.splice(0, taken.length)
    return taken
  }

  #finish(taken: readonly EncodedBatch[]): void {
    for (const batch of taken) {
      for (const record of batch.records) this.#flushed(record)
      this.#bytes -= batch.bytes
      this.#done++
    }
    this.#whenIdle?.()
    if (this.#closed) return
    this.#maybeFlush()
    while (this.#barriers.length > 0 && this.#barriers[0]!.written <= this.#done) this.#barriers.shift()!.passed()
  }
}
