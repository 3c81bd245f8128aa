import type { Descriptor, NodeInfo } from '../base/descriptor.js'
import type { BootId, NodeId } from '../base/ids.js'
import type { Message } from '../raft/types.js'

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

export type PeerMessage = Message | ReportMessage | AllocateMessage | AllocatedMessage

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
