import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Key } from '../../src/base/ids.js'
import { META_SPAN } from '../../src/base/keyspace.js'
import { boundToJson, keyFromJson, keyToJson, storedKeyToJson } from '../../src/client/key-json.js'
import { decodeKey, encodeKey, type KeyInput } from '../../src/client/keys.js'
import { storedSpan } from '../../src/client/spans.js'
import { valueFromJson, valueToJson } from '../../src/client/value-json.js'
import { decodeValue, encodeValue } from '../../src/client/values.js'
import type { Codec } from '../../src/kv/types.js'

const text = fc.string({ unit: 'grapheme' })
const bytes = fc.uint8Array({ maxLength: 20 })
const element = fc.letrec((tie) => ({
  any: fc.oneof(
    { depthSize: 'small' },
    fc.constant(null),
    fc.boolean(),
    bytes,
    text,
    fc.double({ noNaN: true }).map((number) => (Object.is(number, -0) ? 0 : number)),
    fc.bigInt(),
    fc.array(tie('any'), { maxLength: 4 }),
  ),
})).any
const key = fc.oneof(text, bytes, fc.array(element, { minLength: 1, maxLength: 5 })) as fc.Arbitrary<KeyInput>
const fullKey = key.filter((input) => input.length > 0)

describe('keys', () => {
  it('come back as they went in; bytes that are UTF-8 come back as the string they are', () => {
    fc.assert(
      fc.property(fullKey, (input) => {
        const decoded = decodeKey(encodeKey(input))
        if (input instanceof Uint8Array && typeof decoded === 'string')
          expect(Buffer.from(decoded)).toEqual(Buffer.from(input))
        else expect(decoded).toEqual(input)
      }),
      { seed: 6, numRuns: 1_000 },
    )
  })

  it('a string and its UTF-8 bytes are one key; a string and a tuple of it are two', () => {
    expect(encodeKey('ä')).toBe(encodeKey(Buffer.from('ä')))
    expect(encodeKey('a')).not.toBe(encodeKey(['a']))
  })

  it('their JSON forms are JSON, and bring the key back', () => {
    fc.assert(
      fc.property(fullKey, (input) => {
        const stored = encodeKey(input)
        const json = JSON.parse(JSON.stringify(keyToJson(decodeKey(stored))))
        expect(encodeKey(keyFromJson(json))).toBe(stored)
        expect(storedKeyToJson(stored)).toEqual(json)
      }),
      { seed: 7, numRuns: 1_000 },
    )
  })

  it('have the documented JSON forms', () => {
    expect(keyToJson('a')).toBe('a')
    expect(keyToJson(Uint8Array.of(255))).toEqual({ $bytes: '/w==' })
    expect(keyToJson(['a', 1n, Uint8Array.of(0), [null]])).toEqual(['a', { $bigint: '1' }, { $bytes: 'AA==' }, [null]])
    expect(keyToJson([Number.NEGATIVE_INFINITY])).toEqual([{ $number: '-Infinity' }])
  })

  it('bounds of ranges have forms too: open is null, the starts of namespaces are empty keys', () => {
    expect(boundToJson(null)).toBeNull()
    expect(boundToJson('' as Key)).toBeNull()
    expect(boundToJson(META_SPAN.end)).toBe('')
    expect(boundToJson('\0\0\0\x11' as Key)).toEqual([])
    expect(boundToJson('\0\0\0\x11\xff' as Key)).toEqual({ $stored: 'AAAAEf8=' })
    expect(boundToJson('\0\0\0\x01n' as Key)).toEqual({ $stored: 'AAAAAW4=' })
  })

  it.each([
    ['', /empty/],
    [new Uint8Array(), /empty/],
    [[], /empty/],
    ['\ud800', /surrogate/],
    [['a', undefined], /undefined.*\[1\]/],
    [[Number.NaN], /NaN.*\[0\]/],
    [{}, /cannot be object/],
    [7, /cannot be number/],
    [null, /cannot be null/],
    [undefined, /cannot be undefined/],
  ])('%j is refused by name', (input, message) => {
    expect(() => encodeKey(input as KeyInput)).toThrow(message)
  })

  it('a key over the limit is refused with its size', () => {
    expect(encodeKey('x'.repeat(4_092))).toHaveLength(4_096)
    expect(() => encodeKey('x'.repeat(4_093))).toThrow(/4097 bytes.*at most 4096/)
  })

  it.each([{ $bytes: 'not base64' }, { $bytes: 'AA==', more: 1 }, {}, 7, null, [{ $bigint: 'x' }], { $bigint: '1' }])(
    '%j is no JSON form of a key',
    (json) => {
      expect(() => keyFromJson(json)).toThrow(/is not a key/)
    },
  )
})

describe('spans', () => {
  const within = (options: Parameters<typeof storedSpan>[0], input: KeyInput): boolean => {
    const { end, start } = storedSpan(options)
    return start <= encodeKey(input) && encodeKey(input) < end
  }

  it('a prefix holds exactly what begins so, up to bytes of 255', () => {
    expect(['ab', 'ab\uffff', 'abz'].every((input) => within({ prefix: 'ab' }, input))).toBe(true)
    expect(['aa', 'ac', 'a', 'b'].some((input) => within({ prefix: 'ab' }, input))).toBe(false)
    expect(within({ prefix: Uint8Array.of(255) }, Uint8Array.of(255, 255))).toBe(true)
    expect(within({ prefix: Uint8Array.of(255) }, Uint8Array.of(254))).toBe(false)
    expect(within({ prefix: ['a'] }, ['a', 1])).toBe(true)
    expect(within({ prefix: ['a'] }, ['ab'])).toBe(false)
  })

  it('without ends it is one namespace whole', () => {
    expect(within({}, 'a')).toBe(true)
    expect(within({}, ['a'])).toBe(false)
    expect(within({ namespace: 'tuple' }, ['a'])).toBe(true)
    expect(within({ prefix: [] }, ['a'])).toBe(true)
    expect(within({ prefix: '' }, 'a')).toBe(true)
  })

  it.each([
    [{ start: 'b', end: 'a' }, /upside down.*"b".*"a"/],
    [{ start: 'a', end: ['b'] }, /two namespaces/],
    [{ start: 'a', namespace: 'tuple' }, /two namespaces/],
    [{ prefix: 'a', start: 'a' }, /prefix.*start or end/],
    [{ namespace: 'other' }, /namespace is "other"/],
  ])('%j is refused by name', (options, message) => {
    expect(() => storedSpan(options as Parameters<typeof storedSpan>[0])).toThrow(message)
  })
})

/** What all of msgpack's types make. */
const packable = fc.letrec((tie) => ({
  any: fc.oneof(
    { depthSize: 'small' },
    fc.constant(null),
    fc.boolean(),
    text,
    bytes,
    fc.double(),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
    fc.date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true }),
    fc.array(tie('any'), { maxLength: 4 }),
    fc.dictionary(
      fc.oneof(text, fc.constantFrom('$bytes', '$object', '$')).filter((name) => name !== '__proto__'),
      tie('any'),
      { maxKeys: 4, noNullPrototype: true },
    ),
  ),
})).any

/** -0 is stored as 0, in msgpack and JSON. */
const unsigned = (value: unknown): unknown => JSON.stringify(valueToJson(value)).replaceAll('{"$number":"-0"}', '0')

describe('values', () => {
  it('msgpack brings back what went in', () => {
    fc.assert(
      fc.property(packable, (value) => {
        expect(unsigned(decodeValue(encodeValue(value, 'msgpack'), 'msgpack'))).toBe(unsigned(value))
      }),
      { seed: 8, numRuns: 1_000 },
    )
  })

  it('JSON forms bring back what went in, whatever its keys are named', () => {
    fc.assert(
      fc.property(packable, (value) => {
        expect(valueFromJson(JSON.parse(JSON.stringify(valueToJson(value))))).toEqual(value)
      }),
      { seed: 9, numRuns: 1_000 },
    )
  })

  it.each<[Codec, unknown]>([
    ['json', { a: [1, null, 'x'] }],
    ['utf8', 'grüße'],
    ['bytes', Uint8Array.of(1, 2)],
  ])('%s brings back %j', (codec, value) => {
    expect(decodeValue(encodeValue(value, codec), codec)).toEqual(value)
  })

  it.each<[Codec, unknown, RegExp]>([
    ['msgpack', undefined, /cannot hold undefined/],
    ['msgpack', () => 1, /a function/],
    ['msgpack', { a: [Symbol('x')] }, /a symbol/],
    ['msgpack', new Map(), /Map/],
    ['msgpack', { a: new Set() }, /Set/],
    ['msgpack', /x/, /RegExp/],
    ['msgpack', 2n ** 64n, /over 64 bits/],
    ['msgpack', '\ud800', /surrogate/],
    ['msgpack', { '\ud800': 1 }, /surrogate/],
    ['msgpack', JSON.parse('{"__proto__":1}'), /__proto__/],
    ['json', undefined, /undefined/],
    ['json', 1n, /BigInt/],
    ['utf8', 7, /a number/],
    ['utf8', '\udc00', /surrogate/],
    ['bytes', 'text', /a string/],
    ['toml' as Codec, 1, /codec is "toml"/],
  ])('%s refuses what it would change: %s', (codec, value, message) => {
    expect(() => encodeValue(value, codec)).toThrow(message)
  })

  it('a cycle is refused, not followed', () => {
    const cycle: { self?: unknown } = {}
    cycle.self = cycle
    expect(() => encodeValue(cycle, 'msgpack')).toThrow(/nested over 128/)
    expect(() => encodeValue(cycle, 'json')).toThrow(/circular/)
  })

  it('bytes given are copied: changing them later changes nothing stored', () => {
    const given = Uint8Array.of(1)
    const stored = encodeValue(given, 'bytes')
    given[0] = 2
    expect(stored).toEqual(Uint8Array.of(1))
  })

  it('encoded values do not overwrite each other', () => {
    const stored = Array.from({ length: 5_000 }, (_, index) => encodeValue({ index }, 'msgpack'))
    expect(stored.every((value, index) => (decodeValue(value, 'msgpack') as { index: number }).index === index)).toBe(
      true,
    )
  })

  it('what is not what its codec says is an error that names it', () => {
    expect(() => decodeValue(Uint8Array.of(0x7b), 'json')).toThrow(/1 bytes is not json/)
    expect(() => decodeValue(Uint8Array.of(), 'msgpack')).toThrow(/not msgpack/)
  })

  it.each([{ $bytes: 1 }, { $odd: 1 }, { $bytes: 'AA==', a: 1 }, { $number: '1' }, { $date: 'x' }, { $object: [] }])(
    '%j is no JSON form of a value',
    (json) => {
      expect(() => valueFromJson(json)).toThrow(/no form of a value/)
    },
  )
})
