import { describe, expect, test } from 'vitest'
import { DATA_SPAN, KEYSPACES, keyspaceSpan, META_SPAN, splitStoredKey, storedKey } from '../../src/base/keyspace.js'
import { contains } from '../../src/range/span.js'

describe('stored keys', () => {
  test('a stored key is four bytes of key space, then the bytes', () => {
    expect(storedKey(KEYSPACES.raw, 'a\xff')).toBe('\0\0\0\x10a\xff')
    expect(storedKey(0x01020384, '')).toBe('\x01\x02\x03\x84')
  })

  test('splitting gives back what was stored, for any key space', () => {
    for (const keyspace of [0, 1, 17, 255, 256, 0x7fffffff, 0x80000000, 0xffffffff]) {
      expect(splitStoredKey(storedKey(keyspace, '\0k'))).toEqual({ keyspace, bytes: '\0k' })
    }
  })

  test('an id that does not fit and a key too short for one are contradictions', () => {
    expect(() => storedKey(2 ** 32, '')).toThrow('32 bits: 4294967296')
    expect(() => storedKey(-1, '')).toThrow('32 bits')
    expect(() => splitStoredKey('abc' as never)).toThrow('begins with its key space')
  })

  test('meta and data cover everything, each key space lies in one of them, and spans of key spaces touch', () => {
    expect(META_SPAN.start).toBe('')
    expect(META_SPAN.end).toBe(DATA_SPAN.start)
    expect(DATA_SPAN.end).toBeNull()
    expect(contains(META_SPAN, storedKey(KEYSPACES.meta, '\xff\xff'))).toBe(true)
    for (const id of [KEYSPACES.raw, KEYSPACES.tuple]) {
      expect(contains(DATA_SPAN, storedKey(id, ''))).toBe(true)
      expect(contains(keyspaceSpan(id), storedKey(id, '\xff\xff'))).toBe(true)
      expect(contains(keyspaceSpan(id), storedKey(id + 1, ''))).toBe(false)
    }
    expect(keyspaceSpan(KEYSPACES.raw).end).toBe(keyspaceSpan(KEYSPACES.tuple).start)
  })
})
