import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Span } from '../../src/base/descriptor.js'
import type { Generation, Key, RangeId } from '../../src/base/ids.js'
import { isNewer, type Placed, RangeMap } from '../../src/range/range-map.js'
import { compareEnds, contains, intersection, isValid, overlaps } from '../../src/range/span.js'

const key = (n: number) => String.fromCharCode(n) as Key
const KEYS = 12

/** Keys are single characters 0..11, so that a span is also a set of numbers. */
const spans: fc.Arbitrary<Span> = fc
  .tuple(fc.integer({ min: 0, max: KEYS - 1 }), fc.integer({ min: 1, max: KEYS }), fc.boolean())
  .map(([from, length, open]) => ({ start: key(from), end: open || from + length >= KEYS ? null : key(from + length) }))

const placed: fc.Arbitrary<Placed> = fc.record({
  range: fc.integer({ min: 1, max: 3 }) as fc.Arbitrary<RangeId>,
  span: spans,
  generation: fc.integer({ min: 1, max: 4 }) as fc.Arbitrary<Generation>,
  epoch: fc.integer({ min: 0, max: 2 }),
})

const keysOf = (span: Span) => Array.from({ length: KEYS }, (_, n) => n).filter((n) => covers(span, n))
const covers = (span: Span, n: number) =>
  n >= span.start.charCodeAt(0) && (span.end === null || n < span.end.charCodeAt(0))

describe('spans', () => {
  test('contain, overlap and intersect as sets of keys do', () => {
    fc.assert(
      fc.property(spans, spans, (a, b) => {
        const common = keysOf(a).filter((n) => covers(b, n))
        expect(keysOf(a)).toEqual(Array.from({ length: KEYS }, (_, n) => n).filter((n) => contains(a, key(n))))
        expect(overlaps(a, b)).toBe(common.length > 0)
        const both = intersection(a, b)
        expect(both === null ? [] : keysOf(both)).toEqual(common)
      }),
      { seed: 1, numRuns: 2_000 },
    )
  })

  test('an empty or upside-down span is not valid; an open one is', () => {
    expect(isValid({ start: key(3), end: key(3) })).toBe(false)
    expect(isValid({ start: key(3), end: key(2) })).toBe(false)
    expect(isValid({ start: key(3), end: key(4) })).toBe(true)
    expect(isValid({ start: key(3), end: null })).toBe(true)
  })

  test('an open end is behind every other', () => {
    const ends = [null, key(1), key(200), null, key(0)]
    expect([...ends].sort(compareEnds)).toEqual([key(0), key(1), key(200), null, null])
  })
})

describe('range map', () => {
  test('does what an unsorted list does', () => {
    fc.assert(
      fc.property(fc.array(placed, { maxLength: 25 }), spans, fc.nat(), (items, span, victim) => {
        const map = new RangeMap<Placed>((item) => item)
        let model: Placed[] = []
        for (const item of items) {
          const hit = model.filter((held) => overlaps(held.span, item.span))
          const refused = hit.some((held) => isNewer(held, item))
          expect(map.insert(item)).toBe(!refused)
          if (!refused) model = [...model.filter((held) => !hit.includes(held)), item]
        }
        if (model.length > 0) {
          const removed = model[victim % model.length]!
          expect(map.remove({ ...removed })).toBe(false)
          expect(map.remove(removed)).toBe(true)
          model = model.filter((held) => held !== removed)
        }
        model.sort((a, b) => (a.span.start < b.span.start ? -1 : 1))
        expect([...map]).toEqual(model)
        expect(map.size).toBe(model.length)
        for (let n = 0; n < KEYS; n += 1) {
          expect(map.find(key(n))).toBe(model.find((held) => covers(held.span, n)) ?? null)
        }
        expect(map.overlapping(span)).toEqual(model.filter((held) => overlaps(held.span, span)))
        const free = keysOf(span).filter((n) => !model.some((held) => covers(held.span, n)))
        expect(map.gaps(span).flatMap(keysOf)).toEqual(free)
        expect(map.gaps(span).every(isValid)).toBe(true)
      }),
      { seed: 2, numRuns: 3_000 },
    )
  })

  test('after a split is heard, the range as it was before it is refused', () => {
    const map = new RangeMap<Placed>((item) => item)
    const range = (id: number, start: number, end: number | null, generation: number): Placed => ({
      range: id as RangeId,
      span: { start: key(start), end: end === null ? null : key(end) },
      generation: generation as Generation,
      epoch: 0,
    })
    const before = range(2, 0, null, 1)
    const child = range(3, 5, null, 2)
    expect(map.insert(before)).toBe(true)
    expect(map.insert(child)).toBe(true)
    expect(map.find(key(2))).toBeNull()
    expect(map.insert(before)).toBe(false)
    expect(map.insert(range(2, 0, 5, 2))).toBe(true)
    expect(map.find(key(2))?.range).toBe(2)
    expect(map.find(key(5))).toBe(child)
    map.clear()
    expect(map.size).toBe(0)
  })

  test('a newer epoch counts within one range only', () => {
    const one = { range: 1 as RangeId, span: { start: key(0), end: null }, generation: 1 as Generation, epoch: 4 }
    expect(isNewer({ ...one, epoch: 5 }, one)).toBe(true)
    expect(isNewer({ ...one, range: 2 as RangeId, epoch: 5 }, one)).toBe(false)
    expect(isNewer({ ...one, generation: 2 as Generation, epoch: 0 }, one)).toBe(true)
  })
})
