import type { StateRecord } from '../../kv/types.js'
import { decodeRecordValue } from '../codec/record.js'
import type { DbPut } from '../types.js'
import { decodeRecordKey } from './keys.js'

/** A record as LevelDB gave it, verified. Throws DamagedError or UnknownFormatError. */
export function readRecord(found: DbPut): StateRecord {
  const { key, version } = decodeRecordKey(found.key)
  const { codec, value } = decodeRecordValue(found.key, found.value)
  return { key, version, codec, value }
}
