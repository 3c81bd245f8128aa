import { assert } from '../../base/assert.js'
import type { DbPut, StateDb } from '../types.js'
import type { DbWriter } from './db-writer.js'
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
  readonly #writer: DbWriter
  readonly #flushed: (record: OverlayRecord) => void
  #waiting: Waiting[] = []
  #barriers: Barrier[] = []
  #between: ((release: () => void) => void)[] = []
  /** What goes between has had its turn since the last batch. */
  #wasBetween = false
  #durable = 0
  #inFlight = false
  #closed = false
  /** Batches ever taken, and of them those in LevelDB. */
  #written = 0
  #done = 0
  #bytes = 0

  constructor({
    db,
    writer,
    flushed,
  }: {
    db: StateDb
    writer: DbWriter
    flushed: (record: OverlayRecord) => void
  }) {
    this.#db = db
    this.#writer = writer
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

  /** Runs `action` while no batch is in flight, and lets none go before it calls `release`; batches and these take turns. */
  between(action: (release: () => void) => void): void {
    if (this.#closed) return
    this.#between.push(action)
    this.#maybeFlush()
  }

  /** What is not in LevelDB by then stays out of it: the log has it. */
  close(): void {
    this.#closed = true
  }

  #maybeFlush(): void {
    if (this.#inFlight || this.#closed) return
    if (this.#between.length > 0 && !this.#wasBetween) return this.#goBetween()
    const taken = this.#take()
    if (taken.length > 0) return this.#flush(taken)
    if (this.#between.length > 0) this.#goBetween()
  }

  #flush(taken: readonly EncodedBatch[]): void {
    this.#inFlight = true
    this.#wasBetween = false
    const puts: DbPut[] = taken.length === 1 ? taken[0]!.puts : taken.flatMap((batch) => batch.puts)
    this.#writer.attempt({
      alone: false,
      write: (done) => this.#db.batch(puts, done),
      done: () => {
        this.#inFlight = false
        this.#finish(taken)
      },
    })
  }

  #goBetween(): void {
    this.#inFlight = true
    this.#wasBetween = true
    this.#between.shift()!(() => {
      this.#inFlight = false
      this.#maybeFlush()
    })
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
    this.#maybeFlush()
    while (this.#barriers.length > 0 && this.#barriers[0]!.written <= this.#done) this.#barriers.shift()!.passed()
  }
}
