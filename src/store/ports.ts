import type { Descriptor, NodeInfo } from '../base/descriptor.js'
import type { BootId, LogIndex, NodeId, RangeId, ReplicaId, Term, Version } from '../base/ids.js'
import type { Bookkeeping } from '../kv/types.js'
import type { Entry, Message } from '../raft/types.js'

/** Sent by a node that leads a range (or just started) to the node that leads the meta range; repeated until indexed. */
export interface ReportMessage {
  readonly type: 'report'
  readonly descriptors: readonly Descriptor[]
  readonly nodes: readonly NodeInfo[]
}

/** Asks the meta range's leader for fresh range ids. `request` names the answer. */
export interface AllocateMessage {
  readonly type: 'allocate'
  readonly request: number
  readonly count: number
}

/** `first` null: not the leader, or not possible now. */
export interface AllocatedMessage {
  readonly type: 'allocated'
  readonly request: number
  readonly first: number | null
}

// ---- between replicas, beside raft: every one names the range, the sender's and the receiver's replica ----

interface BetweenReplicas {
  readonly range: RangeId
  readonly from: ReplicaId
  readonly to: ReplicaId
}

/** A follower that is to serve a read at `version` asks the leader for an entry at or above it. */
export interface AdvanceMessage extends BetweenReplicas {
  readonly type: 'advance'
  readonly version: Version
}

/** Asks for a committed entry whose payload is damaged in the sender's log. */
export interface FetchEntryMessage extends BetweenReplicas {
  readonly type: 'fetchEntry'
  readonly index: LogIndex
  readonly term: Term
}

/** `entry` null: it is not in this log any more, or is damaged here as well. */
export interface FetchedEntryMessage extends BetweenReplicas {
  readonly type: 'fetchedEntry'
  readonly index: LogIndex
  readonly entry: Entry | null
}

/** A replica's answer to a `digest` command: its digest as of that entry. */
export interface DigestMessage extends BetweenReplicas {
  readonly type: 'digest'
  readonly index: LogIndex
  readonly digest: number
}

/** The range's state as of `index` is to be had under `id` (unique within the sender's boot). */
export interface SnapshotOfferMessage extends BetweenReplicas {
  readonly type: 'snapshotOffer'
  /** The sender's term, in which it leads. */
  readonly term: Term
  readonly id: number
  readonly index: LogIndex
  readonly entryTerm: Term
  readonly timestamp: Version
  /** As of `index`. */
  readonly bookkeeping: Bookkeeping
}

/** From the receiver, for one chunk. Sequences count from 1. Asking again for the last one brings it again. */
export interface SnapshotPullMessage extends BetweenReplicas {
  readonly type: 'snapshotPull'
  readonly id: number
  readonly sequence: number
}

export interface SnapshotChunkMessage extends BetweenReplicas {
  readonly type: 'snapshotChunk'
  readonly id: number
  readonly sequence: number
  readonly last: boolean
  /** As storage encodes it (codec/chunk), with a checksum of its own. At most limits.frameBytesMax. */
  readonly bytes: Uint8Array
}

/** From either end: the snapshot ends here, for this reason. */
export interface SnapshotRefusedMessage extends BetweenReplicas {
  readonly type: 'snapshotRefused'
  readonly id: number
  readonly reason: string
}

// ---- about a replica, between nodes ----

interface AboutReplica {
  readonly range: RangeId
  readonly replica: ReplicaId
}

/** This node has no such replica, and no word that it is out. */
export interface AbsentMessage extends AboutReplica {
  readonly type: 'absent'
}

/** The replica is out of its range for ever: an applied descriptor whose `nextReplica` is higher does not name it. */
export interface RemovedMessage extends AboutReplica {
  readonly type: 'removed'
}

/**
 * From the leader to a node that said `absent`. Without a nonce it asks whether the node would take a replica of the range; with
 * the nonce of the node's own `vacant`, `replica` is the learner it is to make, empty.
 */
export interface PlaceMessage {
  readonly type: 'place'
  readonly replica: ReplicaId
  readonly descriptor: Descriptor
  readonly nonce: number | null
}

/** The node holds nothing of the range's span and would take another replica. The nonce is of this boot of it. */
export interface VacantMessage extends AboutReplica {
  readonly type: 'vacant'
  readonly nonce: number
}

export type SnapshotMessage = SnapshotOfferMessage | SnapshotPullMessage | SnapshotChunkMessage | SnapshotRefusedMessage

export type ReplicaMessage = AdvanceMessage | FetchEntryMessage | FetchedEntryMessage | DigestMessage | SnapshotMessage

export type PlacementMessage = AbsentMessage | RemovedMessage | PlaceMessage | VacantMessage

export type PeerMessage =
  | Message
  | ReportMessage
  | AllocateMessage
  | AllocatedMessage
  | ReplicaMessage
  | PlacementMessage

/** What arrives from another node. Every message of a frame comes from one boot of one node. */
export interface PeerFrame {
  readonly from: NodeId
  readonly boot: BootId
  /** The sender's wall clock when it sent. */
  readonly wallMs: number
  readonly messages: readonly PeerMessage[]
}

/** Unreliable, unordered between messages, bounded: what does not fit is dropped. Called at most once per peer and turn. */
export interface PeerTransport {
  send(to: NodeId, messages: readonly PeerMessage[]): void
}
