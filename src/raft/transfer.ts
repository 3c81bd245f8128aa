import type { ReplicaId } from '../base/ids.js'
import type { Core } from './core.js'
import type { Progress } from './progress.js'
import type { Leader } from './roles.js'

/** Begins to hand the lead to a voter (thesis 3.10). It takes no more proposals, so that the other can catch up. */
export function transferLead(core: Core, leader: Leader, to: ReplicaId): boolean {
  if (leader.transfer !== null) return leader.transfer.to === to
  const progress = leader.peers.get(to)
  if (progress === undefined || progress.forgotten || !core.configuration.voters.includes(to)) return false
  leader.transfer = { to, untilTick: core.clock + core.config.electionTicksMin }
  leader.mayLease = false
  urge(core, leader)
  return true
}

/** Asks the other to campaign as soon as it has the whole log; again each heartbeat interval, as the request may be lost. */
export function urge(core: Core, leader: Leader): void {
  if (leader.transfer === null) return
  const progress = leader.peers.get(leader.transfer.to)
  if (progress?.match === core.log.lastIndex) sendTimeoutNow(core, progress)
}

/** If it does not come about within an election timeout, this leader goes on, but for its lease. */
export function maybeGiveUpTransfer(core: Core, leader: Leader): void {
  if (leader.transfer !== null && core.clock >= leader.transfer.untilTick) leader.transfer = null
}

/**
 * The configuration without this leader is committed: it leads no longer (thesis 4.2.2). It asks the voter that is farthest to
 * campaign, so that nobody has to wait for an election timeout.
 */
export function retire(core: Core, leader: Leader): void {
  let best: Progress | null = null
  for (const id of core.configuration.voters) {
    const progress = leader.peers.get(id)
    if (progress !== undefined && (best === null || progress.match > best.match)) best = progress
  }
  if (best !== null) sendTimeoutNow(core, best)
  core.becomeFollower({ term: core.term, leader: null })
}

function sendTimeoutNow(core: Core, { replica }: Progress): void {
  core.outbox.sendNow({ type: 'timeoutNow', ...core.envelope(replica) })
}
