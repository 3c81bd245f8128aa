import { crc32 } from 'node:zlib'
import type { Key, RangeId, Version } from '../../base/ids.js'
import { type AppliedEntry, codecs, type StateRecord } from '../../kv/types.js'
import type { Violations } from './violations.js'

const MODULUS = 2 ** 48
const TOMBSTONE = 0xff

/**
 * A model of all state that was ever written, as plain as can be: per key its records by version, per range the sum of their
 * digests. Fed with what is applied for the first time anywhere; replicas, clients and disks are held against it.
 */
export class RecordsModel {
  readonly #violations: Violations
  readonly #keys = new Map<Key, Map<Version, StateRecord>>()
  readonly #digests = new Map<RangeId, number>()

  constructor(violations: Violations) {
    this.#violations = violations
  }

  /** The entry was applied for the first time; `digest` is what the replica says of all it has written. */
  applied(range: RangeId, { records, split }: AppliedEntry, digest: number): void {
    let sum = 0
    for (const record of records) {
      sum = (sum + digestOf(record)) % MODULUS
      this.#add(range, record)
    }
    const before = this.#digests.get(range) ?? 0
    const expected = (before + sum) % MODULUS
    this.#violations.require(
      digest === expected,
      () => `range ${range} has digest ${digest}, and the sum over what it wrote is ${expected}`,
    )
    this.#digests.set(range, expected)
    if (split === null) return
    const { bookkeeping } = split
    const child = bookkeeping.descriptor.range
    this.#violations.require(
      bookkeeping.digest === expected,
      () => `range ${child} begins with digest ${bookkeeping.digest}, its parent ${range} has ${expected}`,
    )
    if (!this.#digests.has(child)) this.#digests.set(child, expected)
  }

  /** What was written to the key under this version; undefined: nothing. */
  at(key: Key, version: Version): StateRecord | undefined {
    return this.#keys.get(key)?.get(version)
  }

  /** All records of a key, in the order of their versions. */
  recordsOf(key: Key): readonly StateRecord[] {
    return [...(this.#keys.get(key)?.values() ?? [])].sort((a, b) => a.version - b.version)
  }

  /** All that was ever written and begins with `prefix`. */
  keysWith(prefix: Key): Key[] {
    return [...this.#keys.keys()].filter((key) => key.startsWith(prefix))
  }

  /** What a read at `at` finds of the span, by key. */
  visible(span: { start: Key; end: Key | null }, at: Version): Map<Key, StateRecord> {
    const found = new Map<Key, StateRecord>()
    for (const [key, versions] of this.#keys) {
      if (key < span.start || (span.end !== null && key >= span.end)) continue
      let newest: StateRecord | undefined
      for (const record of versions.values()) {
        if (record.version <= at && (newest === undefined || record.version > newest.version)) newest = record
      }
      if (newest !== undefined && newest.value !== null) found.set(key, newest)
    }
    return found
  }

  #add(range: RangeId, record: StateRecord): void {
    let versions = this.#keys.get(record.key)
    if (versions === undefined) {
      versions = new Map()
      this.#keys.set(record.key, versions)
    }
    const known = versions.get(record.version)
    this.#violations.require(
      known === undefined || isSameRecord(known, record),
      () => `range ${range} wrote two records of ${JSON.stringify(record.key)} under version ${record.version}`,
    )
    versions.set(record.version, record)
  }
}

export function isSameRecord(a: StateRecord, b: StateRecord): boolean {
  return a.codec === b.codec && isSameValue(a.value, b.value)
}

function isSameValue(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : Buffer.compare(a, b) === 0
}

/** By the format's description, not by its code: seven bytes of version, one of codec, the key's length (LEB128) and bytes, the value. */
function digestOf({ key, version, codec, value }: StateRecord): number {
  const head = [value === null ? TOMBSTONE : codecs.indexOf(codec)]
  for (let rest = key.length; ; rest >>= 7) {
    head.push(rest < 0x80 ? rest : (rest & 0x7f) | 0x80)
    if (rest < 0x80) break
  }
  const stamp = Buffer.alloc(7)
  stamp.writeUIntBE(Math.floor(version / 2 ** 32), 0, 3)
  stamp.writeUInt32BE(version % 2 ** 32, 3)
  const start = crc32(Buffer.from(key, 'latin1'), crc32(Buffer.from(head), crc32(stamp)))
  return value === null ? start : crc32(value, start)
}
