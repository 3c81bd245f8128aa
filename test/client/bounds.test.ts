import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { limits } from '../../src/base/limits.js'
import { Admission } from '../../src/client/admission.js'
import { Sequences } from '../../src/client/sequences.js'
import { times } from '../property.js'
import { FakeCluster, type Outcome, raw, settled } from './fake-cluster.js'

describe('sequences', () => {
  it('lowest is the lowest one open, or the next one', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 30 }), { maxLength: 200 }), (steps) => {
        const sequences = new Sequences()
        const open: number[] = []
        let next = 1
        for (const step of steps) {
          if (open.length === 0 || step < 15) {
            open.push(sequences.open())
            next++
          } else sequences.settle(open.splice(step % open.length, 1)[0]!)
          expect(sequences.lowest).toBe(open.length === 0 ? next : Math.min(...open))
        }
      }),
      times(300, 2),
    )
  })

  it('none is settled twice', () => {
    const sequences = new Sequences()
    sequences.settle(sequences.open())
    expect(() => sequences.settle(1)).toThrow(/settled once/)
  })
})

interface Ticket {
  readonly bytes: number
  isDone: boolean
}

describe('admission', () => {
  const bounds = { requestsMax: 2, bytesMax: 100, waitingMax: 3, waitingBytesMax: 1_000 }

  it('is first come, first served: a small one does not overtake a large one', () => {
    const started: Ticket[] = []
    const admission = new Admission<Ticket>(bounds, (ticket) => started.push(ticket))
    const [large, huge, small] = [60, 60, 1].map((bytes) => ({ bytes, isDone: false }))
    expect([large!, huge!, small!].map((ticket) => admission.enter(ticket))).toEqual([true, false, false])
    admission.leave(large!)
    expect(started).toEqual([large, huge, small])
  })

  it('never lets in more than the bounds, in requests and in bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 120 }), { maxLength: 100 }), (steps) => {
        const running: Ticket[] = []
        const admission = new Admission<Ticket>(bounds, (ticket) => running.push(ticket))
        for (const step of steps) {
          if (step % 3 === 0 && running.length > 0) admission.leave(running.shift()!)
          else admission.enter({ bytes: step, isDone: false })
          expect(running.length).toBeLessThanOrEqual(2)
          if (running.length > 1) expect(running.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(100)
        }
      }),
      times(300, 3),
    )
  })

  it('refuses what the queue has no place for', () => {
    const admission = new Admission<Ticket>(bounds, () => {})
    const results = Array.from({ length: 6 }, () => admission.enter({ bytes: 1, isDone: false }))
    expect(results).toEqual([true, true, false, false, false, null])
  })

  it('skips those that are over when their turn comes', () => {
    const started: Ticket[] = []
    const admission = new Admission<Ticket>({ ...bounds, requestsMax: 1 }, (ticket) => started.push(ticket))
    const [first, given, third] = [1, 2, 3].map((bytes) => ({ bytes, isDone: false }))
    for (const ticket of [first!, given!, third!]) admission.enter(ticket)
    given!.isDone = true
    admission.leave(first!)
    expect(started).toEqual([first, third])
  })

  it('one call always fits, however large', () => {
    const started: Ticket[] = []
    new Admission<Ticket>(bounds, (ticket) => started.push(ticket)).enter({ bytes: 1_000_000, isDone: false })
    expect(started).toHaveLength(1)
  })
})

describe('in flight', () => {
  const over = 100

  function flood(): { cluster: FakeCluster; outcomes: Outcome<unknown>[] } {
    const cluster = new FakeCluster()
    cluster.clock.advance(0)
    const outcomes = Array.from({ length: limits.clientRequestsInFlightMax + over }, (_, index) =>
      cluster.write(raw(`k${index}`)),
    )
    cluster.turn()
    return { cluster, outcomes }
  }

  it('no more requests than the bound are sent; the others follow in order as answers come', async () => {
    const { cluster, outcomes } = flood()
    const { arrived } = cluster.node(1)
    expect(arrived).toHaveLength(limits.clientRequestsInFlightMax)
    for (const arrival of arrived.splice(0, over)) arrival.written(2_000_000)
    cluster.turn()
    expect(arrived).toHaveLength(limits.clientRequestsInFlightMax)
    expect(arrived.at(-1)!.request).toMatchObject({ writes: [{ key: raw(`k${outcomes.length - 1}`) }] })
  })

  it('who waits in vain until the deadline hears OVERLOADED, certainly not applied', async () => {
    const { cluster, outcomes } = flood()
    cluster.clock.advance(5_100)
    await settled()
    expect(outcomes.at(-1)!.error).toMatchObject({ code: 'OVERLOADED', mayHaveBeenApplied: false })
    expect(outcomes[0]!.error).toMatchObject({ code: 'OUTCOME_UNKNOWN', mayHaveBeenApplied: true })
  })

  it('what is asked in one tick leaves as one message', () => {
    const cluster = new FakeCluster()
    cluster.write()
    cluster.turn()
    cluster.node(1).messages.length = 0
    for (let index = 0; index < 64; index++) cluster.write(raw(`k${index}`))
    expect(cluster.node(1).messages).toHaveLength(0)
    cluster.turn()
    expect(cluster.node(1).messages.map((message) => message.length)).toEqual([64])
  })

  it('no timer is set per call', () => {
    const cluster = new FakeCluster()
    for (let index = 0; index < 1_000; index++) cluster.write(raw(`k${index}`))
    cluster.turn()
    expect(cluster.clock.timersSet).toBeLessThan(20)
  })
})
