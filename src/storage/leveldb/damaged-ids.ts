import type { RangeId, StorageId } from '../../base/ids.js'
import type { StateDamage } from '../types.js'
import { type LiveTable, userKey } from './manifest.js'

/** Storage id of journal records; their range id (7 bytes) follows. See docs/decisions/0003-state-keys.md. */
const JOURNAL = 0
const STORAGE_BYTES = 4
const RANGE_BYTES = 7
/** A table over more ranges than this may concern all of them. */
const IDS_MAX = 4_096

/** Whose records a damaged table may hold. Storage ids above `highest` were never used. */
export function damageOf(table: LiveTable, what: string, highest: number): StateDamage {
  const from = userKey(table.smallest)
  const to = userKey(table.largest)
  const first = numberAt(from, 0, STORAGE_BYTES)
  const last = numberAt(to, 0, STORAGE_BYTES)
  const storages: StorageId[] = []
  for (let id = Math.max(first, JOURNAL + 1); id <= Math.min(last, highest); id++) storages.push(id as StorageId)
  const journals = first === JOURNAL ? rangesOf(from, last === JOURNAL ? to : null) : []
  return { what: `table ${table.number}: ${what}`, storages, journals }
}

/** `to` null: all that follow. */
function rangesOf(from: Uint8Array, to: Uint8Array | null): readonly RangeId[] | 'all' {
  if (to === null) return 'all'
  const first = numberAt(from, STORAGE_BYTES, RANGE_BYTES)
  const last = numberAt(to, STORAGE_BYTES, RANGE_BYTES)
  if (last - first > IDS_MAX) return 'all'
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) as RangeId)
}

function numberAt(key: Uint8Array, at: number, count: number): number {
  let value = 0
  for (let i = at; i < at + count; i++) value = value * 256 + (key[i] ?? 0)
  return value
}
