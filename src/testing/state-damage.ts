import type { RangeId, StorageId } from '../base/ids.js'
import type { StateDamage } from '../storage/types.js'

/** Of journal records. */
export const JOURNAL = 0

export function storageOf(key: Uint8Array): number {
  return ((key[0]! << 24) | (key[1]! << 16) | (key[2]! << 8) | key[3]!) >>> 0
}

export function isOf(key: Uint8Array, storage: number | undefined): boolean {
  return storage === undefined || storageOf(key) === storage
}

/** What a walk over the files says that has found it. */
export function damageAt(key: string): StateDamage & { storages: readonly StorageId[]; journals: readonly RangeId[] } {
  const bytes = Buffer.from(key, 'latin1')
  const storage = storageOf(bytes)
  const what = 'a walk over its files found a damaged block'
  if (storage !== JOURNAL) return { what, storages: [storage as StorageId], journals: [] }
  return { what, storages: [], journals: [Number(bytes.readBigUInt64BE(3) & 0xff_ffff_ffff_ffffn) as RangeId] }
}

/** What is known of two damages together. */
export function bothDamages(a: StateDamage | null, b: StateDamage): StateDamage {
  const storages = both(a?.storages ?? [], b.storages)
  return { what: b.what, storages, journals: both(a?.journals ?? [], b.journals) }
}

function both<T>(a: readonly T[] | 'all', b: readonly T[] | 'all'): readonly T[] | 'all' {
  return a === 'all' || b === 'all' ? 'all' : [...new Set([...a, ...b])]
}
