import type { StorageId, Version } from '../../base/ids.js'
import type { StateRecord, Stored } from '../../kv/types.js'

/** A record written and not yet in LevelDB. Those of one key are linked in the order written. */
export interface OverlayRecord extends Stored {
  readonly storage: StorageId
  readonly key: string
  older: OverlayRecord | null
  newer: OverlayRecord | null
}

/** What was written and is not yet in LevelDB, found by key. Records leave in the order in which they came. */
export class Overlay {
  readonly #newest = new Map<StorageId, Map<string, OverlayRecord>>()

  /** `value` is the record's, in memory that outlives the turn. */
  add(storage: StorageId, record: StateRecord, value: Uint8Array | null): OverlayRecord {
    let keys = this.#newest.get(storage)
    if (keys === undefined) {
      keys = new Map()
      this.#newest.set(storage, keys)
    }
    const { key, version, codec } = record
    const older = keys.get(key) ?? null
    const added: OverlayRecord = { storage, key, version, codec, value, older, newer: null }
    if (older !== null) older.newer = added
    keys.set(key, added)
    return added
  }

  /** `record` is the oldest of its key here. */
  remove(record: OverlayRecord): void {
    if (record.newer !== null) {
      record.newer.older = null
      return
    }
    const keys = this.#newest.get(record.storage)!
    keys.delete(record.key)
    if (keys.size === 0) this.#newest.delete(record.storage)
  }

  latest({ storage, key }: { storage: StorageId; key: string }): Stored | undefined {
    return storedOf(this.#newest.get(storage)?.get(key))
  }

  /** The newest with version <= upTo. */
  upTo({ storage, key, upTo }: { storage: StorageId; key: string; upTo: Version }): Stored | undefined {
    let record = this.#newest.get(storage)?.get(key)
    while (record !== undefined && record.version > upTo) record = record.older ?? undefined
    return storedOf(record)
  }
}

/** Without the links, which would keep other records alive. */
function storedOf(record: OverlayRecord | undefined): Stored | undefined {
  return record && { version: record.version, value: record.value, codec: record.codec }
}
