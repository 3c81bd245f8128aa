import fc from 'fast-check'
import { expect, test } from 'vitest'
import { times } from '../property.js'
import { Run } from './run.js'
import { type Action, actionKinds, actions, membershipActions } from './schedule.js'

interface Totals {
  reads: number
  committed: number
  snapshots: number
  changes: number
  wipes: number
  leases: number
}

function runAll(options: {
  size: number
  runs: number
  seed: number
  schedules?: fc.Arbitrary<Action[]>
  alike?: boolean
}): Totals {
  const totals: Totals = { reads: 0, committed: 0, snapshots: 0, changes: 0, wipes: 0, leases: 0 }
  const { size, seed, schedules = actions, alike = false } = options
  const parameters = times(options.runs, seed)
  fc.assert(
    fc.property(fc.nat(), schedules, (timing, schedule) => {
      const run = new Run({ size, seed: timing, alike })
      for (const action of schedule) run.act(action)
      run.heal()
      totals.reads += run.checker.readsConfirmed
      totals.committed += run.checker.committed.length
      totals.snapshots += run.checker.snapshotsRestored
      totals.changes += run.membership.changes
      totals.wipes += run.membership.wipes
      totals.leases += run.checker.leases?.extended ?? 0
    }),
    parameters,
  )
  for (const key of Object.keys(totals) as (keyof Totals)[]) totals[key] /= parameters.numRuns
  return totals
}

test('three replicas keep the safety properties under any schedule, and go on when it heals', () => {
  const totals = runAll({ size: 3, runs: 200, seed: 20_140_801 })
  expect(totals.reads).toBeGreaterThan(0.5)
  expect(totals.committed).toBeGreaterThan(3)
  expect(totals.snapshots).toBeGreaterThan(0.1)
})

test('five replicas keep the safety properties under any schedule, and go on when it heals', () => {
  const totals = runAll({ size: 5, runs: 100, seed: 20_140_802 })
  expect(totals.reads).toBeGreaterThan(0.2)
  expect(totals.committed).toBeGreaterThan(4)
})

test('a single replica keeps the safety properties under any schedule, and goes on when it heals', () => {
  const totals = runAll({ size: 1, runs: 50, seed: 20_140_803 })
  expect(totals.reads).toBeGreaterThan(0.5)
  expect(totals.committed).toBeGreaterThan(3)
})

test('replicas come, go and lose their disks under any schedule, and the safety properties hold', () => {
  for (const size of [1, 2, 3]) {
    const totals = runAll({ size, runs: 150, seed: 20_140_810 + size, schedules: membershipActions })
    expect(totals.changes).toBeGreaterThan(2)
    expect(totals.snapshots).toBeGreaterThan(0.2)
    if (size === 3) expect(totals.wipes).toBeGreaterThan(0.1)
  }
})

test('while a lease lasts nobody else is elected, whatever happens, changes of the replicas included', () => {
  for (const schedules of [actions, membershipActions]) {
    const totals = runAll({ size: 3, runs: 100, seed: 20_140_820, schedules, alike: true })
    expect(totals.leases).toBeGreaterThan(2)
  }
})

test('every kind of action occurs in schedules', () => {
  const sample = fc.sample(membershipActions, { seed: 1, numRuns: 20 })
  const seen = new Set(sample.flatMap((schedule) => schedule.map((action) => action.kind)))
  expect([...seen].sort()).toEqual([...actionKinds].sort())
})
