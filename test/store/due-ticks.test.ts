import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Due, DueTicks } from '../../src/store/due-ticks.js'
import { times } from '../property.js'

class Item implements Due {
  watchedAt = 0
  dueAt: number

  constructor(dueAt: number) {
    this.dueAt = dueAt
  }
}

it('says of every tick whether anybody is due at it, and gives out whoever is, whatever became due earlier or later', () => {
  const change = fc.record({ at: fc.nat(400), item: fc.nat(5), in: fc.integer({ min: 1, max: 150 }) })
  const run = (changes: readonly { at: number; item: number; in: number }[]) => {
    const ticks = new DueTicks<Item>()
    // Looked at once per run: an expectation per tick and item costs more than all the rest.
    const wrong: string[] = []
    const items = Array.from({ length: 6 }, (_, at) => new Item(at + 1))
    for (const item of items) ticks.watch(item, 0)
    for (let tick = 1; tick <= 420; tick++) {
      const due = items.filter((item) => item.dueAt === tick)
      if (ticks.has(tick) !== due.length > 0) wrong.push(`tick ${tick} has ${due.length} due, and says otherwise`)
      const taken = new Set(ticks.take(tick))
      for (const item of due) if (!taken.has(item)) wrong.push(`tick ${tick} leaves out item ${items.indexOf(item)}`)
      for (const item of taken) {
        if (item.dueAt === tick) item.dueAt = tick + 40
        ticks.watch(item, tick)
      }
      for (const each of changes) {
        const item = items[each.item]!
        if (each.at !== tick) continue
        const before = item.dueAt
        item.dueAt = tick + each.in
        // What became due later is nobody's business to tell.
        if (item.dueAt < before) ticks.watch(item, tick)
      }
    }
    expect(wrong).toEqual([])
  }
  fc.assert(fc.property(fc.array(change, { maxLength: 200 }), run), times(300, 71))
})

it('somebody who became due between the question and the turn is still given out', () => {
  const ticks = new DueTicks<Item>()
  const [early, late] = [new Item(5), new Item(9)]
  for (const item of [early, late]) ticks.watch(item, 4)
  expect(ticks.has(5)).toBe(true)
  late.dueAt = 5
  ticks.watch(late, 4)
  expect(ticks.take(5)).toEqual([early, late])
})
