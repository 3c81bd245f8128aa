import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { StorageId, Version } from '../../src/base/ids.js'
import type { Stored } from '../../src/kv/types.js'
import { LatestCache } from '../../src/storage/state/latest-cache.js'
import { times } from '../property.js'
import { anyCodec, anyKey } from './codec-arbitraries.js'

const seed = 14
const one = 1 as StorageId
const stored = (version: number, value: string | null): Stored => ({
  version: version as Version,
  codec: 'utf8',
  value: value === null ? null : new TextEncoder().encode(value),
})

function get(cache: LatestCache, storage: StorageId, key: string): Stored | null | undefined {
  const found = cache.get(storage, key)
  return found && { ...found, value: found.value && new Uint8Array(found.value) }
}

describe('the latest-version cache', () => {
  test('knows values, tombstones and absent keys, per storage', () => {
    const cache = new LatestCache({ bytes: 10_000, valueBytesMax: 100 })
    cache.set(one, 'a', stored(5, 'x'))
    cache.set(one, 'b', stored(Number.MAX_SAFE_INTEGER, null))
    cache.set(one, 'c', null)
    cache.set(0xffff_fffe as StorageId, 'a', stored(7, ''))
    expect(get(cache, one, 'a')).toEqual(stored(5, 'x'))
    expect(get(cache, one, 'b')).toEqual(stored(Number.MAX_SAFE_INTEGER, null))
    expect(get(cache, one, 'c')).toBeNull()
    expect(get(cache, one, 'd')).toBeUndefined()
    expect(get(cache, 0xffff_fffe as StorageId, 'a')).toEqual(stored(7, ''))
  })

  test('with room for one record it holds the last one', () => {
    const cache = new LatestCache({ bytes: 32 + 44, valueBytesMax: 100 })
    for (const [i, key] of ['a', 'b', 'a', 'a', 'c'].entries()) {
      cache.set(one, key, stored(i, `value${i}`))
      expect(get(cache, one, key)).toEqual(stored(i, `value${i}`))
      for (const other of ['a', 'b', 'c']) if (other !== key) expect(get(cache, one, other)).toBeUndefined()
    }
  })

  test('a record too large to keep makes it forget the older one', () => {
    const cache = new LatestCache({ bytes: 1000, valueBytesMax: 10 })
    cache.set(one, 'a', stored(1, 'small'))
    cache.set(one, 'a', stored(2, 'larger than ten'))
    expect(get(cache, one, 'a')).toBeUndefined()
    cache.set(one, 'k'.repeat(2000), stored(3, 'x'))
    expect(get(cache, one, 'k'.repeat(2000))).toBeUndefined()
  })

  test('what it returns is a copy', () => {
    const cache = new LatestCache({ bytes: 1000, valueBytesMax: 100 })
    cache.set(one, 'a', stored(1, 'first'))
    const before = get(cache, one, 'a')
    for (let i = 0; i < 100; i++) cache.set(one, 'a', stored(i, 'other'))
    expect(before).toEqual(stored(1, 'first'))
  })

  test('of every size it says what was set last, or nothing', () => {
    const change = fc.record({
      storage: fc.integer({ min: 1, max: 3 }) as unknown as fc.Arbitrary<StorageId>,
      key: fc.oneof(fc.constantFrom('', 'a', 'b', 'c', 'aa', 'ab'), anyKey),
      record: fc.option(
        fc.record({
          version: fc.maxSafeNat() as unknown as fc.Arbitrary<Version>,
          codec: anyCodec,
          value: fc.option(fc.uint8Array({ maxLength: 40 })),
        }),
      ),
    })
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2000 }), fc.array(change, { maxLength: 200 }), (bytes, changes) => {
        const cache = new LatestCache({ bytes, valueBytesMax: 35 })
        const model = new Map<string, { storage: StorageId; key: string; record: Stored | null }>()
        for (const [i, { storage, key, record }] of changes.entries()) {
          cache.set(storage, key, record)
          model.set(`${storage}/${key}`, { storage, key, record })
          if (i % 8 !== 0 && i !== changes.length - 1) continue
          for (const known of model.values()) {
            const found = get(cache, known.storage, known.key)
            if (found !== undefined) expect(found).toEqual(known.record)
          }
        }
      }),
      times(500, seed),
    )
  })

  test('with room for all it forgets nothing', () => {
    const cache = new LatestCache({ bytes: 1 << 20, valueBytesMax: 100 })
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 2000; i++) cache.set(one, `key ${i}`, stored(round, `value ${round} ${i}`))
    }
    for (let i = 0; i < 2000; i++) expect(get(cache, one, `key ${i}`)).toEqual(stored(2, `value 2 ${i}`))
  })
})
