import { describe, expect, it } from 'vitest'
import { SimProcess } from '../../src/testing/process.js'
import { SeededRandom } from '../../src/testing/random.js'
import { Scheduler } from '../../src/testing/scheduler.js'

function processOn(scheduler: Scheduler, ended: string[] = []) {
  return new SimProcess({
    scheduler,
    settles: false,
    onFatal: (reason) => ended.push(`fatal: ${reason}`),
    onBug: (error) => ended.push(`bug: ${error}`),
  })
}

describe('the scheduler', () => {
  it('runs events by time, and at one time in the order they were scheduled', async () => {
    const random = new SeededRandom(1)
    const scheduler = new Scheduler()
    const seen: { at: number; order: number }[] = []
    for (let order = 0; order < 2_000; order++) {
      const at = random.below(50)
      scheduler.schedule(at, () => seen.push({ at, order }))
    }
    await scheduler.runUntil(100)
    expect(seen).toEqual([...seen].sort((a, b) => a.at - b.at || a.order - b.order))
    expect(seen).toHaveLength(2_000)
    expect(scheduler.nowMs).toBe(100)
  })

  it('runs what an event schedules, also for the same time', async () => {
    const scheduler = new Scheduler()
    const seen: string[] = []
    scheduler.schedule(5, () => {
      seen.push(`first ${scheduler.nowMs}`)
      scheduler.schedule(0, () => seen.push(`second ${scheduler.nowMs}`))
      scheduler.schedule(1, () => seen.push(`third ${scheduler.nowMs}`))
    })
    await scheduler.runUntil(5)
    expect(seen).toEqual(['first 5', 'second 5'])
    await scheduler.runUntil(6)
    expect(seen).toEqual(['first 5', 'second 5', 'third 6'])
  })

  it('does not run what was cancelled', async () => {
    const scheduler = new Scheduler()
    let ran = 0
    const cancel = scheduler.schedule(1, () => ran++)
    scheduler.schedule(2, () => ran++)
    cancel()
    await scheduler.runUntil(10)
    expect(ran).toBe(1)
  })

  it('lets promises that an event settles have their say before the next event', async () => {
    const scheduler = new Scheduler()
    const seen: string[] = []
    let settle: () => void = () => {}
    const waiter = (async () => {
      await new Promise<void>((resolve) => (settle = resolve))
      for (let i = 0; i < 20; i++) await null
      seen.push('promise')
    })()
    scheduler.schedule(1, () => settle(), true)
    scheduler.schedule(1, () => seen.push('event'))
    await scheduler.runUntil(1)
    await waiter
    expect(seen).toEqual(['promise', 'event'])
  })

  it('lets promises have their say before the next event where the event itself asks for it', async () => {
    const scheduler = new Scheduler()
    const seen: string[] = []
    const work = async () => {
      scheduler.settle()
      for (let i = 0; i < 20; i++) await null
      seen.push('promise')
    }
    scheduler.schedule(1, () => void work())
    scheduler.schedule(1, () => seen.push('event'))
    await scheduler.runUntil(1)
    expect(seen).toEqual(['promise', 'event'])
  })

  it('stops as soon as its condition fails', async () => {
    const scheduler = new Scheduler()
    let ran = 0
    for (let i = 0; i < 10; i++) scheduler.schedule(i, () => ran++)
    expect(await scheduler.runWhile(() => ran < 3, 100)).toBe(true)
    expect(ran).toBe(3)
    expect(await scheduler.runWhile(() => true, 100)).toBe(false)
    expect(ran).toBe(10)
  })
})

describe('a simulated process', () => {
  it('gets nothing after its end', async () => {
    const scheduler = new Scheduler()
    const process = processOn(scheduler)
    let ran = 0
    process.clock.setTimer(5, () => ran++)
    process.clock.defer(() => ran++)
    process.end()
    await scheduler.runUntil(10)
    expect(ran).toBe(0)
  })

  it('gets what came while it was paused when it goes on, in order, without what was cancelled', async () => {
    const scheduler = new Scheduler()
    const process = processOn(scheduler)
    const seen: string[] = []
    let cancel = () => {}
    process.clock.setTimer(2, () => {
      seen.push('timer')
      cancel()
    })
    cancel = process.clock.setTimer(3, () => seen.push('cancelled'))
    process.pause()
    await scheduler.runUntil(10)
    expect(seen).toEqual([])
    process.enter(() => seen.push('frame'))
    process.resume()
    expect(seen).toEqual(['timer', 'frame'])
  })

  it('ends by fatal without running anything behind it', () => {
    const ended: string[] = []
    const process = processOn(new Scheduler(), ended)
    process.enter(() => {
      process.fatal('the disk is gone')
      ended.push('went on')
    })
    expect(ended).toEqual(['fatal: the disk is gone'])
  })

  it.each([-0.05, 0.05])(
    'has a monotonic clock that stands still while it is suspended, whatever its rate (%d)',
    async (rate) => {
      const scheduler = new Scheduler()
      const process = processOn(scheduler)
      process.rate = rate
      await scheduler.runUntil(1_000)
      const before = process.clock.monotonicMs()
      process.pause({ suspended: true })
      await scheduler.runUntil(2_000)
      process.rate = 0
      await scheduler.runUntil(3_000)
      process.resume()
      expect(process.clock.monotonicMs()).toBeCloseTo(before, 6)
    },
  )

  it('has a wall clock that may be off and a monotonic one that is not', async () => {
    const scheduler = new Scheduler()
    const process = processOn(scheduler)
    const before = process.clock.wallMs()
    process.wallOffsetMs = -3_600_000
    await scheduler.runUntil(1_500.5)
    expect(process.clock.wallMs() - before).toBe(1_500 - 3_600_000)
    expect(Number.isSafeInteger(process.clock.wallMs())).toBe(true)
    expect(process.clock.monotonicMs()).toBe(1_500.5)
  })
})

describe('the generator', () => {
  it('gives the same for the same seed and something else for another', () => {
    const draw = (seed: number) => {
      const random = new SeededRandom(seed)
      return Array.from({ length: 100 }, () => random.next())
    }
    expect(draw(7)).toEqual(draw(7))
    expect(draw(7)).not.toEqual(draw(8))
  })

  it('forks streams that do not depend on what was drawn before', () => {
    const one = new SeededRandom(7)
    const other = new SeededRandom(7)
    for (let i = 0; i < 13; i++) other.next()
    expect(one.fork('network').next()).toBe(other.fork('network').next())
    expect(one.fork('network').next()).not.toBe(one.fork('disk').next())
  })

  it('is uniform: every tenth of [0, 1) gets its share', () => {
    const random = new SeededRandom('uniform')
    const counts = new Array<number>(10).fill(0)
    for (let i = 0; i < 100_000; i++) counts[random.below(10)]!++
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500)
  })
})
