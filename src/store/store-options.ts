import type { NodeInfo } from '../base/descriptor.js'
import type { BootId, ClusterId } from '../base/ids.js'
import type { Buggify, Clock, Fatal, Logger, Metrics, Random } from '../base/ports.js'
import type { AppliedEntry } from '../kv/types.js'
import type { NodeLog, StateStore, StateVerdict } from '../storage/types.js'
import type { Birth, RaftBounds } from './factory.js'
import type { PeerTransport } from './ports.js'
import type { Replica } from './replica.js'
import type { EntryCodec } from './replica-parts.js'

export interface StoreOptions {
  readonly cluster: ClusterId
  /** This node as others reach it. */
  readonly self: NodeInfo
  readonly boot: BootId
  /** Nodes and ranges the cluster was born with; ranges without a replica here are no concern of this node. */
  readonly birth: Birth
  readonly log: NodeLog
  readonly state: StateStore
  readonly codec: EntryCodec
  readonly transport: PeerTransport
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly fatal: Fatal
  /** Default: nobody watches. */
  readonly metrics?: Metrics
  /** What opening the state store found. Default: whole. */
  readonly stateVerdict?: StateVerdict
  /** A state sync starts when this much was logged since the last one. Default limits.stateSyncEveryBytes. */
  readonly stateSyncEveryBytes?: number
  /** Log kept for slow or dead replicas, over all ranges. Default limits.logKeptForSlowBytes. */
  readonly logKeptForSlowBytes?: number
  /** Versions of a value that were replaced longer ago than this, in milliseconds, may be deleted. Default limits.historyKeptMs. */
  readonly historyKeptMs?: number
  /** A range remembers outcomes for this long, in milliseconds of log time. Default limits.sessionKeptMs. */
  readonly sessionKeptMs?: number
  /** A range that has to remember more outcomes than these lets go of the oldest. Default limits.sessionOutcomesMax. */
  readonly sessionOutcomesMax?: number
  /** Size of a snapshot's pieces. Default limits.snapshotChunkBytes. */
  readonly snapshotChunkBytes?: number
  /** Bounds and times of each range's consensus. Defaults: limits. */
  readonly raft?: Partial<RaftBounds>
  /** Default: never. */
  readonly buggify?: Buggify
  /** Called when a node is first heard of, or its addresses change. */
  onNode?(info: NodeInfo): void
  /** For checkers and tests: sees every entry that a replica of this node applied, in order. */
  onApplied?(replica: Replica, applied: AppliedEntry): void
}
