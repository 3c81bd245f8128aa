import type { NodeId, RangeId, Version } from '../base/ids.js'
import type { NodeStatus, WeakRead } from '../kv/requests.js'
import type { Codec } from '../kv/types.js'

/** The unary services in plain terms: what a node does for callers that do not use the SDK's stream. */

export type Namespace = 'raw' | 'tuple'

export interface UnaryCall {
  /** Milliseconds left; limits.defaultDeadlineMs where the caller set none. */
  readonly deadlineMs: number
  /** Aborted when the caller went away. */
  readonly signal: AbortSignal
}

/** Keys are the user's, without the keyspace; never empty. */
export interface UnaryKey {
  readonly namespace: Namespace
  readonly key: Uint8Array
}

export interface UnaryGet extends UnaryKey {
  /** Absent: linearizable. */
  readonly weak?: WeakRead | undefined
}

export interface UnaryGetMany {
  readonly namespace: Namespace
  readonly keys: readonly Uint8Array[]
  /** Absent: linearizable. */
  readonly weak?: WeakRead | undefined
}

export interface UnaryEntry {
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly codec: Codec
  readonly version: Version
}

export type UnaryCondition =
  | { readonly kind: 'version'; readonly version: Version }
  | { readonly kind: 'absent' }
  | { readonly kind: 'value'; readonly value: Uint8Array; readonly codec: Codec }

export type UnaryOperation =
  | { readonly kind: 'put'; readonly key: Uint8Array; readonly value: Uint8Array; readonly codec: Codec }
  | { readonly kind: 'delete'; readonly key: Uint8Array }
  | { readonly kind: 'check'; readonly key: Uint8Array; readonly condition: UnaryCondition }

export interface UnaryPut extends UnaryKey {
  readonly value: Uint8Array
  readonly codec: Codec
  /** null: put whatever is there. */
  readonly condition: UnaryCondition | null
}

export interface UnaryDelete extends UnaryKey {
  readonly condition: UnaryCondition | null
}

export interface UnaryScan {
  readonly namespace: Namespace
  /** Empty: from the namespace's first key. */
  readonly start: Uint8Array
  /** null: to the namespace's end. */
  readonly end: Uint8Array | null
  readonly reverse: boolean
  /** 1 to limits.scanRowsMax. */
  readonly limit: number
  readonly keysOnly: boolean
  /** Absent: linearizable. */
  readonly weak?: WeakRead | undefined
}

export interface UnaryTransfer {
  readonly range: RangeId
  /** The node that is to lead. */
  readonly to: NodeId
}

/** One method per call. A rejection with a HoldfastError reaches the caller by its code, any other as INTERNAL. */
export interface UnaryHandler {
  get(request: UnaryGet, call: UnaryCall): Promise<UnaryEntry | null>
  /** One item per key, in order. */
  getMany(request: UnaryGetMany, call: UnaryCall): Promise<readonly (UnaryEntry | null)[]>
  put(request: UnaryPut, call: UnaryCall): Promise<{ readonly version: Version }>
  delete(request: UnaryDelete, call: UnaryCall): Promise<{ readonly version: Version; readonly deleted: boolean }>
  batch(
    request: { readonly namespace: Namespace; readonly operations: readonly UnaryOperation[] },
    call: UnaryCall,
  ): Promise<{ readonly version: Version }>
  /** One page. `next`: where the next one starts (reversed: ends), null: this was the last. */
  scan(
    request: UnaryScan,
    call: UnaryCall,
  ): Promise<{ readonly entries: readonly UnaryEntry[]; readonly next: Uint8Array | null }>
  split(request: UnaryKey, call: UnaryCall): Promise<{ readonly range: RangeId }>
  transfer(request: UnaryTransfer, call: UnaryCall): Promise<void>
  status(call: UnaryCall): Promise<NodeStatus>
}
