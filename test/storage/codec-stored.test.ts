import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Key, RangeId, StorageId, Version } from '../../src/base/ids.js'
import type { StateRecord } from '../../src/kv/types.js'
import { DamagedError, UnknownFormatError } from '../../src/storage/codec/errors.js'
import { decodeJournal, encodeJournal } from '../../src/storage/codec/journal.js'
import { decodeRecordValue, recordValueLength, writeRecordValue } from '../../src/storage/codec/record.js'
import { journalKey, recordKeyLength, writeRecordKey } from '../../src/storage/state/keys.js'
import { times } from '../property.js'
import { anyJournal, anyRecord } from './codec-arbitraries.js'

const seed = 12
const storage = 7 as StorageId

function stored(record: StateRecord): { key: Buffer; value: Buffer } {
  const bytes = Buffer.alloc(recordKeyLength(record.key) + recordValueLength(record))
  const valueAt = writeRecordKey(bytes, 0, { storage, key: record.key, version: record.version })
  expect(writeRecordValue(bytes, { keyAt: 0, valueAt }, record)).toBe(bytes.length)
  return { key: bytes.subarray(0, valueAt), value: bytes.subarray(valueAt) }
}

/** The same with a head that `edit` changed, under a checksum that fits. */
function withHead(key: Uint8Array, value: Uint8Array, edit: (value: Buffer) => Buffer): Buffer {
  const body = edit(Buffer.from(value.subarray(0, -4)))
  const checksum = Buffer.alloc(4)
  checksum.writeUInt32BE(crc32(body, crc32(key)))
  return Buffer.concat([body, checksum])
}

const record: StateRecord = { key: 'a' as Key, version: 5 as Version, codec: 'json', value: Buffer.from('42') }

test('a record comes back as it was given, an empty value told apart from a tombstone', () => {
  fc.assert(
    fc.property(anyRecord, (given) => {
      const { key, value } = stored(given)
      const back = decodeRecordValue(key, value)
      expect(back.codec).toBe(given.codec)
      expect(back.value && [...back.value]).toEqual(given.value && [...given.value])
    }),
    times(1000, seed),
  )
})

test('a flipped byte of a record, in its key or its value, is refused', () => {
  fc.assert(
    fc.property(anyRecord, fc.nat(), fc.integer({ min: 1, max: 255 }), (given, place, flip) => {
      const { key, value } = stored(given)
      const whole = place % (key.length + value.length)
      const bytes = whole < key.length ? key : value
      const at = whole < key.length ? whole : whole - key.length
      bytes[at] = bytes[at]! ^ flip
      expect(() => decodeRecordValue(key, value)).toThrow(DamagedError)
    }),
    times(1000, seed),
  )
})

test('a record under another key is refused, and a record cut short', () => {
  const { key, value } = stored(record)
  expect(() => decodeRecordValue(stored({ ...record, version: 6 as Version }).key, value)).toThrow(DamagedError)
  for (let length = 0; length < value.length; length++) {
    expect(() => decodeRecordValue(key, value.subarray(0, length))).toThrow(DamagedError)
  }
})

test('an unknown format, required flag or codec of a record is refused by name', () => {
  const { key, value } = stored(record)
  const edit = (at: number, byte: number): Buffer => withHead(key, value, (body) => body.fill(byte, at, at + 1))
  expect(() => decodeRecordValue(key, edit(0, 2))).toThrow(/format 2/)
  expect(() => decodeRecordValue(key, edit(1, 2))).toThrow(UnknownFormatError)
  expect(() => decodeRecordValue(key, edit(3, 77))).toThrow(/codec tag 77/)
})

test('optional fields that this program does not know are skipped', () => {
  const { key, value } = stored(record)
  const fields = Buffer.from([3, 1, 2, 3, 0])
  const newer = withHead(key, value, (body) => {
    body[2] = 0b1000_0010
    return Buffer.concat([body.subarray(0, 3), fields, body.subarray(3)])
  })
  const back = decodeRecordValue(key, newer)
  expect(back.codec).toBe('json')
  expect(Buffer.from(back.value!).toString()).toBe('42')
})

test('a journal record comes back as it was given, and the same record gives the same bytes', () => {
  fc.assert(
    fc.property(anyJournal, (given) => {
      const key = journalKey(3 as RangeId, given.timestamp)
      const bytes = encodeJournal(key, given)
      expect(decodeJournal(key, bytes)).toEqual(given)
      expect(encodeJournal(key, structuredClone(given))).toEqual(bytes)
    }),
    times(1000, seed),
  )
})

test('a flipped byte of a journal record, or another key, is refused', () => {
  fc.assert(
    fc.property(anyJournal, fc.nat(), fc.integer({ min: 1, max: 255 }), (given, place, flip) => {
      const key = journalKey(3 as RangeId, given.timestamp)
      const bytes = encodeJournal(key, given)
      expect(() => decodeJournal(journalKey(4 as RangeId, given.timestamp), bytes)).toThrow(DamagedError)
      const at = place % bytes.length
      bytes[at] = bytes[at]! ^ flip
      expect(() => decodeJournal(key, bytes)).toThrow(DamagedError)
    }),
    times(500, seed),
  )
})
