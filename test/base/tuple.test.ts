import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeTuple, encodeTuple, type TupleElement, tuplePrefixSpan } from '../../src/base/tuple.js'

/** The order said in the slowest and plainest way. */
function compareTuples(a: readonly TupleElement[], b: readonly TupleElement[]): number {
  for (let index = 0; index < Math.min(a.length, b.length); index += 1) {
    const order = compareElements(a[index]!, b[index]!)
    if (order !== 0) return order
  }
  return a.length - b.length
}

function compareElements(a: TupleElement, b: TupleElement): number {
  if (classOf(a) !== classOf(b)) return classOf(a) - classOf(b)
  if (a instanceof Uint8Array) return Buffer.compare(a, b as Uint8Array)
  if (typeof a === 'string') return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b as string, 'utf8'))
  if (Array.isArray(a)) return compareTuples(a, b as readonly TupleElement[])
  if (typeof a === 'number' || typeof a === 'bigint') {
    const other = b as number | bigint
    if (a < other) return -1
    if (a > other) return 1
    return typeof a === typeof other ? 0 : typeof a === 'number' ? -1 : 1
  }
  return 0
}

function classOf(element: TupleElement): number {
  if (element === null) return 0
  if (element === false) return 1
  if (element === true) return 2
  if (element instanceof Uint8Array) return 3
  if (typeof element === 'string') return 4
  return typeof element === 'number' || typeof element === 'bigint' ? 5 : 6
}

const edges = [
  0, 1, -1, 1.5, -1.5, 0.1, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 64, -(2 ** 63), 5e-324,
  2.2250738585072014e-308, 2.225073858507201e-308, Number.MAX_VALUE, Infinity, -Infinity, 1 / 3, 12_345, 63, 64, 65,
] // biome-ignore format: a table
const numbers = fc.oneof(
  fc.constantFrom(...edges),
  fc.integer(),
  fc.double({ noNaN: true }).map((value) => value + 0),
  fc.integer({ min: -70, max: 70 }),
  fc.integer({ min: -1_074, max: 1_023 }).map((exponent) => 2 ** exponent),
)
const bigints = fc.oneof(
  fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }),
  fc.bigInt({ min: -(2n ** 600n), max: 2n ** 600n }),
  fc.bigInt({ min: -70n, max: 70n }),
  fc.integer({ min: 0, max: 300 }).map((exponent) => 2n ** BigInt(exponent)),
  numbers.filter(Number.isInteger).map((value) => BigInt(value)),
)
const smallBytes = fc
  .array(fc.constantFrom(0, 1, 5, 0x61, 0xfe, 0xff), { maxLength: 4 })
  .map((bytes) => Uint8Array.from(bytes))
const strings = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 5 }),
  fc.string({ unit: fc.constantFrom('\0', '\x01', 'a', '\xff', '\u07ff', '\uffff', '😀'), maxLength: 4 }),
)
const { tuple: tuples } = fc.letrec<{ tuple: TupleElement[]; element: TupleElement }>((tie) => ({
  tuple: fc.array(tie('element'), { maxLength: 4 }),
  element: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(null, false, true),
    numbers.map((value) => (Object.is(value, -0) ? 0 : value)),
    bigints,
    strings,
    smallBytes,
    tie('tuple'),
  ),
}))
/** Pairs that share a beginning, so that the order is decided late. */
const pairs = fc.tuple(tuples, tuples, tuples).map(([shared, a, b]) => [shared.concat(a), shared.concat(b)] as const)

describe('tuple order', () => {
  test('forms sort as the plain comparison of the values does, and are equal only for equal tuples', () => {
    fc.assert(
      fc.property(fc.oneof(pairs, fc.tuple(tuples, tuples)), ([a, b]) => {
        const forms = [encodeTuple(a), encodeTuple(b)] as const
        const order = forms[0] < forms[1] ? -1 : forms[0] > forms[1] ? 1 : 0
        expect(order).toBe(Math.sign(compareTuples(a, b)))
      }),
      { seed: 11, numRuns: 20_000 },
    )
  })

  test('numbers and bigints share one numeric order', () => {
    const mixed = fc.oneof(numbers, bigints)
    fc.assert(
      fc.property(mixed, mixed, (a, b) => {
        const forms = [encodeTuple([a]), encodeTuple([b])] as const
        const order = forms[0] < forms[1] ? -1 : forms[0] > forms[1] ? 1 : 0
        expect(order).toBe(Math.sign(compareElements(a, b)))
      }),
      { seed: 12, numRuns: 30_000 },
    )
  })

  test('a chain of every class and of close numbers is strictly ascending', () => {
    const chain: TupleElement[] = [
      null, false, true, Uint8Array.of(), Uint8Array.of(0), Uint8Array.of(0, 0), Uint8Array.of(1), '', '\0', 'a', 'a\0', 'b',
      '\uffff', '😀', -Infinity, -(2n ** 70n), -(2 ** 64), -2n, -1.5, -1, -1n, -0.5, -5e-324, 0, 0n, 5e-324, 0.5, 1, 1n, 1.5,
      2n, 2 ** 53, 2n ** 53n, 2n ** 53n + 1n, 2 ** 53 + 2, Number.MAX_VALUE, 2n ** 20_000n, Infinity, [], [null], [[]],
    ] // biome-ignore format: a table
    const forms = chain.map((element) => encodeTuple([element]))
    for (let at = 1; at < forms.length; at += 1) expect(forms[at - 1]! < forms[at]!, String(chain[at])).toBe(true)
  })
})

describe('tuple forms', () => {
  test('come back as they were, types included', () => {
    fc.assert(
      fc.property(tuples, (tuple) => {
        expect(decodeTuple(encodeTuple(tuple))).toEqual(tuple)
      }),
      { seed: 13, numRuns: 10_000 },
    )
    const large = 3n ** 12_000n
    expect(decodeTuple(encodeTuple([large, -large]))).toEqual([large, -large])
  })

  test('-0 is 0', () => {
    expect(encodeTuple([-0])).toBe(encodeTuple([0]))
  })

  test('a number and an equal bigint are different keys', () => {
    for (const value of [0, 1, -1, 2 ** 53, -(2 ** 80)]) {
      expect(encodeTuple([value])).not.toBe(encodeTuple([BigInt(value)]))
    }
  })

  test('a prefix of a tuple has a prefix of its form, and its span holds exactly what begins with it', () => {
    fc.assert(
      fc.property(tuples, tuples, (prefix, other) => {
        const span = tuplePrefixSpan(prefix)
        const inside = (tuple: TupleElement[]) => encodeTuple(tuple) >= span.start && encodeTuple(tuple) < span.end
        expect(encodeTuple(prefix.concat(other)).startsWith(encodeTuple(prefix))).toBe(true)
        expect(inside(prefix.concat(other))).toBe(true)
        const begins = other.length >= prefix.length && compareTuples(other.slice(0, prefix.length), prefix) === 0
        expect(inside(other)).toBe(begins)
      }),
      { seed: 14, numRuns: 5_000 },
    )
    const span = tuplePrefixSpan(['a'])
    expect(encodeTuple(['a\0b']) < span.end && encodeTuple(['a\0b']) >= span.start).toBe(false)
  })

  test('small keys are short', () => {
    expect(encodeTuple(['user', 12_345])).toHaveLength(6 + 4)
    expect(encodeTuple([1])).toHaveLength(2)
    expect(encodeTuple([2 ** 40])).toHaveLength(2)
    expect(encodeTuple([0.5])).toHaveLength(4)
    expect(encodeTuple([Math.PI])).toHaveLength(10)
  })

  test('a form cut off, with a byte changed or added, is refused or is the form of another tuple', () => {
    const element = fc.nat(255).map((byte) => String.fromCharCode(byte))
    fc.assert(
      fc.property(tuples, fc.nat(), element, fc.constantFrom('cut', 'change', 'add'), (tuple, place, byte, how) => {
        const form = encodeTuple(tuple)
        const at = form.length === 0 ? 0 : place % form.length
        const rest = how === 'cut' ? '' : form.slice(how === 'add' ? at : at + 1)
        const changed = form.slice(0, at) + (how === 'cut' ? '' : byte) + rest
        let decoded: TupleElement[]
        try {
          decoded = decodeTuple(changed)
        } catch (error) {
          expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' })
          return
        }
        expect(encodeTuple(decoded)).toBe(changed)
      }),
      { seed: 15, numRuns: 20_000 },
    )
  })
})

describe('what has no place in a tuple is refused by name and index', () => {
  const hole: TupleElement[] = []
  hole[2] = 1
  const self: TupleElement[] = []
  self.push(self)
  test.each<[string, readonly unknown[], string]>([
    ['NaN', ['a', Number.NaN], 'NaN: element [1]'],
    ['a lone surrogate', ['a\ud800'], 'lone surrogate: element [0]'],
    ['undefined', [1, undefined], 'undefined: element [1]'],
    ['a hole', hole, 'a hole: element [0]'],
    ['an object', [{}], 'an object (Object): element [0]'],
    ['an object without prototype', [Object.create(null)], 'an object (without prototype): element [0]'],
    ['a date', [new Date(0)], 'an object (Date): element [0]'],
    ['a symbol', [Symbol('x')], 'a symbol: element [0]'],
    ['a function', [() => 0], 'a function: element [0]'],
    ['something inside', [1, [2, [Number.NaN]]], 'NaN: element [1][1][0]'],
    ['a tuple that contains itself', [self], 'nested more than 32 deep'],
    ['a bigint over 65,536 bits', [2n ** 65_536n], 'more than 65,536 bits: element [0]'],
  ])('%s', (_, tuple, message) => {
    expect(() => encodeTuple(tuple as TupleElement[])).toThrow(message)
  })

  test('the deepest tuple allowed and the largest bigint come back', () => {
    let deep: TupleElement[] = []
    for (let depth = 0; depth < 32; depth += 1) deep = [deep]
    expect(decodeTuple(encodeTuple(deep))).toEqual(deep)
    expect(() => encodeTuple([deep])).toThrow('32 deep')
    expect(() => decodeTuple('\xa0'.repeat(40) + '\0'.repeat(40))).toThrow('32 deep')
    const largest = 2n ** 65_536n - 1n
    expect(decodeTuple(encodeTuple([largest]))).toEqual([largest])
  })
})
