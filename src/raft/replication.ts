import { assert } from '../base/assert.js'
import { type LogIndex, NO_INDEX, type ReplicaId } from '../base/ids.js'
import type { Core } from './core.js'
import type { Progress } from './progress.js'
import { majorityValue } from './quorum.js'
import type { Leader } from './roles.js'
import { retire, urge } from './transfer.js'
import type { AppendAccepted, AppendRejected, Entry } from './types.js'

/** Sends whatever windows allow, to all peers. */
export function sendAppends(core: Core, leader: Leader): void {
  leader.appendsDue = false
  for (const progress of leader.peers.values()) {
    keepSendable(core, progress)
    while (progress.canSend(core.log.lastIndex)) {
      const isFromDisk = progress.next < core.log.firstInMemory
      sendAppend(core, progress)
      // Catching up from disk is paced: one synchronous read per peer and turn.
      if (isFromDisk && progress.canSend(core.log.lastIndex)) {
        leader.appendsDue = true
        break
      }
    }
  }
}

/**
 * The log below the truncation point, or below what the disk has lost, cannot be sent. Whose place is unknown is probed from there on; its refusal says whether it
 * needs a snapshot. Who is known to end below it needs one.
 */
function keepSendable(core: Core, progress: Progress): void {
  const lowest = (core.log.unsendable + 1) as LogIndex
  if (progress.next >= lowest) return
  if (progress.state === 'probe') progress.probeFrom(lowest)
  else if (progress.state === 'replicate') progress.becomeSnapshot()
}

function sendAppend(core: Core, progress: Progress): void {
  const { next } = progress
  const { lastIndex } = core.log
  const bytesMax = core.config.appendBytesMax
  const entries = next <= lastIndex ? core.log.read({ from: next, to: lastIndex, bytesMax }) : []
  let bytes = 0
  for (const entry of entries) bytes += entry.payload.length
  sendEntries(core, progress, entries)
  progress.sent((next - 1 + entries.length) as LogIndex, bytes)
}

/** Leaves before the leader's own disk write (thesis 10.2.1): only what a replica has persisted counts, its own too. */
function sendEntries(core: Core, { replica, next }: Progress, entries: readonly Entry[]): void {
  assert(core.isHardStateDurable, 'a leader whose term is not on disk', core.term)
  const previousIndex = (next - 1) as LogIndex
  core.outbox.sendNow({
    type: 'append',
    ...core.envelope(replica),
    previousIndex,
    previousTerm: core.log.term(previousIndex),
    entries,
    commit: core.commit,
    allPersisted: core.allPersisted,
  })
}

export function onAppendAccepted(core: Core, leader: Leader, progress: Progress, message: AppendAccepted): void {
  assert(message.matchIndex <= core.log.lastIndex, 'acknowledges what was never sent', message.matchIndex)
  if (progress.maybeAccept(message.matchIndex)) {
    matchAdvanced(core, leader)
    if (core.state.role === 'leader') urge(core, leader)
  }
  leader.appendsDue = true
}

/** Both sides skip a whole term per round: the follower with its hint, the leader here (Raft paper 5.3, etcd's refinement). */
export function onAppendRejected(core: Core, leader: Leader, progress: Progress, message: AppendRejected): void {
  const { rejectedIndex, hintIndex, hintTerm } = message
  const start = core.log.unsendable
  if (message.needsSnapshot) {
    // One that has acknowledged something said this before it had its snapshot.
    if (progress.match === NO_INDEX) progress.becomeSnapshot()
    return
  }
  if (rejectedIndex <= progress.match || !progress.isRejection(rejectedIndex)) return
  const floor = Math.max(progress.match, start) as LogIndex
  const found = core.log.lastAtMostTerm({ from: hintIndex, term: hintTerm, floor })
  const guess = Math.min(found, rejectedIndex - 1) as LogIndex
  // The logs part below the place where this one begins.
  if (hintIndex < start || guess < start) progress.becomeSnapshot()
  else progress.rejected(guess)
  leader.appendsDue = true
}

/** The peer is alive; if an append or its answer was lost on the way, go on. */
export function retryLost(core: Core, leader: Leader, progress: Progress): void {
  const retry = progress.maybeRetry(core.clock)
  if (retry === 'probe') leader.appendsDue = true
  if (retry !== 'ask') return
  // The log may have been cut meanwhile, beyond what was sent.
  keepSendable(core, progress)
  // Asks for everything sent: an acknowledgement if all arrived, else a refusal that says from where on it is missing.
  if (progress.state === 'replicate') sendEntries(core, progress, [])
}

/** Something is persisted on one more replica: what a majority has may be committed, what all have may be let go. */
export function matchAdvanced(core: Core, leader: Leader): void {
  const index = majorityValue(core.configuration, (replica) => matchOf(core, leader, replica)) as LogIndex
  // Thesis 3.6.2: an entry of an older term is committed only by one of this term behind it, never by counting.
  if (index > core.commit && core.log.term(index) === core.term) commitOwn(core, leader, index)
  let lowest = core.writes.persistedIndex
  for (const replica of leader.peers.keys()) lowest = Math.min(lowest, matchOf(core, leader, replica)) as LogIndex
  core.learnAllPersisted(lowest)
  if (!core.isVoter && core.configurations.currentIndex <= core.commit) retire(core, leader)
}

function commitOwn(core: Core, leader: Leader, index: LogIndex): void {
  const from = Math.max(core.commit + 1, leader.noop) as LogIndex
  leader.uncommittedBytes -= core.log.payloadBytes({ from, to: index })
  assert(leader.uncommittedBytes >= 0, 'more was committed than proposed', leader.uncommittedBytes)
  core.commitTo(index)
}

function matchOf(core: Core, leader: Leader, replica: ReplicaId): LogIndex {
  if (replica === core.self) return core.writes.persistedIndex
  const progress = leader.peers.get(replica)
  assert(progress !== undefined, 'a voter without progress', replica)
  return progress.match
}
