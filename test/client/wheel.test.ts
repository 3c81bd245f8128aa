import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Timed, TimerWheel } from '../../src/client/wheel.js'
import { times } from '../property.js'
import { FakeClock } from './fake-clock.js'

class Alarm extends Timed {
  readonly woken: number[] = []
  action: () => void = () => {}

  override onDue(nowMs: number): void {
    this.woken.push(nowMs)
    this.action()
  }
}

function setUp(): { clock: FakeClock; wheel: TimerWheel } {
  const clock = new FakeClock()
  return { clock, wheel: new TimerWheel(clock) }
}

describe('the timer wheel', () => {
  it('wakes everything once, never early and at most 4 ms late, over any number of rounds', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 20_000 }), { minLength: 1, maxLength: 50 }), (delays) => {
        const { clock, wheel } = setUp()
        const alarms = delays.map((delayMs) => {
          const alarm = new Alarm()
          wheel.arm(alarm, clock.nowMs + delayMs)
          return { alarm, dueMs: clock.nowMs + delayMs }
        })
        clock.advance(30_000)
        for (const { alarm, dueMs } of alarms) {
          expect(alarm.woken).toHaveLength(1)
          expect(alarm.woken[0]! - dueMs).toBeGreaterThanOrEqual(0)
          expect(alarm.woken[0]! - dueMs).toBeLessThanOrEqual(4)
        }
      }),
      times(200, 1),
    )
  })

  it('wakes on time what was armed before another, in its walk, arms itself far ahead', () => {
    const { clock, wheel } = setUp()
    const [early, waiting] = [new Alarm(), new Alarm()]
    wheel.arm(early, clock.nowMs + 8)
    wheel.arm(waiting, clock.nowMs + 40)
    const dueMs = clock.nowMs + 40
    early.action = () => wheel.arm(early, clock.nowMs + 5_000)
    clock.advance(100)
    expect(waiting.woken).toHaveLength(1)
    expect(waiting.woken[0]! - dueMs).toBeLessThanOrEqual(4)
  })

  it('forgets what was disarmed, also by another of the same walk', () => {
    const { clock, wheel } = setUp()
    const alarms = [new Alarm(), new Alarm()]
    for (const alarm of alarms) wheel.arm(alarm, clock.nowMs + 8)
    for (const alarm of alarms)
      alarm.action = () =>
        alarms.forEach((other) => {
          wheel.disarm(other)
        })
    clock.advance(100)
    expect(alarms.map((alarm) => alarm.woken.length).sort()).toEqual([0, 1])
  })

  it('moves what is armed again, also by another of the same walk', () => {
    const { clock, wheel } = setUp()
    const alarms = [new Alarm(), new Alarm()]
    for (const alarm of alarms) wheel.arm(alarm, clock.nowMs + 8)
    const startMs = clock.nowMs
    let moved = false
    for (const alarm of alarms) {
      alarm.action = () => {
        if (moved) return
        moved = true
        wheel.arm(alarms.find((other) => other !== alarm)!, startMs + 50)
      }
    }
    clock.advance(30)
    expect(alarms.flatMap((alarm) => alarm.woken)).toHaveLength(1)
    clock.advance(70)
    expect(alarms.map((alarm) => alarm.woken.length)).toEqual([1, 1])
  })

  it('wakes all that became due in a stall, however long', () => {
    const { clock, wheel } = setUp()
    const alarms = Array.from({ length: 100 }, () => new Alarm())
    alarms.forEach((alarm, index) => {
      wheel.arm(alarm, clock.nowMs + index * 97)
    })
    clock.jump(3_600_000)
    clock.advance(0)
    expect(alarms.every((alarm) => alarm.woken.length === 1)).toBe(true)
  })

  it('keeps one timer of the clock, and none when nothing is armed', () => {
    const { clock, wheel } = setUp()
    const alarms = Array.from({ length: 1_000 }, () => new Alarm())
    alarms.forEach((alarm, index) => {
      wheel.arm(alarm, clock.nowMs + 1_000 - index)
    })
    expect(clock.timers).toBe(1)
    clock.advance(2_000)
    expect(clock.timers).toBe(0)
  })

  it('wakes nothing after close, and takes nothing more', () => {
    const { clock, wheel } = setUp()
    const alarm = new Alarm()
    wheel.arm(alarm, clock.nowMs + 10)
    wheel.close()
    wheel.arm(alarm, clock.nowMs + 10)
    clock.advance(100)
    expect(alarm.woken).toEqual([])
    expect(clock.timers).toBe(0)
  })
})
