import { crc32 } from 'node:zlib'
import type { Key, RangeId, Version } from '../../base/ids.js'
import type { StateRecord } from '../../kv/types.js'
import { journalKey } from '../state/keys.js'
import type { StateChunk } from '../types.js'
import { ByteReader, ByteWriter } from './bytes.js'
import { DamagedError } from './errors.js'
import { FORMAT, readFlags, readFormat, writeFlags } from './head.js'
import { decodeJournal, encodeJournal } from './journal.js'
import { codecOf, codecTag } from './parts.js'

// A piece of a snapshot: format (1), crc32 (4) of all that follows, flags (head.ts), records (count; key, version, codec tag, 0 or 1
// for a tombstone, value), journal records (count; range, timestamp, the stored journal value of that place).

const FORMAT_BYTES = 1
const CHECKSUM_BYTES = 4

const writer = new ByteWriter()

/** Owns its memory. */
export function encodeChunk({ records, journals }: StateChunk): Uint8Array {
  writer.reset()
  writer.uint8(FORMAT)
  writer.uint32(0)
  writeFlags(writer, 0)
  writer.varint(records.length)
  for (const { key, version, codec, value } of records) {
    writer.binary(key)
    writer.uint56(version)
    writer.uint8(codecTag(codec))
    writer.uint8(value === null ? 1 : 0)
    if (value !== null) writer.blob(value)
  }
  writer.varint(journals.length)
  for (const { range, record } of journals) {
    writer.uint56(range)
    writer.uint56(record.timestamp)
    writer.blob(encodeJournal(journalKey(range, record.timestamp), record))
  }
  writer.patchUint32(FORMAT_BYTES, crc32(writer.view().subarray(FORMAT_BYTES + CHECKSUM_BYTES)))
  return writer.copy()
}

/** Values of records are views of `bytes`. Throws DamagedError or UnknownFormatError. */
export function decodeChunk(bytes: Uint8Array): StateChunk {
  const reader = new ByteReader(bytes)
  readFormat(reader, 'a piece of a snapshot')
  const checksum = reader.uint32()
  if (crc32(bytes.subarray(FORMAT_BYTES + CHECKSUM_BYTES)) !== checksum) {
    throw new DamagedError('a piece of a snapshot has a wrong checksum')
  }
  readFlags(reader, 'a piece of a snapshot', 0)
  const records: StateRecord[] = []
  for (let left = reader.count(); left > 0; left--) {
    const key = reader.binary() as Key
    const version = reader.uint56() as Version
    const codec = codecOf(reader.uint8())
    records.push({ key, version, codec, value: reader.uint8() === 1 ? null : reader.blobView() })
  }
  const journals: StateChunk['journals'][number][] = []
  for (let left = reader.count(); left > 0; left--) {
    const range = reader.uint56() as RangeId
    const timestamp = reader.uint56() as Version
    const record = decodeJournal(journalKey(range, timestamp), reader.blobView())
    if (record.timestamp !== timestamp) throw new DamagedError('a journal record stands under another timestamp')
    journals.push({ range, record })
  }
  if (reader.left > 0) throw new DamagedError(`a piece of a snapshot with ${reader.left} bytes too many`)
  return { records, journals }
}
