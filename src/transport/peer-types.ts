import type { Descriptor, NodeInfo } from '../base/descriptor.js'
import type { BootId, ClusterId, NodeId } from '../base/ids.js'
import type { PeerFrame } from '../store/ports.js'

/** What a node has done with its data directory, as far as that directory knows. Never cut. */
export interface BootHistory {
  /** Every start, oldest first; the present one is the last. */
  readonly boots: readonly BootId[]
  /** Of each start: the batch of the log in which it was written down, behind all that was said in the starts before. */
  readonly batches: readonly number[]
  /** A mark for each time it came back without the replicas it had, oldest first. */
  readonly rejoins: readonly BootId[]
}

/** Who this process is to other nodes. */
export interface PeerIdentity {
  readonly cluster: ClusterId
  readonly node: NodeId
  readonly boot: BootId
  readonly info: NodeInfo
  readonly history: BootHistory
}

/** A node without a cluster asks to be taken in. The same token gets the same node id again. */
export interface JoinRequest {
  readonly token: string
  readonly clientAddress: string
  readonly peerAddress: string
  readonly pid: number
}

export type JoinAnswer =
  | { readonly kind: 'joined'; readonly cluster: ClusterId; readonly node: NodeId; readonly nodes: readonly NodeInfo[] }
  | { readonly kind: 'redirect'; readonly peerAddress: string }
  | { readonly kind: 'notInitialised' }

/** What makes a node without a cluster a founding member of one. */
export interface BirthDocument {
  readonly cluster: ClusterId
  readonly nodes: readonly NodeInfo[]
  readonly ranges: readonly Descriptor[]
  /** Which data directory (by its token) becomes which node. */
  readonly tokens: readonly { readonly node: NodeId; readonly token: string }[]
}

/** `cluster` and `node` are null before the node belongs to a cluster. */
export interface NodeIdentification {
  readonly token: string
  readonly cluster: ClusterId | null
  readonly node: NodeId | null
  readonly clientAddress: string
  readonly peerAddress: string
  readonly pid: number
  /** All nodes of the cluster that it knows, itself included; none before it belongs to one. */
  readonly nodes: readonly NodeInfo[]
}

/** What a node says of itself when it opens a session. */
export interface BootClaim {
  readonly info: NodeInfo
  readonly boot: BootId
  readonly history: BootHistory
}

/** What the peer port asks of the node. Everything given to it was checked in size and shape. */
export interface PeerHandler {
  /** null: not in a cluster yet; sessions are refused. */
  identity(): PeerIdentity | null
  /**
   * A node opens a session: resolves once its boot is durably known here, before any of its frames is taken. Rejects with a
   * HoldfastError: NOT_PERMITTED where its history lacks a boot that was seen of it.
   */
  admit(claim: BootClaim): Promise<void>
  /** A frame without messages is a heartbeat: it carries the sender's clock. */
  frame(frame: PeerFrame): void
  /** Of each frame, before it: up to which batch the sender's log was synced when it left. */
  logReaches(reached: { readonly node: NodeId; readonly boot: BootId; readonly batch: number }): void
  /** A node said in its handshake who it is and where. */
  nodeSeen(info: NodeInfo): void
  join(request: JoinRequest): Promise<JoinAnswer>
  birth(document: BirthDocument): Promise<void>
  identify(): NodeIdentification
}
