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
  /** It has no configuration yet: no append can be taken before a snapshot, and the place to go on from is the snapshot's. */
  readonly needsSnapshot: boolean
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
  /** Its state is missing or lost. Its log may be whole: it goes on acknowledging while a snapshot is on its way. */
  readonly needsSnapshot: boolean
}

/** From the leader to the voter that shall lead next, which has the whole log: campaign at once (thesis 3.10). */
export interface TimeoutNow extends Envelope {
  readonly type: 'timeoutNow'
}

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
  | TimeoutNow

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
  /** A leader takes no more commands while this many payload bytes of its term wait to be committed; one entry may exceed it. */
  readonly uncommittedBytesMax: number
}

/** What a replica knows when it is made: from disk, or from the split or birth that made it. */
export interface InitialState {
  readonly hardState: HardState
  /** As of `applied`. Without voters: the replica has no state yet, and waits for a snapshot. It votes only if it is `vouched` for. */
  readonly configuration: Configuration
  /**
   * Default false. Nothing was ever promised under its id but what stands in `hardState`, says the log of its node: it votes before
   * it has a state.
   */
  readonly vouched?: boolean
  /** Entries of kind 'configuration' above `applied`, ascending. They are read through the LogReader: the last is in force. */
  readonly configurationEntries: readonly LogIndex[]
  /** The log starts behind this place; (0, 0) when nothing was truncated. */
  readonly truncated: { readonly index: LogIndex; readonly term: Term }
  readonly lastIndex: LogIndex
  readonly lastTerm: Term
  readonly lastTimestamp: Version
  readonly applied: LogIndex
  /** The node's tick at which it starts. Default 0. Leaders that count alike send their heartbeats in the same ticks, so in one frame. */
  readonly tick?: number
  /**
   * How this replica behaves at first. 'follow': for one election timeout it neither votes nor campaigns unless the leader asks
   * for it, because it may have confirmed that leader's lease before it stopped. 'campaign': at once, without pre-vote (it stands where a split's parent leads).
   * 'yield': for one election timeout it votes for nobody but `to` (PROTOCOL: nobody else may lead a child while the
   * parent's leader may still answer for its keys).
   */
  readonly start:
    | { readonly kind: 'follow' }
    | { readonly kind: 'campaign' }
    | { readonly kind: 'yield'; readonly to: ReplicaId | null }
}

/** State at `index` was staged: what `restore` moves the replica to. `configuration` is the one as of `index`. */
export interface SnapshotPoint {
  readonly index: LogIndex
  readonly term: Term
  readonly timestamp: Version
  readonly configuration: Configuration
}

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader'

/**
 * Effects of everything stepped since the last takeReady. The caller must
 * 1. hand `sendNow` to the network at any time,
 * 2. write `hardState`, the switch to what was `restored`, and then `entries` (which replace everything from entries[0].index on),
 *    in one batch, and fsync,
 * 3. then send `sendAfterPersist`, and call `persisted(...)` with what it wrote.
 * Readies of one replica are persisted in the order taken; several may be in flight.
 */
export interface Ready {
  readonly sendNow: readonly Message[]
  readonly hardState: HardState | null
  /** Set when hardState.term or vote changed: these must be durable; a new commit alone need not be synced. */
  readonly mustSync: boolean
  /**
   * The log begins here now: everything at or below is replaced by the snapshot, entries behind it stay only if they follow it.
   * Comes with `hardState` and `mustSync`, and before `entries`, which all lie above it.
   */
  readonly restored: { readonly index: LogIndex; readonly term: Term } | null
  readonly entries: readonly Entry[]
  readonly sendAfterPersist: readonly Message[]
  /** Reads confirmed: serve once applied >= index. */
  readonly reads: readonly { readonly context: number; readonly index: LogIndex }[]
  /** Reads this replica can no longer confirm (it lost the lead). */
  readonly failedReads: readonly number[]
  /** Stream each of them a snapshot, and call `snapshotSent` whatever becomes of it: until then it is not asked for again. */
  readonly snapshots: readonly ReplicaId[]
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
  /** In force: the last one in the log, committed or not. */
  readonly configuration: Configuration
  readonly isTransferring: boolean
  readonly progress: readonly {
    readonly replica: ReplicaId
    readonly match: LogIndex
    readonly next: LogIndex
    readonly state: 'probe' | 'replicate' | 'snapshot'
    /** Its log ends before what it acknowledged: it counts for nothing in this term. */
    readonly forgotten: boolean
    /** Ticks since it last answered. */
    readonly quietTicks: number
  }[]
}

/** The nondeterminism of one replica. */
export interface RaftPorts {
  readonly random: Random
  /** The timestamp for the next entry of this replica's own: above `above`, the last of its log. */
  nextTimestamp(above: Version): Version
  /** What an entry of kind 'configuration' says. */
  decodeConfiguration(payload: Uint8Array): Configuration
}
