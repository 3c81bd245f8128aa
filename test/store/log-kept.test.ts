import { describe, expect, it } from 'vitest'
import type { LogIndex } from '../../src/base/ids.js'
import { LogKept, type Truncatable, truncationPoints } from '../../src/store/log-kept.js'

const at = (index: number) => index as LogIndex

/** A range with `bytes` per entry. */
function range(parts: { applied: number; all: number; bytes: number; pinned?: number }): Truncatable {
  const { applied, all, bytes, pinned } = parts
  return {
    applied: at(applied),
    allPersisted: at(all),
    pinned: pinned === undefined ? null : at(pinned),
    keptAbove: (index) => (applied - index) * bytes,
  }
}

describe('the log of a range begins', () => {
  it('behind what all its replicas have, and never behind what is not applied', () => {
    const ranges = [range({ applied: 100, all: 60, bytes: 1 }), range({ applied: 50, all: 90, bytes: 1 })]
    expect(truncationPoints(ranges, 1_000)).toEqual([60, 50])
  })

  it('behind what is applied where slow replicas would keep more than the node has to give: those that keep most, first', () => {
    const ranges = [
      range({ applied: 100, all: 0, bytes: 1 }),
      range({ applied: 100, all: 0, bytes: 10 }),
      range({ applied: 100, all: 0, bytes: 5 }),
    ]
    expect(truncationPoints(ranges, 700)).toEqual([0, 100, 0])
    expect(truncationPoints(ranges, 200)).toEqual([0, 100, 100])
    expect(truncationPoints(ranges, 0)).toEqual([100, 100, 100])
  })

  it('no further than a snapshot under way brings its receiver', () => {
    const ranges = [range({ applied: 100, all: 0, bytes: 10, pinned: 40 }), range({ applied: 100, all: 0, bytes: 1 })]
    expect(truncationPoints(ranges, 0)).toEqual([40, 100])
  })
})

describe('how much log a range keeps', () => {
  const entries = (count: number) => Array.from({ length: count }, () => ({ payload: new Uint8Array(36) }))

  it('is counted from the places that were noted, and less once it is truncated', () => {
    const kept = new LogKept(at(10), 500)
    expect(kept.above(at(10))).toBe(500)
    kept.added(entries(10))
    kept.note(at(20))
    kept.added(entries(5))
    kept.note(at(25))
    expect(kept.above(at(10))).toBe(2_000)
    expect(kept.above(at(20))).toBe(500)
    expect(kept.above(at(22))).toBe(500)
    expect(kept.above(at(30))).toBe(0)
    kept.truncated(at(22))
    expect(kept.above(at(22))).toBe(500)
  })
})
