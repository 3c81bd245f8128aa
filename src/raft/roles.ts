import type { LogIndex, ReplicaId } from '../base/ids.js'
import type { Progress } from './progress.js'
import type { ReadRounds } from './reads.js'

export interface Follower {
  readonly role: 'follower'
  readonly leader: ReplicaId | null
}

/** Asks whether an election could be won, at its old term (thesis 9.6). The first answer of each replica stands. */
export interface PreCandidate {
  readonly role: 'preCandidate'
  readonly votes: Map<ReplicaId, boolean>
}

export interface Candidate {
  readonly role: 'candidate'
  /** Its own vote is among them once it is durable. */
  readonly votes: Map<ReplicaId, boolean>
  readonly transfer: boolean
}

export interface Leader {
  readonly role: 'leader'
  /** Every other replica of the configuration in force. */
  readonly peers: Map<ReplicaId, Progress>
  /** The first entry of this term: until it is committed nothing is served (thesis 6.4, 3.6.2). */
  readonly noop: LogIndex
  readonly reads: ReadRounds
  /** It hands the lead to `to`, and takes no proposals meanwhile; given up at `untilTick`. */
  transfer: { readonly to: ReplicaId; readonly untilTick: number } | null
  /** False from the first transfer of the term on: another may be elected within a lease then. */
  mayLease: boolean
  /** Payload of the entries of this term that are not committed. */
  uncommittedBytes: number
  /** Heartbeats leave with the next takeReady. */
  heartbeatDue: boolean
  /** Some peer may be sent an append with the next takeReady. */
  appendsDue: boolean
}

export type RoleState = Follower | PreCandidate | Candidate | Leader
