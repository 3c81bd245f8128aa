import type { Span } from '../../base/descriptor.js'
import type { Key, StorageId, Version } from '../../base/ids.js'
import type { DbPut } from '../types.js'
import { endOfKey, endOfStorage, recordKey, startOfKey } from './keys.js'
import { readRecord } from './read-record.js'

/** A piece is one iterator and at most one delete batch. */
export const PIECE_ROWS = 512
export const PIECE_BYTES = 1024 * 1024
/** Behind so many rows a pass ends with the key it is in. */
const PASS_ROWS = 2048

export interface CollectWork {
  readonly storage: StorageId
  readonly span: Span
  readonly floor: Version
  readonly durable: Version
}

/**
 * One pass of collection over the records of a span: of each key everything that is older than the newest version at or below the
 * limit, and that one too if it is a tombstone and nothing that it hides can come back. The limit is the floor, and never above D: what
 * replay reads by entry order is newer, or is that newest one.
 *
 * A tombstone goes in the same batch as all that it hides, or when a sync covers those deletes. Otherwise a power cut could keep the
 * delete of the tombstone and lose that of an older value, and a deleted key would be back.
 */
export class CollectPass {
  readonly #work: CollectWork
  readonly #limit: Version
  /** Whether older records of this key may have been deleted before this pass and not synced since. */
  readonly #isUnsynced: (key: Key) => boolean
  bounds: { readonly gte: Uint8Array; readonly lt: Uint8Array }
  deleted = 0
  #rows = 0
  #key: Key | null = null
  /** The newest version at or below the limit has been passed. */
  #found = false
  #tombstone: Uint8Array | null = null
  /** Some of what the tombstone hides went in an earlier piece. */
  #isCut = false
  /** Only what is left of this key. */
  #last: Key | null = null

  constructor(work: CollectWork, isUnsynced: (key: Key) => boolean) {
    const { storage, span } = work
    this.#work = work
    this.#limit = work.floor < work.durable ? work.floor : work.durable
    this.#isUnsynced = isUnsynced
    const lt = span.end === null ? endOfStorage(storage) : startOfKey(storage, span.end)
    this.bounds = { gte: startOfKey(storage, span.start), lt }
  }

  /** Where the pass has been so far: from the span's start to behind this key. */
  get end(): Key {
    return this.#key === null ? this.#work.span.start : (`${this.#key}\0` as Key)
  }

  /** What of a piece is to be deleted. Throws for a damaged record: nothing near it is deleted. */
  take(found: readonly DbPut[]): { victims: Uint8Array[]; finished: boolean } {
    const victims: Uint8Array[] = []
    let ofKey = 0
    let last: Version | null = null
    for (const put of found) {
      const { key, version, value } = readRecord(put)
      last = version
      if (key !== this.#key) {
        this.#endKey(victims)
        this.#key = key
        ofKey = 0
      }
      if (version > this.#limit) continue
      if (this.#found) {
        victims.push(put.key)
        ofKey++
      } else {
        this.#found = true
        if (value === null) this.#tombstone = put.key
      }
    }
    this.#rows += found.length
    const finished = this.#goOn(found, last, ofKey, victims)
    this.deleted += victims.length
    return { victims, finished }
  }

  /** The key to begin the next pass with. */
  get next(): Key | null {
    if (this.#last === null) return null
    const next = `${this.#last}\0` as Key
    const { end } = this.#work.span
    return end !== null && next >= end ? null : next
  }

  #goOn(found: readonly DbPut[], last: Version | null, ofKey: number, victims: Uint8Array[]): boolean {
    if (!isCut(found) || last === null || this.#key === null) {
      this.#endKey(victims)
      return true
    }
    if (ofKey > 0) this.#isCut = true
    const { storage } = this.#work
    if (this.#rows >= PASS_ROWS) this.#last = this.#key
    const lt = this.#last === null ? this.bounds.lt : endOfKey(storage, this.#last)
    const version = this.#found ? last - 1 : this.#limit
    this.bounds = version < 0 ? { gte: lt, lt } : { gte: recordKey(storage, this.#key, version as Version), lt }
    return false
  }

  #endKey(victims: Uint8Array[]): void {
    const isSafe = this.#tombstone !== null && !this.#isCut && !this.#isUnsynced(this.#key!)
    if (isSafe) victims.push(this.#tombstone!)
    this.#found = false
    this.#tombstone = null
    this.#isCut = false
  }
}

/** A piece that is full: there may be more behind it. */
export function isCut(found: readonly DbPut[]): boolean {
  if (found.length >= PIECE_ROWS) return true
  let bytes = 0
  for (const { key, value } of found) bytes += key.length + value.length
  return bytes >= PIECE_BYTES
}
