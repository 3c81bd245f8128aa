import { assert } from '../base/assert.js'
import type { LogIndex, Term } from '../base/ids.js'
import type { Core } from './core.js'
import type { SnapshotPoint } from './types.js'

/**
 * The staged state as of `point` takes the place of everything up to it. Entries behind it stay if this log has the place: then
 * they follow it. Else what the log has beyond the commit was left by leaders that are gone, and goes. False: nothing that the
 * snapshot has is missing here.
 *
 * The log stands at `point` from now on, but nothing of it is acknowledged before the switch is synced (PROTOCOL: the state
 * store): the acknowledgement waits behind the Ready that says `restored`.
 */
export function restore(core: Core, point: SnapshotPoint): boolean {
  assert(point.configuration.voters.length > 0, 'a snapshot without voters', point.index)
  const lowest = core.fitness.needsSnapshot ? core.applied : core.commit + 1
  if (core.state.role === 'leader' || point.index < lowest) return false
  const { index, term, configuration } = point
  const isWithin = core.log.has(point)
  assert(isWithin || index > core.commit, 'a snapshot contradicts what is committed', index, core.commit)
  if (core.state.role !== 'follower' || term > core.term) {
    core.becomeFollower({ term: Math.max(term, core.term) as Term, leader: null })
  }
  if (isWithin) {
    core.log.truncateTo(point)
    core.writes.restoredWithin({ index, term })
  } else {
    core.configurations.truncateFrom((core.commit + 1) as LogIndex)
    core.writes.restoredAnew({ index, term }, core.commit)
    core.log.restart(point)
  }
  core.configurations.restore(index, configuration)
  if (index > core.commit) core.commitTo(index)
  core.appliedTo(index)
  core.fitness = { ...core.fitness, needsSnapshot: false }
  if (core.leader !== null) core.outbox.acknowledge(core.leader, core.commit)
  return true
}
