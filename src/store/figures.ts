import type { NodeInfo } from '../base/descriptor.js'
import type { ClusterId, RangeId } from '../base/ids.js'
import type { NodeStatus } from '../kv/requests.js'
import type { NodeLog, StateStore } from '../storage/types.js'
import type { Replica } from './replica.js'

/** How a node is doing at one moment. */
export interface StoreFigures {
  readonly replicas: number
  readonly leaders: number
  /** Ranges with a replica here whose leader this node does not know. */
  readonly leaderless: readonly RangeId[]
  /** Waiting or on their way through the log. */
  readonly proposals: number
  readonly proposalBytes: number
  /** Waiting to be confirmed or applied. */
  readonly reads: number
  /** Confirmed, and waiting for the disk. */
  readonly coldReads: number
  /** From other nodes, not looked at yet. */
  readonly frames: number
  /** On their way to and from this node. */
  readonly snapshots: { readonly in: number; readonly out: number }
  /** No room for writes. */
  readonly diskFull: boolean
  readonly overlayBytes: number
  readonly logBytes: number
  /** Entries in the log that are not known to be committed. */
  readonly uncommitted: Lag
  /** Committed entries that are not applied. */
  readonly unapplied: Lag
}

export interface Lag {
  readonly sum: number
  readonly max: number
}

export function figuresOf(parts: {
  readonly replicas: Iterable<Replica>
  readonly coldReads: number
  readonly frames: number
  readonly snapshots: StoreFigures['snapshots']
  readonly state: Pick<StateStore, 'overlayBytes' | 'isFull'>
  readonly log: Pick<NodeLog, 'diskBytes' | 'isFull'>
}): StoreFigures {
  const all = [...parts.replicas]
  const sum = (value: (replica: Replica) => number): number => all.reduce((total, each) => total + value(each), 0)
  const lag = (value: (replica: Replica) => number): Lag => ({
    sum: sum(value),
    max: all.reduce((most, each) => Math.max(most, value(each)), 0),
  })
  return {
    replicas: all.length,
    leaders: sum(({ leads }) => (leads ? 1 : 0)),
    leaderless: all.filter(({ raft }) => raft.leader === null).map(({ range }) => range),
    proposals: sum(({ proposals }) => proposals.count),
    proposalBytes: sum(({ proposals }) => proposals.bytes),
    reads: sum(({ reads }) => reads.waiting),
    coldReads: parts.coldReads,
    frames: parts.frames,
    snapshots: parts.snapshots,
    diskFull: parts.state.isFull || parts.log.isFull,
    overlayBytes: parts.state.overlayBytes,
    logBytes: parts.log.diskBytes,
    uncommitted: lag(({ raft }) => raft.lastIndex - raft.commit),
    unapplied: lag(({ raft, applied }) => raft.commit - applied),
  }
}

/** What a status page shows of a node. */
export function statusOf(parts: {
  readonly cluster: ClusterId
  readonly self: NodeInfo
  readonly nodes: NodeInfo[]
  readonly replicas: Iterable<Replica>
  readonly uptimeMs: number
  readonly state: Pick<StateStore, 'overlayBytes'>
  readonly log: Pick<NodeLog, 'diskBytes'>
}): NodeStatus {
  const { cluster, self: node, nodes, replicas, uptimeMs, state, log } = parts
  return {
    cluster,
    node,
    nodes,
    replicas: [...replicas].map((replica) => replica.status()),
    uptimeMs,
    overlayBytes: state.overlayBytes,
    logBytes: log.diskBytes,
  }
}
