import { describe, expect, it } from 'vitest'
import type { Fault } from '../../src/testing/fault-plan.js'
import type { Phase } from '../../src/testing/phases.js'
import { Scheduler } from '../../src/testing/scheduler.js'
import { WaitingFaults } from '../../src/testing/waiting-faults.js'

function setUp(strikes: (fault: Fault, phases: Set<Phase>) => boolean) {
  const scheduler = new Scheduler()
  const phases = new Set<Phase>()
  const struck: string[] = []
  const waiting = new WaitingFaults({
    scheduler,
    isIn: (phase) => phases.has(phase),
    strike: (fault) => {
      const tookEffect = strikes(fault, phases)
      if (tookEffect) struck.push(`${fault.forMs} at ${scheduler.nowMs}`)
      return tookEffect
    },
  })
  const enter = (phase: Phase, { atMs, forMs }: { atMs: number; forMs: number }) => {
    scheduler.schedule(atMs, () => phases.add(phase))
    scheduler.schedule(atMs + forMs, () => phases.delete(phase))
  }
  return { scheduler, waiting, struck, enter }
}

/** `forMs` tells them apart. */
function fault(forMs: number, during?: Phase): Fault {
  return { kind: 'transfer', target: 'leader', atMs: 0, forMs, ...(during === undefined ? {} : { during }) }
}

describe('a fault that waits', () => {
  it('strikes once, when its phase has come, also if it comes again', async () => {
    const { scheduler, waiting, struck, enter } = setUp(() => true)
    waiting.add(fault(1, 'split'), 100)
    enter('split', { atMs: 11, forMs: 5 })
    enter('split', { atMs: 51, forMs: 5 })
    await scheduler.runUntil(200)
    expect(struck).toEqual(['1 at 12'])
  })

  it('is tried again in the same phase, and in the next one, until it takes effect', async () => {
    let tries = 0
    const { scheduler, waiting, struck, enter } = setUp(() => ++tries > 3)
    waiting.add(fault(1, 'split'), 100)
    enter('split', { atMs: 11, forMs: 5 })
    enter('split', { atMs: 51, forMs: 5 })
    await scheduler.runUntil(200)
    expect(struck).toEqual(['1 at 54'])
  })

  it('strikes no later than it may', async () => {
    const { scheduler, waiting, struck, enter } = setUp(() => true)
    waiting.add(fault(1, 'split'), 10)
    enter('split', { atMs: 11, forMs: 5 })
    await scheduler.runUntil(200)
    expect(struck).toEqual([])
  })

  it('looks anew at a phase that the one before it has ended', async () => {
    const { scheduler, waiting, struck, enter } = setUp((_, phases) => phases.delete('split'))
    waiting.add(fault(1, 'split'), 100)
    waiting.add(fault(2, 'split'), 100)
    enter('split', { atMs: 11, forMs: 5 })
    await scheduler.runUntil(200)
    expect(struck).toEqual(['1 at 12'])
  })

  it('without a phase waits for its turn alone', async () => {
    let isWhole = false
    const { scheduler, waiting, struck } = setUp(() => isWhole)
    waiting.add(fault(1), 100)
    scheduler.schedule(31, () => {
      isWhole = true
    })
    await scheduler.runUntil(200)
    expect(struck).toEqual(['1 at 32'])
  })
})
