import { crc32 } from 'node:zlib'
import type { StateRecord } from '../../kv/types.js'
import { ByteWriter } from './bytes.js'
import { codecTag } from './parts.js'

const TOMBSTONE = 0xff

const writer = new ByteWriter()

/**
 * 32 bits, unsigned, over key, version, codec and value; the same on every node, whatever the storage id. Summed up
 * over all records of a range it shows whether two replicas at one index hold the same state.
 */
export function recordDigest(record: StateRecord): number {
  writer.reset()
  writer.uint56(record.version)
  writer.uint8(record.value === null ? TOMBSTONE : codecTag(record.codec))
  writer.binary(record.key)
  const start = crc32(writer.view())
  return record.value === null ? start : crc32(record.value, start)
}
