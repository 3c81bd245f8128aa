import type { Descriptor, NodeInfo } from '../base/descriptor.js'
import type { ErrorCode } from '../base/errors.js'
import type { ClusterId, Generation, Key, LogIndex, NodeId, RangeId, ReplicaId, Term, Version } from '../base/ids.js'
import type { Codec, Condition, FailedCondition, Origin, Write } from './types.js'

/** What a client asks one node for. The same types travel inside the SDK, over the wire (transport encodes them) and into the store. */

interface ToRange {
  /** Unique among the requests open on a connection; names the reply. */
  readonly id: number
  readonly range: RangeId
  readonly generation: Generation
  /** Milliseconds left when this was sent. */
  readonly deadlineMs: number
  /** Highest version the client has seen. */
  readonly seen: Version
}

/**
 * A read that asks for less than linearizability, by name. leaderLease: the leader answers without asking a majority while its lease
 * holds. follower: any replica answers once it has applied what the client has seen. stale: any replica answers whose picture is at
 * most `maxStaleMs` of log time old.
 */
export type WeakRead =
  | { readonly kind: 'leaderLease' }
  | { readonly kind: 'follower' }
  | { readonly kind: 'stale'; readonly maxStaleMs: number }

export interface GetRequest extends ToRange {
  readonly kind: 'get'
  readonly keys: readonly Key[]
  /** Absent: linearizable. */
  readonly weak?: WeakRead | undefined
}

/** One page of a span, by version. `at` null: the leader picks the present and the reply names it, for the next page. */
export interface ScanRequest extends ToRange {
  readonly kind: 'scan'
  readonly start: Key
  readonly end: Key | null
  readonly reverse: boolean
  readonly limit: number
  readonly bytesMax: number
  readonly at: Version | null
  /** Leave values out of the rows. */
  readonly keysOnly: boolean
  /** Absent: linearizable. */
  readonly weak?: WeakRead | undefined
}

export interface WriteRequest extends ToRange {
  readonly kind: 'write'
  readonly origin: Origin | null
  readonly conditions: readonly Condition[]
  readonly writes: readonly Write[]
  readonly wantValue: boolean
}

/** The node draws the child's range id itself. */
export interface SplitRequest extends ToRange {
  readonly kind: 'split'
  readonly origin: Origin | null
  readonly at: Key
}

/**
 * Hand the lead on to the voter on node `to`; done where that one leads already. `generation` does not matter: who leads has
 * nothing to do with the span.
 */
export interface TransferRequest extends ToRange {
  readonly kind: 'transfer'
  readonly to: NodeId
}

/** Descriptors of the ranges that cover [from, …), as far as this node knows (a hint: corrected by errors). */
export interface RoutesRequest {
  readonly kind: 'routes'
  readonly id: number
  readonly deadlineMs: number
  readonly from: Key
  readonly limit: number
}

/** What this node knows of itself and its replicas. */
export interface StatusRequest {
  readonly kind: 'status'
  readonly id: number
  readonly deadlineMs: number
}

export type RangeRequest = GetRequest | ScanRequest | WriteRequest | SplitRequest | TransferRequest
export type Request = RangeRequest | RoutesRequest | StatusRequest

export interface Row {
  readonly key: Key
  readonly version: Version
  readonly codec: Codec
  /** Empty for keysOnly. */
  readonly value: Uint8Array
}

export interface Route {
  readonly descriptor: Descriptor
  /** Node believed to lead. */
  readonly leader: NodeId | null
}

export interface ReplicaStatus {
  readonly descriptor: Descriptor
  readonly replica: ReplicaId
  readonly role: 'follower' | 'preCandidate' | 'candidate' | 'leader'
  readonly term: Term
  readonly leader: NodeId | null
  readonly applied: LogIndex
  readonly commit: LogIndex
  readonly lastIndex: LogIndex
  /** False: it was just placed, or lost its state, and waits for a snapshot. What it says of `applied` and `digest` is worth nothing then. */
  readonly hasState: boolean
  /** Digest over all records up to `applied`: equal on all replicas at equal index. */
  readonly digest: number
}

export interface NodeStatus {
  readonly cluster: ClusterId
  readonly node: NodeInfo
  readonly nodes: readonly NodeInfo[]
  readonly replicas: readonly ReplicaStatus[]
  /** Milliseconds since this process began to serve. */
  readonly uptimeMs: number
  readonly overlayBytes: number
  readonly logBytes: number
}

export interface ReplyError {
  readonly code: ErrorCode
  readonly message: string
  readonly retryAfterMs: number | null
  /** With NOT_LEADER and RANGE_MOVED: what this node knows of the ranges concerned. */
  readonly routes: readonly Route[]
  /** With CONDITION_FAILED. */
  readonly failed: readonly FailedCondition[]
}

/** `version`: with every reply, the highest version this read saw or this write was given (0: none). */
export type Reply =
  | {
      readonly id: number
      readonly version: Version
      readonly kind: 'rows' /** per key asked, null: absent */
      readonly rows: readonly (Row | null)[]
    }
  | {
      readonly id: number
      readonly version: Version
      readonly kind: 'page'
      readonly rows: readonly Row[] /** more rows may follow the last one */
      readonly more: boolean
    }
  | { readonly id: number; readonly version: Version; readonly kind: 'written'; readonly deleted: readonly boolean[] }
  | { readonly id: number; readonly version: Version; readonly kind: 'split'; readonly child: RangeId }
  | { readonly id: number; readonly version: Version; readonly kind: 'transferred' }
  | {
      readonly id: number
      readonly version: Version
      readonly kind: 'routes'
      readonly routes: readonly Route[]
      readonly nodes: readonly NodeInfo[]
    }
  | { readonly id: number; readonly version: Version; readonly kind: 'status'; readonly status: NodeStatus }
  | { readonly id: number; readonly version: Version; readonly kind: 'error'; readonly error: ReplyError }

/** Where a node puts replies for one client connection; called at most once per turn with all of them. */
export interface ReplySink {
  replies(replies: readonly Reply[]): void
}

/** First message of a node on a client connection. */
export interface ServerHello {
  readonly cluster: ClusterId
  readonly node: NodeId
  readonly nodes: readonly NodeInfo[]
  /** A version at or above everything acknowledged before the connection began is not promised: it is the node's clock. */
  readonly version: Version
}
