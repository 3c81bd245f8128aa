import { statfs } from 'node:fs/promises'
import { ClassicLevel } from 'classic-level'
import type { RangeId, StorageId } from '../../base/ids.js'
import { DamagedError } from '../codec/errors.js'
import type { DbPut, ScrubStatus, StateDamage, StateDb } from '../types.js'
import type { DamageFile } from './damage-file.js'
import { MARKERS_END, markerKey, markerOf } from './own-keys.js'
import { type LevelSyncer, syncLogFiles } from './sync-files.js'

export type Level = ClassicLevel<Uint8Array, Uint8Array>

/** Figures and reasons in docs/decisions/0003-state-keys.md. */
export const WRITE_BUFFER_BYTES = 16 * 1024 * 1024
const BLOCK_CACHE_BYTES = 32 * 1024 * 1024
/** LevelDB slows writes down at 8 tables on level 0 and stops them at 12. */
const BUSY_TABLES = 4
/** So many of the last sync markers stay: the one that our log names is at most one behind the last. */
const MARKERS_KEPT = 16

export async function openLevel(directory: string, writeBufferBytes: number): Promise<Level> {
  const level: Level = new ClassicLevel(directory, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    writeBufferSize: writeBufferBytes,
    cacheSize: BLOCK_CACHE_BYTES,
  })
  await level.open()
  return level
}

export interface LevelDbParts {
  readonly directory: string
  readonly level: Level
  readonly writeBufferBytes: number
  readonly syncer: LevelSyncer
  readonly damageFile: DamageFile
  /** Throws if not everything before `witness` (a key of the last batch done) is whole in the files of the closed database. */
  readonly check: (witness: Uint8Array | null) => Promise<void>
}

export class LevelDb implements StateDb {
  readonly #parts: LevelDbParts
  #level: Level
  #markers: number[]
  #marker: number
  /** A key of the last batch done. */
  #lastDone: Uint8Array | null = null
  onDamage: (damage: StateDamage) => void = () => {}

  static async of(parts: LevelDbParts): Promise<LevelDb> {
    const keys = await parts.level.keys({ gte: markerKey(0), lt: MARKERS_END }).all()
    return new LevelDb(parts, keys.map(markerOf))
  }

  private constructor(parts: LevelDbParts, markers: number[]) {
    this.#parts = parts
    this.#level = parts.level
    this.#markers = markers
    this.#marker = markers.at(-1) ?? 0
  }

  get marker(): number {
    return this.#marker
  }

  get isBusy(): boolean {
    return Number(this.#level.getProperty('leveldb.num-files-at-level0')) >= BUSY_TABLES
  }

  get scrub(): ScrubStatus {
    return { tables: 0, unwalked: 0, damagedBlocks: 0 }
  }

  batch(puts: readonly DbPut[], done: (error: Error | null) => void): void {
    settle(this.#write(puts), () => done(null), done)
  }

  remove(keys: readonly Uint8Array[], done: (error: Error | null) => void): void {
    settle(this.#remove(keys), () => done(null), done)
  }

  seek(
    seeks: readonly { gte: Uint8Array; lt: Uint8Array }[],
    done: (error: Error | null, found: readonly (DbPut | null)[]) => void,
  ): void {
    const found = Promise.all(seeks.map((bounds) => this.#read({ ...bounds, limit: 1 })))
    settle(
      found,
      (rows) =>
        done(
          null,
          rows.map(([row]) => row ?? null),
        ),
      (error) => done(readError(error), []),
    )
  }

  range(
    bounds: { gte: Uint8Array; lt: Uint8Array; reverse: boolean; limit: number; bytesMax: number },
    done: (error: Error | null, rows: readonly DbPut[]) => void,
  ): void {
    settle(
      this.#read(bounds),
      (rows) => done(null, rows),
      (error) => done(readError(error), []),
    )
  }

  sync(done: (error: Error | null, marker: number) => void): void {
    const marker = (this.#markers.at(-1) ?? 0) + 1
    this.#markers.push(marker)
    settle(
      this.#sync(marker),
      () => {
        this.#marker = marker
        done(null, marker)
      },
      (error) => done(error, marker),
    )
  }

  reopen(done: (error: Error | null) => void): void {
    settle(this.#reopen(), () => done(null), done)
  }

  markDamaged(damage: StateDamage, done: (error: Error | null) => void): void {
    settle(this.#parts.damageFile.add(damage), () => done(null), done)
  }

  healed(what: { storage: StorageId } | { journal: RangeId }): void {
    // If it cannot be written the next start seeds the replica once more than needed.
    this.#parts.damageFile.heal(what).catch(() => {})
  }

  close(): Promise<void> {
    return this.#level.close()
  }

  /** A chained batch copies keys and values at once and costs a third of an array of operations. */
  async #write(puts: readonly DbPut[]): Promise<void> {
    const batch = this.#level.batch()
    for (const { key, value } of puts) batch.put(key, value)
    await batch.write({ sync: false })
    this.#lastDone = puts.at(-1)?.key ?? this.#lastDone
  }

  /** Markers that nobody needs any more go along. */
  async #remove(keys: readonly Uint8Array[]): Promise<void> {
    const batch = this.#level.batch()
    for (const key of keys) batch.del(key)
    const markers = this.#markers.slice(0, -MARKERS_KEPT)
    for (const marker of markers) batch.del(markerKey(marker))
    await batch.write({ sync: false })
    this.#markers = this.#markers.slice(markers.length)
  }

  async #read(bounds: {
    gte: Uint8Array
    lt: Uint8Array
    reverse?: boolean
    limit: number
    bytesMax?: number
  }): Promise<DbPut[]> {
    const { gte, lt, reverse = false, limit, bytesMax = 1 } = bounds
    // The iterator stops above its mark, the port at its bound.
    const iterator = this.#level.iterator({ gte, lt, reverse, limit, highWaterMarkBytes: bytesMax - 1 })
    try {
      const rows = await iterator.nextv(bounds.limit)
      return rows.map(([key, value]) => ({ key, value }))
    } finally {
      await iterator.close()
    }
  }

  /** A marker, behind which everything done before has reached a file; then the files. */
  async #sync(marker: number): Promise<void> {
    const { directory, syncer } = this.#parts
    await this.#write([{ key: markerKey(marker), value: new Uint8Array() }])
    try {
      await syncLogFiles(directory, syncer)
    } catch (error) {
      // Not to be tried again: after a failed fsync the next one may succeed though the data is gone.
      throw new Error(`syncing the log files of the state database failed: ${(error as Error).name}`)
    }
  }

  async #reopen(): Promise<void> {
    const { directory, writeBufferBytes, check } = this.#parts
    const { bavail, bsize } = await statfs(directory)
    // An opening writes both memtables down as tables, and begins a new log.
    if (bavail * bsize < 3 * writeBufferBytes) throw Object.assign(new Error('no room yet'), { code: 'ENOSPC' })
    await this.#level.close()
    await check(this.#lastDone)
    this.#level = await openLevel(directory, writeBufferBytes)
  }
}

/** LevelDB tells bad blocks and unreadable sectors apart from all else: what they held must come from a peer. */
function readError(error: Error): Error {
  const { code } = error as NodeJS.ErrnoException
  return code === 'LEVEL_CORRUPTION' || code === 'LEVEL_IO_ERROR' ? new DamagedError(error.message) : error
}

/** What `onDone` throws is not caught as a failure of the database: it becomes an unhandled rejection, which ends the process. */
function settle<T>(promise: Promise<T>, onDone: (value: T) => void, onError: (error: Error) => void): void {
  promise.then(onDone, (error: unknown) => onError(error instanceof Error ? error : new Error(String(error))))
}
