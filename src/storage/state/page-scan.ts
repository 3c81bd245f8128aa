import type { Span } from '../../base/descriptor.js'
import type { Key, StorageId, Version } from '../../base/ids.js'
import type { Row } from '../../kv/requests.js'
import type { StateRecord } from '../../kv/types.js'
import type { DbPut, StateDb } from '../types.js'
import { endOfKey, endOfStorage, recordKey, startOfKey } from './keys.js'
import { readRecord } from './read-record.js'

/** Records are read from LevelDB in pieces of at most this many, and about this many bytes. */
const CHUNK_ROWS_MIN = 16
const CHUNK_ROWS_MAX = 256
const CHUNK_BYTES = 256 * 1024

export interface Page {
  readonly storage: StorageId
  readonly span: Span
  readonly at: Version
  readonly reverse: boolean
  readonly limit: number
  readonly bytesMax: number
  readonly keysOnly: boolean
}

interface Bounds {
  readonly gte: Uint8Array
  readonly lt: Uint8Array
}

/**
 * One page of a span by version: of every key the newest record at or below `at`, tombstones left out. A key whose
 * versions fill a piece is left by its bounds, so a key written a hundred thousand times costs one piece, not all of them.
 */
export class PageScan {
  readonly #db: StateDb
  readonly #page: Page
  readonly #done: (error: Error | null, rows: readonly Row[], more: boolean) => void
  readonly #rows: Row[] = []
  #bytes = 0
  #chunkRows: number
  #bounds: Bounds
  /** Forward: the key that was answered last. Reverse: the key being walked, from its oldest version up. */
  #key: Key | null = null
  /** Reverse: the newest record of `#key` so far that is not above `at`. */
  #candidate: StateRecord | null = null

  constructor(db: StateDb, page: Page, done: (error: Error | null, rows: readonly Row[], more: boolean) => void) {
    this.#db = db
    this.#page = page
    this.#done = done
    this.#chunkRows = Math.min(Math.max(page.limit + 1, CHUNK_ROWS_MIN), CHUNK_ROWS_MAX)
    const { storage, span } = page
    const lt = span.end === null ? endOfStorage(storage) : startOfKey(storage, span.end)
    this.#bounds = { gte: startOfKey(storage, span.start), lt }
  }

  start(): void {
    const { reverse } = this.#page
    const limit = this.#chunkRows
    this.#chunkRows = Math.min(2 * limit, CHUNK_ROWS_MAX)
    this.#db.range({ ...this.#bounds, reverse, limit, bytesMax: CHUNK_BYTES }, (error, found) => {
      if (error !== null) return this.#done(error, [], false)
      const cut = found.length >= limit || bytesOf(found) >= CHUNK_BYTES
      const records = this.#verified(found)
      if (records === null) return
      if (reverse) this.#takeReverse(records, cut)
      else this.#takeForward(records, cut)
    })
  }

  /** Every record read is verified, also those that do not show. null: one is refused, and `done` was told. */
  #verified(found: readonly DbPut[]): StateRecord[] | null {
    try {
      return found.map(readRecord)
    } catch (damage) {
      this.#done(damage as Error, [], false)
      return null
    }
  }

  #takeForward(records: readonly StateRecord[], cut: boolean): void {
    const { storage, at } = this.#page
    let last: StateRecord | null = null
    for (const record of records) {
      last = record
      if (last.key === this.#key || last.version > at) continue
      this.#key = last.key
      if (!this.#maybeEmit(last)) return this.#finish(true)
    }
    if (last === null || !cut) return this.#finish(false)
    if (this.#isFull()) return this.#finish(true)
    const gte = last.key === this.#key ? endOfKey(storage, last.key) : recordKey(storage, last.key, at)
    this.#bounds = { ...this.#bounds, gte }
    this.start()
  }

  #takeReverse(records: readonly StateRecord[], cut: boolean): void {
    for (const record of records) {
      if (record.key !== this.#key) {
        if (!this.#maybeEmit(this.#candidate)) return this.#finish(true)
        this.#key = record.key
        this.#candidate = null
      }
      if (record.version <= this.#page.at) this.#candidate = record
    }
    if (cut && this.#key !== null) return this.#finishKey(this.#key)
    this.#finish(!this.#maybeEmit(this.#candidate))
  }

  /** The piece ended somewhere among the versions of `key`: look its answer up and go on below it. */
  #finishKey(key: Key): void {
    const { storage, at } = this.#page
    this.#db.seek([{ gte: recordKey(storage, key, at), lt: endOfKey(storage, key) }], (error, [found]) => {
      if (error !== null) return this.#done(error, [], false)
      const records = this.#verified(found ? [found] : [])
      if (records === null) return
      if (!this.#maybeEmit(records[0] ?? null) || this.#isFull()) return this.#finish(true)
      this.#key = null
      this.#candidate = null
      this.#bounds = { ...this.#bounds, lt: startOfKey(storage, key) }
      this.start()
    })
  }

  /** False: there is a row and no room for it. */
  #maybeEmit(record: StateRecord | null): boolean {
    if (record === null || record.value === null) return true
    const { keysOnly, bytesMax } = this.#page
    const { key, version, codec } = record
    const value = keysOnly ? new Uint8Array() : record.value
    const bytes = key.length + value.length
    if (this.#isFull() || (this.#rows.length > 0 && this.#bytes + bytes > bytesMax)) return false
    this.#rows.push({ key, version, codec, value })
    this.#bytes += bytes
    return true
  }

  #isFull(): boolean {
    return this.#rows.length >= this.#page.limit
  }

  #finish(more: boolean): void {
    this.#done(null, this.#rows, more)
  }
}

function bytesOf(found: readonly DbPut[]): number {
  let bytes = 0
  for (const { key, value } of found) bytes += key.length + value.length
  return bytes
}
