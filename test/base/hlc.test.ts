import { describe, expect, test } from 'vitest'
import { LogClock } from '../../src/base/hlc.js'
import type { NodeId } from '../../src/base/ids.js'
import { limits } from '../../src/base/limits.js'
import { versionMs } from '../../src/base/version.js'

const HOUR = 3_600_000
const START = 1_700_000_000_000
const b = 2 as NodeId
const c = 3 as NodeId

/** Our clocks at `monotonicMs`, with our wall clock `offMs` away from the truth. */
const at = (monotonicMs: number, offMs = 0) => ({ monotonicMs, wallMs: START + monotonicMs + offMs })

function clockThatHeard(offsetsMs: { b?: number; c?: number }): LogClock {
  const clock = new LogClock()
  if (offsetsMs.b !== undefined) clock.heard({ node: b, ...at(0, offsetsMs.b) })
  if (offsetsMs.c !== undefined) clock.heard({ node: c, ...at(0, offsetsMs.c) })
  return clock
}

describe('log time', () => {
  test('one node of three that is an hour off moves nothing, whoever it is', () => {
    for (const off of [HOUR, -HOUR]) {
      expect(clockThatHeard({ b: 0, c: off }).logTimeMs(at(0))).toBe(START)
      expect(clockThatHeard({ b: 0, c: 0 }).logTimeMs(at(0, off))).toBe(START)
    }
  })

  test('of two clocks the lower one counts, so that one that is ahead moves nothing', () => {
    expect(clockThatHeard({ b: HOUR }).logTimeMs(at(0))).toBe(START)
    expect(clockThatHeard({ b: 0 }).logTimeMs(at(0, HOUR))).toBe(START)
  })

  test('moves by the monotonic clock between readings', () => {
    const clock = clockThatHeard({ b: 0, c: 0 })
    expect(clock.logTimeMs(at(0))).toBe(START)
    expect(clock.logTimeMs(at(12_345))).toBe(START + 12_345)
  })

  test('a jump of the only clock is closed by running a tenth faster, and back a tenth slower', () => {
    const clock = new LogClock()
    clock.logTimeMs(at(0))
    expect(clock.logTimeMs(at(1_000, HOUR))).toBe(START + 1_100)
    expect(clock.logTimeMs(at(2_000, -HOUR))).toBe(START + 2_000)
    expect(clock.logTimeMs(at(3_000, -HOUR))).toBe(START + 2_900)
    expect(clock.logTimeMs(at(4_000, 50))).toBe(START + 4_000)
    expect(clock.logTimeMs(at(5_000, 50))).toBe(START + 5_050)
  })

  test('never goes back, whatever wall clocks do', () => {
    const clock = new LogClock()
    let before = 0
    for (let step = 0; step < 500; step += 1) {
      const off = ((step * 7_919) % 2_001) - 1_000
      clock.heard({ node: step % 2 === 0 ? b : c, ...at(step, off * HOUR) })
      const now = clock.logTimeMs(at(step, -off * HOUR))
      expect(now).toBeGreaterThanOrEqual(before)
      before = now
    }
  })

  test('a monotonic clock that goes back is a contradiction', () => {
    const clock = new LogClock()
    clock.logTimeMs(at(5))
    expect(() => clock.logTimeMs(at(4))).toThrow('monotonic clock went back')
  })

  test('counts the clocks it knows, and a node that was forgotten counts no more', () => {
    const clock = clockThatHeard({ b: HOUR, c: HOUR })
    expect(clock.size).toBe(3)
    clock.forget(b)
    clock.forget(c)
    expect(clock.size).toBe(1)
    expect(clock.logTimeMs(at(0))).toBe(START)
  })
})

describe('the door', () => {
  const doorMs = (clock: LogClock, own: { wallMs: number; monotonicMs: number }) => versionMs(clock.doorVersion(own))

  test('lies the allowed time ahead of the upper median', () => {
    expect(doorMs(clockThatHeard({ b: 300, c: -HOUR }), at(0))).toBe(START + limits.versionAheadMsMax)
    expect(doorMs(clockThatHeard({ b: 300 }), at(0))).toBe(START + 300 + limits.versionAheadMsMax)
  })

  test('a node that is an hour behind still lets in what the others made', () => {
    expect(doorMs(clockThatHeard({ b: 0 }), at(0, -HOUR))).toBe(START + limits.versionAheadMsMax)
    expect(doorMs(clockThatHeard({ b: 0, c: 0 }), at(0, -HOUR))).toBe(START + limits.versionAheadMsMax)
  })

  test('never refuses what our own log time made, after all clocks went back', () => {
    const clock = clockThatHeard({ b: 0, c: 0 })
    clock.logTimeMs(at(0))
    clock.heard({ node: b, ...at(0, -HOUR) })
    clock.heard({ node: c, ...at(0, -HOUR) })
    expect(doorMs(clock, at(1_000))).toBe(START + 900 + limits.versionAheadMsMax)
  })

  test('asking for it does not start log time', () => {
    const clock = new LogClock()
    clock.doorVersion(at(0, HOUR))
    clock.heard({ node: b, ...at(0) })
    expect(clock.logTimeMs(at(0, HOUR))).toBe(START)
  })
})

test('the difference reported is that of our own clock from the lower median', () => {
  expect(clockThatHeard({ b: 0, c: 10 }).differenceMs(at(0, 400))).toBe(390)
  expect(clockThatHeard({ b: 0, c: 10 }).differenceMs(at(0, -400))).toBe(-400)
  expect(clockThatHeard({ b: HOUR, c: 0 }).differenceMs(at(0))).toBe(0)
  expect(new LogClock().differenceMs(at(0, HOUR))).toBe(0)
})
