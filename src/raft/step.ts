import { assertNever } from '../base/assert.js'
import type { Core } from './core.js'
import { onPreVote, onPreVoteReply, onTimeoutNow, onVote, onVoteReply } from './election.js'
import { onAppend, onHeartbeat, tellTerm } from './follower.js'
import { onHeartbeatReply } from './leader.js'
import { onAppendAccepted, onAppendRejected } from './replication.js'
import type { AppendAccepted, AppendRejected, HeartbeatReply, Message } from './types.js'

/** What every message goes through: is it for this replica, is it heard at all, of which term is it, and who takes it. */
export function step(core: Core, message: Message): void {
  if (message.range !== core.config.range || message.to !== core.self || message.from === core.self) return
  if (isDeaf(core, message)) return
  if (message.term > core.term && !isAboutNextTerm(message)) {
    const isFromLeader = message.type === 'append' || message.type === 'heartbeat'
    core.becomeFollower({ term: message.term, leader: isFromLeader ? message.from : null })
  }
  if (message.term < core.term) answerStale(core, message)
  else dispatch(core, message)
}

/** Who hears from a leader takes no part in deposing it, and does not even learn the term (thesis 4.2.3, 9.6). */
function isDeaf(core: Core, message: Message): boolean {
  if (message.type !== 'preVote' && message.type !== 'vote') return false
  if (core.isMute) return true
  if (message.type === 'vote' && message.transfer) return false
  return message.term >= core.term && core.isBound
}

function answerStale(core: Core, message: Message): void {
  const envelope = core.envelope(message.from)
  if (message.type === 'append' || message.type === 'heartbeat') tellTerm(core, message)
  else if (message.type === 'preVote') core.send({ type: 'preVoteReply', ...envelope, granted: false })
  else if (message.type === 'vote') core.send({ type: 'voteReply', ...envelope, granted: false })
}

function dispatch(core: Core, message: Message): void {
  switch (message.type) {
    case 'preVote':
      return onPreVote(core, message)
    case 'preVoteReply':
      return onPreVoteReply(core, message)
    case 'vote':
      return onVote(core, message)
    case 'voteReply':
      return onVoteReply(core, message)
    case 'append':
      return onAppend(core, message)
    case 'heartbeat':
      return onHeartbeat(core, message)
    case 'timeoutNow':
      return onTimeoutNow(core, message)
    case 'appendAccepted':
    case 'appendRejected':
    case 'heartbeatReply':
      return onPeerReply(core, message)
    default:
      return assertNever(message)
  }
}

function onPeerReply(core: Core, message: AppendAccepted | AppendRejected | HeartbeatReply): void {
  if (core.state.role !== 'leader') return
  const progress = core.state.peers.get(message.from)
  if (progress === undefined) return
  if (progress.sawBoot(message.boot)) core.state.appendsDue = true
  if (!progress.forgotten) progress.heardTick = core.clock
  if (message.type === 'appendAccepted') onAppendAccepted(core, core.state, progress, message)
  else if (message.type === 'appendRejected') onAppendRejected(core, core.state, progress, message)
  else onHeartbeatReply(core, core.state, progress, message)
  if (core.state.role === 'leader' && progress.maybeStream(core.clock)) core.outbox.askSnapshot(progress.replica)
}

/** A pre-vote and its grant name a term that nobody is in yet. */
function isAboutNextTerm(message: Message): boolean {
  return message.type === 'preVote' || (message.type === 'preVoteReply' && message.granted)
}
