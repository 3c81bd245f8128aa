import type { BootId, LogIndex, RangeId, ReplicaId, Term, Version } from '../base/ids.js'
import type { Random } from '../base/ports.js'

/** What an entry carries. An unknown kind stops the replica: it is never skipped. */
export type EntryKind = 'noop' | 'commands' | 'configuration'

/** One log entry. Immutable: it is shared between the log, the network and apply. `payload` owns its memory. */
export interface Entry {
  readonly index: LogIndex
  readonly term: Term
  /** Highest version in the entry; strictly increasing along a range's log. */
  readonly timestamp: Version
  readonly kind: EntryKind
  readonly payload: Uint8Array
}

/** What must be on disk before this replica speaks of it (thesis figure 3.1). `commit` is a hint, not a promise. */
export interface HardState {
  readonly term: Term
  readonly vote: ReplicaId | null
  readonly commit: LogIndex
}

/** Who votes. `outgoing` is the old voter set while a joint change is under way (thesis 4.3), else empty. */
export interface Configuration {
  readonly voters: readonly ReplicaId[]
  readonly outgoing: readonly ReplicaId[]
  readonly learners: readonly ReplicaId[]
}

interface Envelope {
  readonly range: RangeId
  readonly from: ReplicaId
  readonly to: ReplicaId
  /** Boot of the sending node: state learned from one boot says nothing about the next. */
  readonly boot: BootId
  readonly term: Term
}

/** Asked before a real election, without raising anybody's term (thesis 9.6). `term` is the one the sender would campaign in. */
export interface PreVote extends Envelope {
  readonly type: 'preVote'
  readonly lastIndex: LogIndex
  readonly lastTerm: Term
}

export interface PreVoteReply extends Envelope {
  readonly type: 'preVoteReply'
  readonly granted: boolean
}

export interface Vote extends Envelope {
  readonly type: 'vote'
  readonly lastIndex: LogIndex
  readonly lastTerm: Term
  /** True when the leader asked for it, or a split's child starts where its parent's leader is: leader stickiness does not refuse it. */
  readonly transfer: boolean
}

export interface VoteReply extends Envelope {
  readonly type: 'voteReply'
  readonly granted: boolean
}

export interface Append extends Envelope {
  readonly type: 'append'
  readonly previousIndex: LogIndex
  readonly previousTerm: Term
  readonly entries: readonly Entry[]
  readonly commit: LogIndex
  /** Lowest index that every replica has on disk: nobody needs the log at or below it. */
  readonly allPersisted: LogIndex
}

/** Sent after the fsync of what it acknowledges. */
export interface AppendAccepted extends Envelope {
  readonly type: 'appendAccepted'
  readonly matchIndex: LogIndex
}

/** `hintIndex`, `hintTerm`: the follower's last entry whose term is at most the refused one's, so that a whole term is skipped per round. */
export interface AppendRejected extends Envelope {
  readonly type: 'appendRejected'
  readonly rejectedIndex: LogIndex
  readonly hintIndex: LogIndex
  readonly hintTerm: Term
}

/** `round` numbers the leader's broadcasts in this term, from 1. A reply confirms every round up to it; 0 confirms none. */
export interface Heartbeat extends Envelope {
  readonly type: 'heartbeat'
  readonly commit: LogIndex
  readonly allPersisted: LogIndex
  readonly round: number
}

export interface HeartbeatReply extends Envelope {
  readonly type: 'heartbeatReply'
  readonly round: number
  /** So that a leader notices a follower that lost entries or missed appends. */
  readonly lastIndex: LogIndex
}

/** Later: 'installSnapshot', 'snapshotReply', 'timeoutNow'. */
export type Message =
  | PreVote
  | PreVoteReply
  | Vote
  | VoteReply
  | Append
  | AppendAccepted
  | AppendRejected
  | Heartbeat
  | HeartbeatReply

/** The part of the log that has left the core's memory. Synchronous: bounded reads of our own log, mostly from the page cache. */
export interface LogReader {
  /** Entries from..to (inclusive), at least one, cut off after `bytesMax` of payload. */
  entries(bounds: { from: LogIndex; to: LogIndex; bytesMax: number }): readonly Entry[]
  /** Term of an entry at or above the truncation point. */
  term(index: LogIndex): Term
}

export interface RaftConfig {
  readonly range: RangeId
  readonly replica: ReplicaId
  readonly boot: BootId
  readonly heartbeatTicks: number
  /** An election timeout is drawn uniformly from [min, max) for every wait. */
  readonly electionTicksMin: number
  readonly electionTicksMax: number
  readonly appendMessagesInFlightMax: number
  readonly appendBytesInFlightMax: number
  /** Payload bytes in one append message (a single larger entry travels alone). */
  readonly appendBytesMax: number
  /** Persisted, applied entries kept in memory for followers, in payload bytes; older ones are read through LogReader. */
  readonly tailBytesMax: number
}

/** What a replica knows when it is made: from disk, or from the split or birth that made it. */
export interface InitialState {
  readonly hardState: HardState
  readonly configuration: Configuration
  /** The log starts behind this place; (0, 0) when nothing was truncated. */
  readonly truncated: { readonly index: LogIndex; readonly term: Term }
  readonly lastIndex: LogIndex
  readonly lastTerm: Term
  readonly lastTimestamp: Version
  readonly applied: LogIndex
  /**
   * How this replica behaves at first. 'campaign': at once, without pre-vote (it stands where a split's parent leads).
   * 'yield': for one election timeout it votes for nobody but `to` (PROTOCOL: nobody else may lead a child while the
   * parent's leader may still answer for its keys).
   */
  readonly start:
    | { readonly kind: 'follow' }
    | { readonly kind: 'campaign' }
    | { readonly kind: 'yield'; readonly to: ReplicaId | null }
}

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader'

/**
 * Effects of everything stepped since the last takeReady. The caller must
 * 1. hand `sendNow` to the network at any time,
 * 2. write `hardState` and `entries` (which replace everything from entries[0].index on) and fsync,
 * 3. then send `sendAfterPersist`, and call `persisted(...)` with what it wrote.
 * Readies of one replica are persisted in the order taken; several may be in flight.
 */
export interface Ready {
  readonly sendNow: readonly Message[]
  readonly hardState: HardState | null
  /** Set when hardState.term or vote changed: these must be durable; a new commit alone need not be synced. */
  readonly mustSync: boolean
  readonly entries: readonly Entry[]
  readonly sendAfterPersist: readonly Message[]
  /** Reads confirmed: serve once applied >= index. */
  readonly reads: readonly { readonly context: number; readonly index: LogIndex }[]
  /** Reads this replica can no longer confirm (it lost the lead). */
  readonly failedReads: readonly number[]
  /** Set when role, leader or term changed. */
  readonly leadership: Leadership | null
}

export interface Leadership {
  readonly role: Role
  readonly term: Term
  readonly leader: ReplicaId | null
}

/** For status pages and checkers. */
export interface RaftStatus extends Leadership {
  readonly commit: LogIndex
  readonly lastIndex: LogIndex
  readonly persisted: LogIndex
  readonly allPersisted: LogIndex
  readonly progress: readonly {
    readonly replica: ReplicaId
    readonly match: LogIndex
    readonly next: LogIndex
    readonly state:
      | 'probe'
      | 'replicate' /** Its log ends before what it acknowledged: it counts for nothing in this term. */
    readonly forgotten: boolean
  }[]
}

/** The nondeterminism of one replica. */
export interface RaftPorts {
  readonly random: Random
  /** The timestamp for the next entry of this replica's own: above `above`, the last of its log. */
  nextTimestamp(above: Version): Version
}
