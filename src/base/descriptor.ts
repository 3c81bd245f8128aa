import type { Generation, Key, NodeId, RangeId, ReplicaId } from './ids.js'

/** Half open; `end` null means to the end of the key space. */
export interface Span {
  readonly start: Key
  readonly end: Key | null
}

/**
 * 'incoming' and 'outgoing' only stand while a joint change is under way (thesis 4.3): the new voters are voter and incoming,
 * the old ones voter and outgoing, and both majorities are needed.
 */
export type ReplicaRole = 'voter' | 'learner' | 'incoming' | 'outgoing'

export interface ReplicaDescriptor {
  readonly replica: ReplicaId
  readonly node: NodeId
  readonly role: ReplicaRole
}

/** A range as it is known: the authority is the range's own replicated copy; all others are caches, told apart by generation and epoch. */
export interface Descriptor {
  readonly range: RangeId
  readonly span: Span
  /** Raised by every change of the span. */
  readonly generation: Generation
  /** Raised by every change of the replicas. */
  readonly epoch: number
  readonly replicas: readonly ReplicaDescriptor[]
  /** The id the next placement gets: ids are never used twice. */
  readonly nextReplica: ReplicaId
}

/** A node as clients and peers reach it. Addresses are host:port. */
export interface NodeInfo {
  readonly node: NodeId
  readonly clientAddress: string
  readonly peerAddress: string
  readonly pid: number
}

/** Whether a change of the voters is under way: old and new ones both decide. */
export function isJoint({ replicas }: Pick<Descriptor, 'replicas'>): boolean {
  return replicas.some(({ role }) => role === 'incoming' || role === 'outgoing')
}
