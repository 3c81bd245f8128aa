import { assert } from '../base/assert.js'
import type { ReplicaId, Term } from '../base/ids.js'
import type { Core } from './core.js'
import { becomeLeader } from './leader.js'
import { voteResult } from './quorum.js'
import type { Candidate, Leader, PreCandidate, RoleState } from './roles.js'
import type { PreVote, PreVoteReply, TimeoutNow, Vote, VoteReply } from './types.js'

export function ticksUntilImpatient(core: Core, state: NotLeading): number {
  if (state.role === 'follower') return core.patienceLeft
  const { heartbeatTicks } = core.config
  return Math.min(core.patienceLeft, heartbeatTicks - (core.waited % heartbeatTicks))
}

/** The clock of a replica that does not lead has moved by `ticks`. */
export function waitForLeader(core: Core, state: NotLeading, ticks: number): void {
  core.waited += ticks
  if (core.isImpatient) {
    if (core.mayCampaign) becomePreCandidate(core)
    else core.restartWait()
    return
  }
  if (state.role !== 'follower' && core.waited % core.config.heartbeatTicks === 0) askForVotes(core, state)
}

type NotLeading = Exclude<RoleState, Leader>

/** Asks everybody whether an election at the next term could be won, leaving all terms as they are (thesis 9.6). */
export function becomePreCandidate(core: Core): void {
  assert(
    core.configurations.mayBeVoter(core.self) && core.state.role !== 'leader',
    'only a waiting voter campaigns',
    core.state.role,
  )
  const state: PreCandidate = { role: 'preCandidate', votes: new Map() }
  core.state = state
  core.restartWait()
  askForVotes(core, state)
  countVote(core, state, { from: core.self, granted: true })
}

/**
 * Its own vote is counted only when it is on disk (ownVotePersisted): a single voter would else lead a term that it
 * could lead a second time after a crash, with another log.
 */
export function becomeCandidate(core: Core, { transfer }: { transfer: boolean }): void {
  assert(
    core.configurations.mayBeVoter(core.self) && core.state.role !== 'leader',
    'only a waiting voter campaigns',
    core.state.role,
  )
  core.moveToTerm((core.term + 1) as Term)
  core.voteFor(core.self)
  const state: Candidate = { role: 'candidate', votes: new Map(), transfer }
  core.state = state
  core.restartWait()
  askForVotes(core, state)
}

/** A write became durable: perhaps the candidate's vote for itself. */
export function maybeCountOwnVote(core: Core): void {
  const { state } = core
  if (state.role !== 'candidate' || !core.isHardStateDurable) return
  assert(core.vote === core.self, 'a candidate that voted for another', core.vote)
  countVote(core, state, { from: core.self, granted: true })
}

export function onPreVote(core: Core, message: PreVote): void {
  // Grants bind nobody: neither vote nor term nor the wait changes. A grant names the term that was asked for.
  const couldVote = message.term > core.term || couldVoteInThisTerm(core, message.from)
  const granted = couldVote && core.mayVoteFor(message.from) && isUpToDate(core, message)
  const term = granted ? message.term : core.term
  core.send({ type: 'preVoteReply', ...core.envelope(message.from, term), granted })
}

export function onVote(core: Core, message: Vote): void {
  assert(message.term === core.term, 'a vote of another term', message.term, core.term)
  const { from } = message
  const granted = couldVoteInThisTerm(core, from) && core.mayVoteFor(from) && isUpToDate(core, message)
  if (granted) {
    core.voteFor(from)
    core.restartWait()
  }
  core.send({ type: 'voteReply', ...core.envelope(from), granted })
}

export function onPreVoteReply(core: Core, message: PreVoteReply): void {
  const { state } = core
  if (state.role !== 'preCandidate') return
  if (message.term === (message.granted ? core.term + 1 : core.term)) countVote(core, state, message)
}

export function onVoteReply(core: Core, message: VoteReply): void {
  assert(message.term === core.term, 'a vote of another term', message.term, core.term)
  if (core.state.role === 'candidate') countVote(core, core.state, message)
}

/** The leader of this term, which has given up its lease before, hands the lead to this replica (thesis 3.10). */
export function onTimeoutNow(core: Core, message: TimeoutNow): void {
  const isAsked = core.state.role === 'follower' && core.state.leader === message.from
  if (isAsked && core.mayCampaign) becomeCandidate(core, { transfer: true })
}

/** To every voter that has not answered yet; repeated each heartbeat interval, as a request may be lost or come too early. */
function askForVotes(core: Core, state: PreCandidate | Candidate): void {
  const { log, configuration } = core
  const position = { lastIndex: log.lastIndex, lastTerm: log.lastTerm }
  for (const to of new Set([...configuration.voters, ...configuration.outgoing])) {
    if (to === core.self || state.votes.has(to)) continue
    if (state.role === 'preCandidate') {
      core.send({ type: 'preVote', ...core.envelope(to, (core.term + 1) as Term), ...position })
    } else {
      core.send({ type: 'vote', ...core.envelope(to), ...position, transfer: state.transfer })
    }
  }
}

/** Counts the first answer of each voter (learners and strangers make no majority), and acts when the election is decided. */
function countVote(
  core: Core,
  state: PreCandidate | Candidate,
  { from, granted }: { from: ReplicaId; granted: boolean },
): void {
  if (state.votes.has(from)) return
  state.votes.set(from, granted)
  const result = voteResult(core.configuration, state.votes)
  if (result === 'lost') core.becomeFollower({ term: core.term, leader: null })
  if (result !== 'won') return
  if (state.role === 'preCandidate') becomeCandidate(core, { transfer: false })
  else becomeLeader(core)
}

function couldVoteInThisTerm(core: Core, candidate: ReplicaId): boolean {
  return core.vote === candidate || (core.vote === null && core.leader === null)
}

/** Thesis 3.6.1: the later last term wins, then the longer log. */
function isUpToDate({ log }: Core, candidate: { lastIndex: number; lastTerm: number }): boolean {
  if (candidate.lastTerm !== log.lastTerm) return candidate.lastTerm > log.lastTerm
  return candidate.lastIndex >= log.lastIndex
}
