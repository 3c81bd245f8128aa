import { beforeEach, describe, expect, it } from 'vitest'
import type { Term } from '../../src/base/ids.js'
import { LEASE_MS, Lease } from '../../src/store/lease.js'

const TERM = 3 as Term

class Clocks {
  monotonic = 5_000
  wall = 1_000_000

  monotonicMs(): number {
    return this.monotonic
  }

  wallMs(): number {
    return this.wall
  }

  pass(ms: number): void {
    this.monotonic += ms
    this.wall += ms
  }
}

let clocks: Clocks
let lease: Lease
const rounds = (lastRound: number, confirmedRound: number, parts: { term?: number; mayLease?: boolean } = {}) =>
  lease.observe({
    term: (parts.term ?? TERM) as Term,
    lastRound,
    confirmedRound,
    mayLease: parts.mayLease ?? true,
  })

beforeEach(() => {
  clocks = new Clocks()
  lease = new Lease(clocks)
})

describe("a leader's lease", () => {
  it('is not held before a majority answered a round', () => {
    rounds(1, 0)
    expect(lease.isHeld()).toBe(false)
  })

  it('counts from when the round left, not from when it was answered', () => {
    rounds(1, 0)
    clocks.pass(LEASE_MS - 1)
    rounds(1, 1)
    expect(lease.isHeld()).toBe(true)
    clocks.pass(1)
    expect(lease.isHeld()).toBe(false)
  })

  it('goes on with every round confirmed, and only by those that left later', () => {
    rounds(1, 0)
    clocks.pass(100)
    rounds(2, 1)
    clocks.pass(LEASE_MS - 1)
    expect(lease.isHeld()).toBe(false)
    rounds(3, 2)
    expect(lease.isHeld()).toBe(true)
    clocks.pass(1)
    expect(lease.isHeld()).toBe(false)
  })

  it('is not taken over into another term, nor by a replica that lost the lead meanwhile', () => {
    rounds(1, 1)
    rounds(1, 0, { term: TERM + 1 })
    expect(lease.isHeld()).toBe(false)
    rounds(1, 1, { term: TERM + 1 })
    expect(lease.isHeld()).toBe(true)
    lease.observe(null)
    expect(lease.isHeld()).toBe(false)
  })

  it('is given up for the rest of the term by who hands the lead over', () => {
    rounds(1, 1)
    rounds(1, 1, { mayLease: false })
    expect(lease.isHeld()).toBe(false)
    rounds(2, 2)
    expect(lease.isHeld()).toBe(false)
  })

  it('ends when the wall clock says so, though the monotonic one stood still in a suspended machine', () => {
    rounds(1, 1)
    clocks.wall += LEASE_MS
    expect(lease.isHeld()).toBe(false)
  })

  it('ends when the wall clock is set back', () => {
    rounds(1, 1)
    clocks.wall -= 1
    expect(lease.isHeld()).toBe(false)
  })

  it('is weaker than a round: with both clocks standing still it is held for ever', () => {
    rounds(1, 1)
    expect(lease.isHeld()).toBe(true)
  })
})
