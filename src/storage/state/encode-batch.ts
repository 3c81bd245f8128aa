import { encodeJournal } from '../codec/journal.js'
import { recordValueLength, writeRecordValue } from '../codec/record.js'
import type { DbPut, StateBatch } from '../types.js'
import { journalKey, recordKeyLength, writeRecordKey } from './keys.js'
import type { Overlay, OverlayRecord } from './overlay.js'

const VALUE_HEAD_BYTES = 4

export interface EncodedBatch {
  readonly puts: DbPut[]
  readonly records: readonly OverlayRecord[]
  readonly bytes: number
}

/**
 * Encodes a batch once, all its records into one piece of memory, and enters them into the overlay with values that are
 * views of it: so no record keeps the entry alive that it came with. Overlay null: nobody reads them before LevelDB has them.
 * `allocate` gives the memory for so many bytes.
 */
export function encodeBatch(
  batch: StateBatch,
  overlay: Overlay | null,
  allocate: (bytes: number) => Buffer = Buffer.allocUnsafeSlow,
): EncodedBatch {
  let bytes = 0
  for (const { record } of batch.records) bytes += recordKeyLength(record.key) + recordValueLength(record)
  const slab = allocate(bytes)
  const puts: DbPut[] = []
  const records: OverlayRecord[] = []
  let keyAt = 0
  for (const { storage, record } of batch.records) {
    const valueAt = writeRecordKey(slab, keyAt, { storage, key: record.key, version: record.version })
    const end = writeRecordValue(slab, { keyAt, valueAt }, record)
    puts.push({ key: slab.subarray(keyAt, valueAt), value: slab.subarray(valueAt, end) })
    const from = valueAt + VALUE_HEAD_BYTES
    const value = record.value === null ? null : slab.subarray(from, from + record.value.length)
    if (overlay !== null) records.push(overlay.add(storage, record, value))
    keyAt = end
  }
  for (const { range, record } of batch.journals) {
    const key = journalKey(range, record.timestamp)
    const value = encodeJournal(key, record)
    puts.push({ key, value })
    bytes += key.length + value.length
  }
  return { puts, records, bytes }
}
