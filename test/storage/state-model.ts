import type { Key, RangeId, StorageId, Version } from '../../src/base/ids.js'
import type { Row } from '../../src/kv/requests.js'
import type { JournalRecord, StateRecord, Stored } from '../../src/kv/types.js'
import type { Page } from '../../src/storage/state/page-scan.js'
import type { StateBatch } from '../../src/storage/types.js'

export const RANGE = 9 as RangeId

/** A batch as apply made it: all that one entry wrote. */
export interface ModelBatch {
  readonly timestamp: Version
  readonly batch: StateBatch
  readonly needsLogBatch: number
}

/** Obviously right: a list of batches, searched from the end. */
export class StateModel {
  batches: ModelBatch[] = []

  get clock(): Version {
    return this.batches.at(-1)?.timestamp ?? (0 as Version)
  }

  get logBatch(): number {
    return this.batches.at(-1)?.needsLogBatch ?? 0
  }

  /** Of the first `count` batches. */
  latest({ storage, key, upTo }: { storage: StorageId; key: string; upTo: Version }, count: number): Stored | null {
    let newest: StateRecord | null = null
    for (const { batch } of this.batches.slice(0, count)) {
      for (const one of batch.records) {
        const record = one.record
        if (one.storage !== storage || record.key !== key || record.version > upTo) continue
        if (newest === null || record.version > newest.version) newest = record
      }
    }
    return newest && { version: newest.version, value: newest.value, codec: newest.codec }
  }

  /** All rows of the span, without the bounds of a page. */
  scan({ storage, span, at, reverse, keysOnly }: Omit<Page, 'limit' | 'bytesMax'>, count: number): Row[] {
    const keys = new Set<Key>()
    for (const { batch } of this.batches) {
      for (const one of batch.records) if (one.storage === storage) keys.add(one.record.key)
    }
    const rows: Row[] = []
    for (const key of [...keys].sort((a, b) => (a < b ? -1 : 1))) {
      if (key < span.start || (span.end !== null && key >= span.end)) continue
      const found = this.latest({ storage, key, upTo: at }, count)
      if (found === null || found.value === null) continue
      rows.push({ key, version: found.version, codec: found.codec, value: keysOnly ? new Uint8Array() : found.value })
    }
    return reverse ? rows.reverse() : rows
  }

  journal(from: Version, to: Version, count: number): JournalRecord[] {
    return this.batches
      .slice(0, count)
      .flatMap(({ batch }) => batch.journals.map(({ record }) => record))
      .filter(({ timestamp }) => timestamp > from && timestamp <= to)
  }
}
