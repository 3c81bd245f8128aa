import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Version } from '../../src/base/ids.js'
import { type SessionImage, SessionTable } from '../../src/kv/sessions.js'
import type { Origin, Outcome } from '../../src/kv/types.js'
import { origin, v } from './helpers.js'

type Told = { readonly origin: Origin; readonly outcome: Outcome & { readonly version: Version } }

/** Remembers everything it was ever told, and answers from what is at or above the floor. */
class DumbTable {
  readonly told: Told[] = []
  floor = v(0)

  kept(session: string): Told[] {
    return this.told.filter((each) => each.origin.session === session && each.outcome.version >= this.floor)
  }

  lowest(session: string): number {
    return Math.max(0, ...this.kept(session).map((each) => each.origin.lowest))
  }

  known({ session, sequence }: Origin): Outcome | null {
    if (sequence < this.lowest(session)) return null
    return this.kept(session).find((each) => each.origin.sequence === sequence)?.outcome ?? null
  }

  refuses({ session, sequence, firstSent }: Origin): boolean {
    return firstSent < this.floor || sequence < this.lowest(session)
  }

  image(): SessionImage[] {
    const sessions = [...new Set(this.told.map((each) => each.origin.session))].sort()
    return sessions
      .filter((session) => this.kept(session).length > 0)
      .map((session) => ({
        session,
        lowest: this.lowest(session),
        outcomes: this.kept(session)
          .filter((each) => each.origin.sequence >= this.lowest(session))
          .map((each) => ({ sequence: each.origin.sequence, outcome: each.outcome }))
          .sort((a, b) => a.sequence - b.sequence),
      }))
  }
}

const outcomes = (version: number): Told['outcome'][] => [
  { kind: 'written', version: v(version), deleted: [] },
  { kind: 'written', version: v(version), deleted: [true] },
  { kind: 'conditionFailed', version: v(version), failed: [] },
  { kind: 'done', version: v(version) },
]

const steps = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant('request' as const),
        session: fc.constantFrom('s', 't', 'u'),
        sequence: fc.integer({ min: 1, max: 12 }),
        back: fc.integer({ min: 0, max: 12 }),
        age: fc.integer({ min: 1, max: 60 }),
        outcome: fc.integer({ min: 0, max: 3 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('floor' as const), age: fc.integer({ min: 0, max: 40 }) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('clone' as const), follow: fc.boolean() }) },
  ),
  { maxLength: 60, size: 'max' },
)

describe('session table', () => {
  test('does what a table that forgets nothing does, and one rebuilt from the journal equals it', () => {
    fc.assert(
      fc.property(steps, (script) => {
        let table = new SessionTable()
        const model = new DumbTable()
        const left: { table: SessionTable; image: readonly SessionImage[] }[] = []
        let version = 0
        for (const step of script) {
          version += 3
          if (step.kind === 'floor') {
            const floor = v(Math.max(0, version - step.age))
            table.raiseFloor(floor)
            model.floor = floor > model.floor ? floor : model.floor
          } else if (step.kind === 'clone') {
            const copy = table.clone()
            left.push({ table: step.follow ? table : copy, image: model.image() })
            table = step.follow ? copy : table
          } else {
            const lowest = Math.max(1, step.sequence - step.back)
            const from = origin(step.session, step.sequence, { lowest, firstSent: v(Math.max(0, version - step.age)) })
            expect(table.known(from)).toEqual(model.known(from))
            expect(table.refuses(from)).toBe(model.refuses(from))
            if (table.known(from) !== null || table.refuses(from)) continue
            const outcome = outcomes(version)[step.outcome]!
            table.remember(from, outcome)
            model.told.push({ origin: from, outcome })
          }
        }
        expect(table.image()).toEqual(model.image())
        const held = model.image().flatMap((session) => session.outcomes)
        expect(table.size).toBe(held.length)
        const oldest = model.told.filter((each) => each.outcome.version >= model.floor && isHeld(model, each))
        expect(table.oldest).toBe(oldest.length === 0 ? null : Math.min(...oldest.map((each) => each.outcome.version)))
        expectFloorsToKeep(table)
        // What was cloned and left alone has not moved since.
        for (const copy of left) expect(copy.table.image()).toEqual(copy.image)

        const rebuilt = new SessionTable(model.floor)
        for (const each of model.told) rebuilt.remember(each.origin, each.outcome)
        expect(rebuilt.image()).toEqual(table.image())
        const fromFloor = new SessionTable(model.floor)
        for (const each of model.told)
          if (each.outcome.version >= model.floor) fromFloor.remember(each.origin, each.outcome)
        expect(fromFloor.image()).toEqual(table.image())
      }),
      { seed: 21, numRuns: 3_000 },
    )
  })

  test('a lowest is kept until the floor passes the request that named it, and then a lower one named later counts', () => {
    const table = new SessionTable()
    const written = (version: number): Outcome => ({ kind: 'written', version: v(version), deleted: [] })
    table.remember(origin('s', 12, { lowest: 10 }), written(5))
    table.remember(origin('s', 11, { lowest: 7 }), written(8))
    expect(table.refuses(origin('s', 9, { firstSent: v(6) }))).toBe(true)
    table.raiseFloor(v(6))
    expect(table.refuses(origin('s', 9, { firstSent: v(6) }))).toBe(false)
    expect(table.refuses(origin('s', 6, { firstSent: v(6) }))).toBe(true)
    expect(table.oldest).toBe(8)
    table.raiseFloor(v(9))
    expect(table.image()).toEqual([])
    expect(table.oldest).toBeNull()
  })

  test('a session that skips far ahead lets go of what it holds without counting through the gap', () => {
    const table = new SessionTable()
    table.remember(origin('s', 1), { kind: 'done', version: v(1) })
    table.remember(origin('s', 2 ** 52, { lowest: 2 ** 52 }), { kind: 'done', version: v(2) })
    expect(table.size).toBe(1)
  })

  test('a refusal is never remembered, and nothing is remembered twice', () => {
    const table = new SessionTable()
    expect(() => table.remember(origin('s', 1), { kind: 'rangeMoved' })).toThrow('not remembered')
    expect(() => table.remember(origin('s', 1), { kind: 'sessionExpired', version: v(1) })).toThrow('not remembered')
    table.remember(origin('s', 1), { kind: 'done', version: v(1) })
    expect(() => table.remember(origin('s', 1), { kind: 'done', version: v(2) })).toThrow('remembered once')
  })
})

/** Its outcome, or the lowest that it named, still counts. */
function isHeld(model: DumbTable, told: Told): boolean {
  if (told.origin.sequence >= model.lowest(told.origin.session)) return true
  const later = model.kept(told.origin.session).filter((each) => each.outcome.version > told.outcome.version)
  return later.every((each) => each.origin.lowest < told.origin.lowest)
}

/** A table raised to the floor for `count` keeps no more than so many outcomes, and one raised to just below would keep more. */
function expectFloorsToKeep(table: SessionTable): void {
  for (const count of [1, 2, 5]) {
    const floor = table.floorToKeep(count)
    expect(floor === null).toBe(table.size <= count)
    if (floor === null) continue
    const [at, below] = [table.clone(), table.clone()]
    at.raiseFloor(floor)
    below.raiseFloor(v(floor - 1))
    expect(at.size).toBe(count)
    expect(below.size).toBeGreaterThanOrEqual(count)
  }
}
