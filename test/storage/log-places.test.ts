import fc from 'fast-check'
import { expect, it } from 'vitest'
import { PlaceTable } from '../../src/storage/log/places.js'
import { times } from '../property.js'

it('places behave as an array with a moving start', () => {
  const step = fc.record({ kind: fc.constantFrom('push', 'push', 'push', 'first', 'last'), count: fc.nat(60) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const table = new PlaceTable()
      const model: { segment: number; offset: number; length: number; term: number }[] = []
      let first = 1
      let seed = 0
      for (const { kind, count } of steps) {
        for (let times = 0; times < count; times += 1) {
          if (kind === 'push') {
            seed += 1
            const place = { segment: seed % 7, offset: seed * 4096, length: seed, term: seed * 2 ** 33 + 5 }
            table.push(first + model.length, place)
            model.push(place)
          } else if (model.length > 0 && kind === 'first') {
            expect(table.popFirst()).toEqual(model.shift())
            first += 1
          } else if (model.length > 0) {
            expect(table.popLast()).toEqual(model.pop())
          }
        }
        expect(table.size).toBe(model.length)
        if (model.length > 0) expect([table.first, table.last]).toEqual([first, first + model.length - 1])
        expect(model.map((_, position) => table.get(first + position))).toEqual(model)
      }
    }),
    times(200, 11),
  )
})

it('a million entries cost 20 bytes each, and what is truncated gives its memory back', () => {
  const before = process.memoryUsage().arrayBuffers
  const table = new PlaceTable()
  for (let index = 1; index <= 1_000_000; index += 1) table.push(index, { segment: 1, offset: 2, length: 3, term: 4 })
  // The ring doubles, so that it may be half empty; the one it was copied from may not be collected yet.
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100_000_000)
  while (table.size > 10) table.popFirst()
  expect(table.get(1_000_000)).toEqual({ segment: 1, offset: 2, length: 3, term: 4 })
})
