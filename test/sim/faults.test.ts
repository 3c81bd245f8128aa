import { describe, expect, it } from 'vitest'
import type { Deed, Fault } from '../../src/testing/fault-plan.js'
import { type FaultPlan, nameOf } from '../../src/testing/fault-plan.js'
import { calmLink } from '../../src/testing/network.js'
import { type SimulationResult, simulateSeed } from '../../src/testing/simulation.js'

const KiB = 1024
const STRIKE_MS = 1_000

function planOf(faults: readonly Fault[], nodes: number): FaultPlan {
  return {
    nodes,
    ranges: 1,
    clients: 3,
    thinkMsMax: 60,
    faults,
    healedMs: 6_000,
    clockOffsetsMs: [],
    syncMsMax: 1,
    quality: calmLink,
    keptBytesMax: 16 * KiB,
    stateSyncEveryBytes: 64 * KiB,
    historyKeptMs: 600_000,
    sessionKeptMs: 600_000,
  }
}

/** One fault for two seconds, in a cluster that has worked for one. */
function run(deed: Deed, { nodes = 3, seed = 1 } = {}): Promise<SimulationResult> {
  return simulateSeed({ seed, plan: planOf([{ atMs: STRIKE_MS, forMs: 2_000, ...deed }], nodes) })
}

const slow = { ...calmLink, delayMs: 40, jitterMs: 60, loss: 0.3, duplicate: 0.3 }
const target = 'leader'
const targets = [target] as const

const deeds: readonly Deed[] = [
  { kind: 'kill', targets },
  { kind: 'kill', targets: [1, 2, 3] },
  { kind: 'off', target },
  { kind: 'crash after', target, operations: 5 },
  { kind: 'torn tail', target },
  { kind: 'partition', shape: 'clients', targets },
  { kind: 'partition', shape: 'halves', targets },
  { kind: 'partition', shape: 'bridge', targets },
  { kind: 'partition', shape: 'isolate', targets, flapMs: 150 },
  { kind: 'link', target, way: 'out', quality: slow },
  { kind: 'clog', target, way: 'in' },
  { kind: 'clog', target, way: 'out' },
  { kind: 'connections', target, how: 'reset' },
  { kind: 'connections', target, how: 'half open' },
  { kind: 'slow reader', target, everyMs: 5 },
  { kind: 'slow reader', target: 'clients', everyMs: 20 },
  { kind: 'fsync', target },
  { kind: 'logs swapped', target },
  { kind: 'slow', target, factor: 100 },
  { kind: 'drift', target, rate: -0.09 },
  { kind: 'harm', harm: 'record hidden', target },
  { kind: 'harm', harm: 'rolled back', target },
]

describe('a fault takes effect, and the cluster comes through it whole', () => {
  it.each(deeds.map((deed) => [nameOf(deed), deed] as const))('%s', async (name, deed) => {
    const { violations, faultsByKind, acknowledged } = await run(deed)
    expect(violations).toEqual([])
    expect(faultsByKind[name]).toBe(1)
    expect(acknowledged).toBeGreaterThan(100)
  })

  it.each(['ring', 'halves', 'bridge'] as const)('five nodes in a partition of shape %s', async (shape) => {
    const { violations, faultsByKind } = await run({ kind: 'partition', shape, targets: [2, 3] }, { nodes: 5 })
    expect(violations).toEqual([])
    expect(Object.values(faultsByKind)).toEqual([1])
  })

  it('a bit flipped in a snapshot that is being taken in', async () => {
    const lost: Fault = { atMs: STRIKE_MS, forMs: 50, kind: 'harm', harm: 'state lost', target: 2 }
    const rotten: Deed = { kind: 'harm', harm: 'snapshot rotten', target: 2 }
    const then: Fault = { atMs: STRIKE_MS, forMs: 0, during: 'snapshot', ...rotten }
    const { violations, faultsByKind } = await simulateSeed({ seed: 1, plan: planOf([lost, then], 3) })
    expect(violations).toEqual([])
    expect(faultsByKind).toEqual({ 'state lost': 1, 'snapshot rotten': 1 })
  })
})

describe('a ring of three', () => {
  it('cuts nobody off, and does not count', async () => {
    const { faults } = await run({ kind: 'partition', shape: 'ring', targets })
    expect(faults).toBe(0)
  })
})

describe('what stands in the way of a node that is down', () => {
  const crash: Fault = { atMs: STRIKE_MS, forMs: 3_000, kind: 'crash', targets: [2] }
  const shapes = ['isolate', 'peers', 'clients', 'deaf', 'mute', 'pair', 'halves'] as const
  const unnoticed: readonly Deed[] = [
    ...shapes.map((shape): Deed => ({ kind: 'partition', shape, targets: [2] })),
    { kind: 'partition', shape: 'isolate', targets: [2], flapMs: 50 },
    { kind: 'partition', shape: 'pair', targets: [1] },
    { kind: 'partition', shape: 'bridge', targets: [1] },
    { kind: 'clog', target: 2, way: 'in' },
    { kind: 'link', target: 2, way: 'in', quality: slow },
    { kind: 'link', target: 1, way: 'out', quality: slow },
    { kind: 'slow reader', target: 2, everyMs: 20 },
  ]

  it('does not count', async () => {
    const faults = unnoticed.map((deed, at): Fault => ({ atMs: 1_500 + 150 * at, forMs: 100, ...deed }))
    const { violations, faultsByKind } = await simulateSeed({ seed: 1, plan: planOf([crash, ...faults], 3) })
    expect(violations).toEqual([])
    expect(faultsByKind).toEqual({ crash: 1 })
  })

  it('waits until the node runs, if it may wait', async () => {
    const waits: Fault = { atMs: 1_500, waitMs: 4_000, forMs: 100, kind: 'partition', shape: 'isolate', targets: [2] }
    const plan = planOf([crash, waits], 3)
    const { violations, lastEvents } = await simulateSeed({ seed: 1, plan, keepEvents: 1_000_000 })
    expect(violations).toEqual([])
    const placeOf = (what: RegExp) => lastEvents.findLastIndex((event) => what.test(event))
    const started = placeOf(/node 2 +start/)
    expect(started).toBeGreaterThan(placeOf(/node 2 +crash/))
    expect(placeOf(/partition isolate took effect/)).toBeGreaterThan(started)
  })
})
