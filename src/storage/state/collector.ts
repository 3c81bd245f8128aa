import type { Key, RangeId, StorageId, Version } from '../../base/ids.js'
import type { DbPut, StateDb } from '../types.js'
import { CollectPass, type CollectWork, isCut, PIECE_BYTES, PIECE_ROWS } from './collect-pass.js'
import type { Deletions } from './deletions.js'
import { endOfStorage, journalKey, startOfKey } from './keys.js'
import type { ReadBarrier } from './read-barrier.js'
import { UnsyncedDeletes } from './unsynced-deletes.js'

/** Between two pieces of an old storage id, so that it is deleted beside other work and not instead of it. */
const DROP_PAUSE_MS = 5

type OnError = (error: Error, where: { storage: StorageId } | { journal: RangeId }) => void

/** Deletes what nobody can read any more: old versions, old journal records, storage ids that have been replaced. */
export class Collector {
  readonly #db: StateDb
  readonly #barrier: ReadBarrier
  readonly #deletions: Deletions
  readonly #onError: OnError
  readonly #afterWritten: (passed: () => void) => void
  readonly #unsynced = new UnsyncedDeletes()
  readonly #holds = new Map<StorageId, number>()
  readonly #dropping: StorageId[] = []
  #closed = false

  constructor(parts: {
    db: StateDb
    barrier: ReadBarrier
    deletions: Deletions
    onError: OnError
    afterWritten: (passed: () => void) => void
  }) {
    this.#db = parts.db
    this.#barrier = parts.barrier
    this.#deletions = parts.deletions
    this.#onError = parts.onError
    this.#afterWritten = parts.afterWritten
  }

  hold(storage: StorageId): () => void {
    this.#holds.set(storage, (this.#holds.get(storage) ?? 0) + 1)
    let held = true
    return () => {
      if (!held) return
      held = false
      const left = this.#holds.get(storage)! - 1
      if (left > 0) this.#holds.set(storage, left)
      else this.#holds.delete(storage)
    }
  }

  syncBegins(): () => void {
    return this.#unsynced.syncBegins()
  }

  close(): void {
    this.#closed = true
  }

  collect(work: CollectWork, done: (deleted: number, next: Key | null) => void): void {
    const { storage } = work
    // As of now: of what this pass deletes itself it knows which keys are cut.
    const pass = new CollectPass(work, this.#unsynced.picture(storage))
    const next = (): void => {
      if (this.#holds.has(storage)) return done(pass.deleted, null)
      this.#range(pass.bounds, { storage }, (found) => {
        const taken = found && this.#taken(pass, found, storage)
        if (taken === null) return done(pass.deleted, null)
        const goOn = (): void => (taken.finished ? done(pass.deleted, pass.next) : next())
        if (taken.victims.length === 0) return goOn()
        // Before and after: a sync that begins in between may cover them or not.
        const touched = { start: work.span.start, end: pass.end }
        this.#unsynced.add(storage, touched)
        this.#deletions.remove(taken.victims, () => {
          this.#unsynced.add(storage, touched)
          goOn()
        })
      })
    }
    this.#afterWritten(next)
  }

  collectJournal(
    { range, upTo }: { range: RangeId; upTo: Version },
    done: (deleted: number, more: boolean) => void,
  ): void {
    if (this.#holds.size > 0) return done(0, false)
    const bounds = { gte: journalKey(range, 0), lt: journalKey(range, upTo + 1) }
    this.#range(bounds, { journal: range }, (found) => {
      if (found === null || found.length === 0) return done(0, false)
      const more = isCut(found)
      // A snapshot that came to be taken in since may have brought these very records back.
      const may = () => this.#holds.size === 0
      this.#deletions.remove(keysOf(found), (deleted) => done(deleted ? found.length : 0, deleted && more), may)
    })
  }

  drop(storage: StorageId): void {
    if (this.#dropping.includes(storage)) return
    this.#dropping.push(storage)
    if (this.#dropping.length === 1) this.#afterWritten(() => this.#dropNext())
  }

  /** One id after the other, from where it was left: what is gone is gone. One that is held goes to the end. */
  #dropNext(): void {
    const storage = this.#dropping[0]
    if (storage === undefined || this.#closed) return
    const later = (): void => this.#deletions.later(DROP_PAUSE_MS, () => this.#afterWritten(() => this.#dropNext()))
    if (this.#holds.has(storage)) {
      this.#dropping.push(this.#dropping.shift()!)
      return later()
    }
    const bounds = { gte: startOfKey(storage, ''), lt: endOfStorage(storage) }
    this.#range(bounds, { storage }, (found) => {
      if (found !== null && found.length > 0) return this.#deletions.remove(keysOf(found), later)
      this.#dropping.shift()
      if (found !== null) this.#db.healed({ storage })
      later()
    })
  }

  #taken(pass: CollectPass, found: readonly DbPut[], storage: StorageId): ReturnType<CollectPass['take']> | null {
    try {
      return pass.take(found)
    } catch (error) {
      this.#onError(error as Error, { storage })
      return null
    }
  }

  /** null: it cannot be read, and `onError` was told. */
  #range(
    { gte, lt }: { gte: Uint8Array; lt: Uint8Array },
    where: Parameters<OnError>[1],
    done: (found: readonly DbPut[] | null) => void,
  ): void {
    this.#barrier.read((end) =>
      this.#db.range({ gte, lt, reverse: false, limit: PIECE_ROWS, bytesMax: PIECE_BYTES }, (error, found) => {
        end()
        if (this.#closed) return
        if (error !== null) this.#onError(error, where)
        done(error === null ? found : null)
      }),
    )
  }
}

function keysOf(found: readonly DbPut[]): Uint8Array[] {
  return found.map(({ key }) => key)
}
