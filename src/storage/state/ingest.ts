import type { StorageId } from '../../base/ids.js'
import type { StateChunk, StateDb } from '../types.js'
import type { DbWriter } from './db-writer.js'
import { encodeBatch } from './encode-batch.js'
import type { WriteQueue } from './write-queue.js'

/** A chunk with one large record needs more; that memory is let go of. */
const KEPT_BYTES_MAX = 1024 * 1024

/**
 * Writes pieces of snapshots, one at a time, all through the same memory: new pieces of it would lie about until the next
 * collection, and a range brings thousands.
 */
export class Ingest {
  readonly #db: StateDb
  readonly #queue: WriteQueue
  readonly #writer: DbWriter
  #slab = Buffer.alloc(0)

  constructor(parts: { db: StateDb; queue: WriteQueue; writer: DbWriter }) {
    this.#db = parts.db
    this.#queue = parts.queue
    this.#writer = parts.writer
  }

  /**
   * Journal records may have been here before and been collected: then no read may stand between that delete and this write, or
   * LevelDB could bring the delete back over it (read-barrier.ts). Keys of a new storage id were never there.
   */
  write({ storage, records, journals }: StateChunk & { readonly storage: StorageId }, done: () => void): void {
    if (records.length + journals.length === 0) return done()
    this.#queue.between((release) => {
      const batch = { records: records.map((record) => ({ storage, record })), journals }
      const { puts } = encodeBatch(batch, null, (bytes) => this.#allocate(bytes))
      this.#writer.attempt({
        alone: journals.length > 0,
        write: (written) => this.#db.batch(puts, written),
        done: () => {
          release()
          done()
        },
      })
    })
  }

  /** Nothing is between but one piece, until it is written; a disk that is full has it written again from here. */
  #allocate(bytes: number): Buffer {
    if (bytes > KEPT_BYTES_MAX) return Buffer.allocUnsafeSlow(bytes)
    if (bytes > this.#slab.length) this.#slab = Buffer.allocUnsafeSlow(bytes)
    return this.#slab
  }
}
