import { assert } from '../../base/assert.js'
import type { Key, RangeId, StorageId, Version } from '../../base/ids.js'
import { readUint56, writeUint56 } from '../codec/bytes.js'
import { DamagedError } from '../codec/errors.js'

// Physical key of a record: storage id (4 bytes, big endian), user key with every 00 written as 00 FF, terminator 00 01,
// then 2^53-1 - version (7 bytes, big endian): keys in their order, versions of one key from newest to oldest.
// Journal records: storage id 0, range id (7 bytes), timestamp (7 bytes). See docs/decisions/0003-state-keys.md.

const STORAGE_BYTES = 4
const TERMINATOR_BYTES = 2
const VERSION_BYTES = 7
const ESCAPE = 0xff
const TERMINATOR = 0x01
const JOURNAL_STORAGE = 0
/** Storage ids from here on are not for records: the last is the database's own (sync markers). */
const STORAGE_LIMIT = 0xffff_ffff
const NEWEST = Number.MAX_SAFE_INTEGER

export function recordKeyLength(key: string): number {
  let length = STORAGE_BYTES + key.length + TERMINATOR_BYTES + VERSION_BYTES
  for (let i = 0; i < key.length; i++) if (key.charCodeAt(i) === 0) length++
  return length
}

/** Returns where the key ends. */
export function writeRecordKey(
  bytes: Uint8Array,
  at: number,
  record: { storage: StorageId; key: string; version: Version },
): number {
  const end = writeKeyPart(bytes, at, record)
  writeUint56(bytes, end, NEWEST - record.version)
  return end + VERSION_BYTES
}

function writeKeyPart(bytes: Uint8Array, at: number, { storage, key }: { storage: StorageId; key: string }): number {
  let end = writeStorage(bytes, at, storage)
  for (let i = 0; i < key.length; i++) {
    const char = key.charCodeAt(i)
    bytes[end++] = char
    if (char === 0) bytes[end++] = ESCAPE
  }
  bytes[end++] = 0
  bytes[end++] = TERMINATOR
  return end
}

function writeStorage(bytes: Uint8Array, at: number, storage: number): number {
  bytes[at] = storage >>> 24
  bytes[at + 1] = storage >>> 16
  bytes[at + 2] = storage >>> 8
  bytes[at + 3] = storage
  return at + STORAGE_BYTES
}

/** Of one key, the place of version `version`: that one and all older ones are at or after it. */
export function recordKey(storage: StorageId, key: string, version: Version): Uint8Array {
  const bytes = new Uint8Array(recordKeyLength(key))
  writeRecordKey(bytes, 0, { storage, key, version })
  return bytes
}

/** At or before every version of `key`, after everything of smaller keys. */
export function startOfKey(storage: StorageId, key: string): Uint8Array {
  const bytes = new Uint8Array(recordKeyLength(key) - VERSION_BYTES)
  writeKeyPart(bytes, 0, { storage, key })
  return bytes
}

/** After every version of `key`, before everything of larger keys. */
export function endOfKey(storage: StorageId, key: string): Uint8Array {
  const bytes = startOfKey(storage, key)
  bytes[bytes.length - 1] = TERMINATOR + 1
  return bytes
}

/** After every record of `storage`. */
export function endOfStorage(storage: StorageId): Uint8Array {
  assert(storage > JOURNAL_STORAGE && storage < STORAGE_LIMIT, 'storage id out of range', storage)
  const bytes = new Uint8Array(STORAGE_BYTES)
  writeStorage(bytes, 0, storage + 1)
  return bytes
}

/** Throws DamagedError for bytes that are no record key. */
export function decodeRecordKey(bytes: Uint8Array): { key: Key; version: Version } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const end = buffer.length - VERSION_BYTES - TERMINATOR_BYTES
  if (end < STORAGE_BYTES || buffer[end] !== 0 || buffer[end + 1] !== TERMINATOR) {
    throw new DamagedError(`${buffer.toString('hex')} is no key of a state record`)
  }
  const escaped = buffer.toString('latin1', STORAGE_BYTES, end)
  const key = (escaped.includes('\0') ? escaped.replaceAll('\0\xff', '\0') : escaped) as Key
  return { key, version: (NEWEST - readUint56(buffer, end + TERMINATOR_BYTES)) as Version }
}

/** `timestamp` may be one above the highest version, as the end of a half-open span. */
export function journalKey(range: RangeId, timestamp: number): Uint8Array {
  const bytes = new Uint8Array(STORAGE_BYTES + 2 * VERSION_BYTES)
  writeStorage(bytes, 0, JOURNAL_STORAGE)
  writeUint56(bytes, STORAGE_BYTES, range)
  writeUint56(bytes, STORAGE_BYTES + VERSION_BYTES, timestamp)
  return bytes
}
