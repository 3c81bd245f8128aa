import { statfs } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { ClassicLevel } from 'classic-level'
import type { RangeId, StorageId } from '../../base/ids.js'
import { DamagedError } from '../codec/errors.js'
import { isDiskFull } from '../disk-full.js'
import type { DbPut, ScrubStatus, StateDamage, StateDb } from '../types.js'
import type { DamageFile } from './damage-file.js'
import { inspect } from './inspect.js'
import { MARKERS_END, markerKey, markerOf } from './own-keys.js'
import { Scrub } from './scrub.js'
import { type LevelSyncer, syncLogFiles } from './sync-files.js'

export type Level = ClassicLevel<Uint8Array, Uint8Array>

/** Figures and reasons in docs/decisions/0003-state-keys.md. */
export const WRITE_BUFFER_BYTES = 16 * 1024 * 1024
const BLOCK_CACHE_BYTES = 32 * 1024 * 1024
/** LevelDB slows writes down at 8 tables on level 0 and stops them at 12. */
const BUSY_TABLES = 4
/** So many of the last sync markers stay: the one that our log names is at most one behind the last. */
const MARKERS_KEPT = 16
/** How often it is opened again where the room for it went while it was closed. */
const ROOM_RETRY_MS = 200

/** Bytes of key and value, on average, from which on memory counts for more than the event loop's microseconds per put. */
const LARGE_PUT_BYTES = 1024

interface Batch {
  write(options: { readonly sync: boolean }): Promise<void>
}

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
  /** Tables that were walked before it was opened. */
  readonly walked: readonly number[]
  /** The highest storage id in use. */
  readonly highest: number
  /** The last sync that our log knows of: numbers go on behind it, also in a new database. */
  readonly marker: number
}

export class LevelDb implements StateDb {
  readonly #parts: LevelDbParts
  #level: Level
  #markers: number[]
  #marker: number
  /** To the newest sync, done or not. */
  #markerGiven: number
  /** A key of the last batch done. */
  #lastDone: Uint8Array | null = null
  #highest: number
  readonly #scrub: Scrub
  onDamage: (damage: StateDamage) => void = () => {}

  static async of(parts: LevelDbParts): Promise<LevelDb> {
    const keys = await parts.level.keys({ gte: markerKey(0), lt: MARKERS_END }).all()
    return new LevelDb(parts, keys.map(markerOf))
  }

  private constructor(parts: LevelDbParts, markers: number[]) {
    this.#parts = parts
    this.#level = parts.level
    this.#markers = markers
    this.#marker = Math.max(markers.at(-1) ?? 0, parts.marker)
    this.#markerGiven = this.#marker
    this.#highest = parts.highest
    this.#scrub = new Scrub({
      directory: parts.directory,
      walked: parts.walked,
      highest: () => this.#highest,
      onDamage: (damage) => this.onDamage(damage),
    })
    this.#scrub.start()
  }

  get marker(): number {
    return this.#marker
  }

  get isBusy(): boolean {
    // Being opened again: it can't be asked.
    if (this.#level.status !== 'open') return true
    return Number(this.#level.getProperty('leveldb.num-files-at-level0')) >= BUSY_TABLES
  }

  get scrub(): ScrubStatus {
    return this.#scrub.status
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
    const marker = ++this.#markerGiven
    settle(
      this.#sync(marker),
      () => {
        // Not before: a sync that failed, however often, must not make the marker go that our log names.
        this.#markers.push(marker)
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

  async close(): Promise<void> {
    await this.#scrub.stop()
    await this.#level.close()
  }

  async #write(puts: readonly DbPut[]): Promise<void> {
    let bytes = 0
    for (const { key, value } of puts) {
      bytes += key.length + value.length
      this.#highest = Math.max(this.#highest, storageOf(key))
    }
    const last = puts.at(-1)
    // Of its own: what was written may lie in memory that is used again, or keep much more alive.
    const lastKey = last === undefined ? this.#lastDone : Uint8Array.from(last.key)
    await this.#commit(bytes > LARGE_PUT_BYTES * puts.length ? this.#array(puts) : this.#chained(puts))
    this.#lastDone = lastKey
  }

  /** Costs a third of an array of operations; but its copy of all keys and values goes only when V8 next collects, which does not see it. */
  #chained(puts: readonly DbPut[]): Batch {
    const batch = this.#level.batch()
    for (const { key, value } of puts) batch.put(key, value)
    return batch
  }

  /** Its copy goes as soon as it is written. */
  #array(puts: readonly DbPut[]): Batch {
    const operations = puts.map(({ key, value }) => ({ type: 'put' as const, key, value }))
    return { write: (options) => this.#level.batch(operations, options) }
  }

  /** Corruption: a compaction has met a damaged table. It is on record before anybody acts on it, so that the next opening finds the table. */
  async #commit(batch: Batch): Promise<void> {
    try {
      await batch.write({ sync: false })
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      if (code === 'LEVEL_CORRUPTION') await this.#parts.damageFile.add({ what: message, storages: [], journals: [] })
      throw error
    }
  }

  /** Markers that nobody needs any more go along. */
  async #remove(keys: readonly Uint8Array[]): Promise<void> {
    const batch = this.#level.batch()
    for (const key of keys) batch.del(key)
    const markers = this.#markers.slice(0, -MARKERS_KEPT)
    for (const marker of markers) batch.del(markerKey(marker))
    await this.#commit(batch)
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
    const { directory, writeBufferBytes } = this.#parts
    const { bavail, bsize } = await statfs(directory)
    // An opening writes both memtables down as tables, and begins a new log.
    if (bavail * bsize < 3 * writeBufferBytes) throw Object.assign(new Error('no room yet'), { code: 'ENOSPC' })
    await this.#level.close()
    const { lost, damage } = await inspect(directory, { witness: this.#lastDone, bytesMax: 0, highest: this.#highest })
    if (lost !== null || damage !== null) throw new Error(`what was written is not whole: ${lost ?? damage?.what}`)
    this.#level = await openWithRoom(directory, writeBufferBytes)
    if (this.#lastDone === null) return
    const [found] = await this.#level.getMany([this.#lastDone])
    if (found === undefined) throw new Error('what was written last is not there')
  }
}

/** The room that was there may be taken meanwhile. Closed, it can't go back to being read: who waits for it waits until there is room. */
async function openWithRoom(directory: string, writeBufferBytes: number): Promise<Level> {
  for (;;) {
    try {
      return await openLevel(directory, writeBufferBytes)
    } catch (error) {
      if (!isDiskFull(error as Error)) throw error
      await setTimeout(ROOM_RETRY_MS, undefined, { ref: false })
    }
  }
}

/** The database's own keys have none. */
function storageOf(key: Uint8Array): number {
  const storage = ((key[0]! << 24) | (key[1]! << 16) | (key[2]! << 8) | key[3]!) >>> 0
  return storage === 0xffff_ffff ? 0 : storage
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
