import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Key, RangeId, StorageId, Version } from '../../src/base/ids.js'
import { DamagedError } from '../../src/storage/codec/errors.js'
import {
  decodeRecordKey,
  endOfKey,
  endOfStorage,
  journalKey,
  recordKey,
  startOfKey,
} from '../../src/storage/state/keys.js'
import { anyKey, anyVersion } from './codec-arbitraries.js'

const seed = 13
const options = { seed, numRuns: 3000 }
const storage = 7 as StorageId
const compare = (a: Uint8Array, b: Uint8Array): number => Math.sign(Buffer.compare(a, b))

test('the order of physical keys is the order of (key, newest version first)', () => {
  fc.assert(
    fc.property(anyKey, anyVersion, anyKey, anyVersion, (a, aVersion, b, bVersion) => {
      const order = a < b ? -1 : a > b ? 1 : Math.sign(bVersion - aVersion)
      expect(compare(recordKey(storage, a, aVersion), recordKey(storage, b, bVersion))).toBe(order)
    }),
    options,
  )
})

test('versions of a key do not mix with those of keys that begin with it', () => {
  const low = 0 as Version
  const high = Number.MAX_SAFE_INTEGER as Version
  for (const longer of ['a\0', 'a\0\0', 'a\x01', 'a\xff', 'aa']) {
    expect(compare(recordKey(storage, 'a', low), recordKey(storage, longer, high))).toBe(-1)
  }
})

test('the bounds of a key hold all its versions and nothing of any other key', () => {
  fc.assert(
    fc.property(anyKey, anyKey, anyVersion, (key, other, version) => {
      const place = recordKey(storage, other, version)
      const inside = compare(startOfKey(storage, key), place) <= 0 && compare(place, endOfKey(storage, key)) < 0
      expect(inside).toBe(key === other)
      expect(compare(startOfKey(storage, key), place) <= 0).toBe(other >= key)
    }),
    options,
  )
})

test('a key and a version come back as they were given', () => {
  fc.assert(
    fc.property(anyKey, anyVersion, (key, version) => {
      expect(decodeRecordKey(recordKey(storage, key, version))).toEqual({ key, version })
    }),
    options,
  )
})

test('storages lie one behind the other, the journal before them all', () => {
  const [first, second] = [1 as StorageId, 2 as StorageId]
  expect(compare(recordKey(first, '\xff\xff', 0 as Version), endOfStorage(first))).toBe(-1)
  expect(compare(endOfStorage(first), startOfKey(second, ''))).toBe(-1)
  expect(compare(journalKey(Number.MAX_SAFE_INTEGER as RangeId, 2 ** 53), startOfKey(first, ''))).toBe(-1)
  const large = 0x9000_0000 as StorageId
  expect(compare(startOfKey(second, ''), startOfKey(large, ''))).toBe(-1)
  expect(() => endOfStorage(0xffff_ffff as StorageId)).toThrow(/out of range/)
})

test('journal records lie in order of range, then timestamp', () => {
  fc.assert(
    fc.property(anyVersion, anyVersion, anyVersion, anyVersion, (aRange, aTime, bRange, bTime) => {
      const order = Math.sign(aRange - bRange) || Math.sign(aTime - bTime)
      const a = journalKey(aRange as unknown as RangeId, aTime)
      const b = journalKey(bRange as unknown as RangeId, bTime)
      expect(compare(a, b)).toBe(order)
    }),
    options,
  )
})

test('bytes that are no record key are refused', () => {
  expect(() => decodeRecordKey(new Uint8Array())).toThrow(DamagedError)
  const key = recordKey(storage, 'ab' as Key, 5 as Version)
  expect(() => decodeRecordKey(key.subarray(0, -1))).toThrow(DamagedError)
})
