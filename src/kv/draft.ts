import type { Key, Version } from '../base/ids.js'
import { limits } from '../base/limits.js'
import type { Codec, Reader, StateRecord, Stored } from './types.js'

/** However many commands an entry holds: each node makes all of its outcomes at once. */
const RETURNED_BYTES_MAX = 4 * limits.valueBytesMax

/** A key's newest record, if it is there and no tombstone. */
export type Present = Stored & { readonly value: Uint8Array }

/** The records of the entry being applied, seen by its later commands as if they were stored already. */
export class Draft {
  readonly records: StateRecord[] = []
  /** Bytes of values that the entry's outcomes may still bring back. */
  returnableBytes = RETURNED_BYTES_MAX
  readonly #reader: Reader
  readonly #latest = new Map<Key, StateRecord>()

  constructor(reader: Reader) {
    this.#reader = reader
  }

  present(key: Key): Present | null {
    const stored = this.#latest.get(key) ?? this.#reader.latest(key)
    return stored === null || stored.value === null ? null : (stored as Present)
  }

  put(key: Key, version: Version, codec: Codec, value: Uint8Array): void {
    this.#add({ key, version, codec, value })
  }

  /** Writes a tombstone where something is; returns whether there was. */
  delete(key: Key, version: Version): boolean {
    if (this.present(key) === null) return false
    this.#add({ key, version, codec: 'bytes', value: null })
    return true
  }

  #add(record: StateRecord): void {
    this.records.push(record)
    this.#latest.set(record.key, record)
  }
}
