import type { Descriptor, NodeInfo } from '../base/descriptor.js'
import type { BootId, ClusterId, NodeId } from '../base/ids.js'
import type { PeerFrame } from '../store/ports.js'

/** Who this process is to other nodes. */
export interface PeerIdentity {
  readonly cluster: ClusterId
  readonly node: NodeId
  readonly boot: BootId
  readonly info: NodeInfo
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
}

/** What the peer port asks of the node. Everything given to it was checked in size and shape. */
export interface PeerHandler {
  /** null: not in a cluster yet; sessions are refused. */
  identity(): PeerIdentity | null
  /** A frame without messages is a heartbeat: it carries the sender's clock. */
  frame(frame: PeerFrame): void
  /** A node said in its handshake who it is and where. */
  nodeSeen(info: NodeInfo): void
  join(request: JoinRequest): Promise<JoinAnswer>
  birth(document: BirthDocument): Promise<void>
  identify(): NodeIdentification
}
