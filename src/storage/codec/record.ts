import { crc32 } from 'node:zlib'
import type { Codec, StateRecord } from '../../kv/types.js'
import { ByteReader } from './bytes.js'
import { DamagedError } from './errors.js'
import { FORMAT, readHead } from './head.js'
import { codecOf, codecTag } from './parts.js'

// Record value: head (head.ts; required flag 1 = tombstone), codec tag (1), value, then crc32 (4) over physical key and
// all before it.

const TOMBSTONE = 1
const HEAD_BYTES = 4
const CHECKSUM_BYTES = 4

export function recordValueLength(record: StateRecord): number {
  return HEAD_BYTES + (record.value === null ? 0 : record.value.length) + CHECKSUM_BYTES
}

/**
 * Writes the stored value of `record` at `valueAt`, right behind its physical key, which stands from `keyAt`: together
 * they are one piece of memory, so that one call computes the checksum. Returns where the value ends.
 */
export function writeRecordValue(
  bytes: Buffer,
  { keyAt, valueAt }: { keyAt: number; valueAt: number },
  record: StateRecord,
): number {
  bytes[valueAt] = FORMAT
  bytes[valueAt + 1] = record.value === null ? TOMBSTONE : 0
  bytes[valueAt + 2] = 0
  bytes[valueAt + 3] = codecTag(record.codec)
  let at = valueAt + HEAD_BYTES
  if (record.value !== null) {
    bytes.set(record.value, at)
    at += record.value.length
  }
  return bytes.writeUInt32BE(crc32(bytes.subarray(keyAt, at)), at)
}

export interface RecordValue {
  readonly codec: Codec
  /** A view of what was decoded; null: a tombstone. */
  readonly value: Uint8Array | null
}

/** Throws DamagedError or UnknownFormatError: what a record says is used only if checksum and format are right. */
export function decodeRecordValue(physicalKey: Uint8Array, stored: Uint8Array): RecordValue {
  const end = stored.length - CHECKSUM_BYTES
  if (end < 0) throw new DamagedError(`a state record of ${stored.length} bytes`)
  const actual = crc32(stored.subarray(0, end), crc32(physicalKey))
  const checksum = ((stored[end]! << 24) | (stored[end + 1]! << 16) | (stored[end + 2]! << 8) | stored[end + 3]!) >>> 0
  if (checksum !== actual) throw new DamagedError('a state record has a wrong checksum')
  const reader = new ByteReader(stored, 0, end)
  const flags = readHead(reader, 'a state record', TOMBSTONE)
  const codec = codecOf(reader.uint8())
  const value = reader.bytesView(reader.left)
  return { codec, value: (flags & TOMBSTONE) !== 0 ? null : value }
}
