import { assert } from '../base/assert.js'
import { type LogIndex, NO_INDEX, type Term, type Version } from '../base/ids.js'
import { mayFollow } from './configurations.js'
import type { Core } from './core.js'
import { Progress } from './progress.js'
import { allReplicas, isVoter, majorityValue } from './quorum.js'
import { ReadRounds } from './reads.js'
import { retryLost, sendAppends } from './replication.js'
import type { Leader } from './roles.js'
import { maybeGiveUpTransfer, urge } from './transfer.js'
import type { Configuration, EntryKind, HeartbeatReply } from './types.js'

const NO_PAYLOAD = new Uint8Array(0)

/** The only place where a leader is made. Its first entry lets it commit what older terms left (thesis 3.6.2, 6.4). */
export function becomeLeader(core: Core): void {
  assert(core.state.role === 'candidate' && core.isHardStateDurable, 'only an elected candidate leads', core.state.role)
  const leader: Leader = {
    role: 'leader',
    peers: new Map(),
    noop: (core.log.lastIndex + 1) as LogIndex,
    reads: new ReadRounds(),
    transfer: null,
    mayLease: true,
    uncommittedBytes: 0,
    heartbeatDue: false,
    appendsDue: true,
  }
  core.state = leader
  followConfiguration(core, leader)
  appendOwn(core, leader, { kind: 'noop', timestamp: core.nextTimestamp(), payload: NO_PAYLOAD })
}

/** Adds an entry of the present term to the leader's log. */
export function appendOwn(
  core: Core,
  leader: Leader,
  proposal: { kind: EntryKind; timestamp: Version; payload: Uint8Array },
): { index: LogIndex; term: Term } {
  const index = (core.log.lastIndex + 1) as LogIndex
  const { term } = core
  const { kind, timestamp, payload } = proposal
  core.append({ index, term, timestamp, kind, payload })
  leader.uncommittedBytes += payload.length
  leader.appendsDue = true
  if (kind === 'configuration') followConfiguration(core, leader)
  return { index, term }
}

/** Who is new gets the log from the end backwards until it matches; who is out is told nothing more (thesis 4.1). */
function followConfiguration(core: Core, leader: Leader): void {
  const replicas = allReplicas(core.configuration)
  for (const known of leader.peers.keys()) if (!replicas.has(known)) leader.peers.delete(known)
  const next = (core.log.lastIndex + 1) as LogIndex
  for (const replica of replicas) {
    if (replica === core.self || leader.peers.has(replica)) continue
    leader.peers.set(replica, new Progress(replica, next, core.config, core.clock))
  }
}

/** Room for a command: the bound may be exceeded by the last one. */
export function canPropose(core: Core): boolean {
  const { state, config } = core
  return state.role === 'leader' && state.transfer === null && state.uncommittedBytes < config.uncommittedBytesMax
}

/**
 * Only when an entry of the own term is committed: else two leaders of two terms may each change the configuration by a majority
 * of their own (the flaw of the first single-server algorithm). And only one change at a time.
 */
export function canChangeConfiguration(core: Core): boolean {
  const { state } = core
  if (state.role !== 'leader' || state.transfer !== null) return false
  return isReadyToServe(core) && core.configurations.currentIndex <= core.commit
}

/**
 * `next` may follow, and whoever begins to vote has acknowledged something to this leader: a replica without a state never
 * votes, and if it were counted, those left might be too few to elect anybody who could give it one (thesis 4.2.1).
 */
export function mayChangeTo(core: Core, next: Configuration): boolean {
  const { state, configuration } = core
  if (state.role !== 'leader' || !canChangeConfiguration(core) || !mayFollow(configuration, next)) return false
  return next.voters.every((id) => isVoter(configuration, id) || (state.peers.get(id)?.match ?? NO_INDEX) > NO_INDEX)
}

export function isReadyToServe(core: Core): boolean {
  return core.state.role === 'leader' && core.commit >= core.state.noop
}

/** Intervals are cut by the node's clock and not by when it was elected: all leaders of a node beat together. */
export function ticksUntilHeartbeat({ clock, config }: Core): number {
  return config.heartbeatTicks - (clock % config.heartbeatTicks)
}

/** The clock of a leader has moved: acts once per heartbeat interval. */
export function lead(core: Core, leader: Leader): void {
  if (core.clock % core.config.heartbeatTicks !== 0) return
  maybeGiveUpTransfer(core, leader)
  if (core.isDiskStalled || !hasQuorum(core, leader)) {
    core.becomeFollower({ term: core.term, leader: null })
    return
  }
  leader.heartbeatDue = true
  urge(core, leader)
  for (const progress of leader.peers.values()) progress.interval()
}

/** Check-quorum (thesis 6.2): a majority of the voters was heard within the shortest election timeout. */
function hasQuorum(core: Core, leader: Leader): boolean {
  const heard = majorityValue(core.configuration, (replica) =>
    replica === core.self ? core.clock : leader.peers.get(replica)!.heardTick,
  )
  return core.clock - heard < core.config.electionTicksMin
}

export function onHeartbeatReply(core: Core, leader: Leader, progress: Progress, message: HeartbeatReply): void {
  assert(message.round <= leader.reads.lastRound, 'answers a round that has not begun', message.round)
  progress.heartbeatAnswered(message)
  progress.wantsSnapshot(message.needsSnapshot)
  retryLost(core, leader, progress)
  if (leader.reads.isOpen) confirmReads(core, leader)
}

/** What a leader sends with this takeReady: heartbeats that are due or that reads wait for, and appends. */
export function flush(core: Core, leader: Leader): void {
  const canRead = isReadyToServe(core)
  if (leader.heartbeatDue || (canRead && leader.reads.isWaiting)) broadcastHeartbeat(core, leader, canRead)
  if (leader.appendsDue) sendAppends(core, leader)
}

/**
 * Reads join this round here, as its heartbeats are handed out, and not earlier: so every answer to them was given
 * after the reads came, and the commit of this moment covers all that was acknowledged before.
 */
function broadcastHeartbeat(core: Core, leader: Leader, canRead: boolean): void {
  leader.heartbeatDue = false
  const { commit, allPersisted } = core
  const round = leader.reads.begin(canRead ? commit : null)
  for (const progress of leader.peers.values()) {
    progress.heartbeatLeaves(round)
    // A follower may hold another leader's entries behind what it acknowledged: never tell it to commit those.
    const known = Math.min(progress.match, commit) as LogIndex
    const envelope = core.envelope(progress.replica)
    core.outbox.sendNow({ type: 'heartbeat', ...envelope, commit: known, allPersisted, round })
  }
  if (leader.reads.isOpen) confirmReads(core, leader)
}

function confirmReads(core: Core, leader: Leader): void {
  core.outbox.confirmReads(leader.reads.confirm(confirmedRound(core, leader)))
}

/**
 * By the configuration of now, also if it changed while a round was open: its majorities meet those of the one before, so
 * whoever elected another leader before the round began is among those who must answer.
 */
export function confirmedRound(core: Core, leader: Leader): number {
  return majorityValue(core.configuration, (replica) => {
    if (replica === core.self) return leader.reads.lastRound
    const progress = leader.peers.get(replica)!
    return progress.forgotten ? 0 : progress.confirmedRound
  })
}
