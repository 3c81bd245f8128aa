import type { Codec } from '../kv/types.js'
import type { ConditionOptions } from './conditions.js'
import type { ConsistencyOptions } from './consistency.js'
import type { DecodedKey, KeyInput } from './keys.js'
import type { SpanOptions } from './spans.js'
import type { ClusterStatus, RangeInfo } from './status.js'

/** For every call. */
export interface CallLimits {
  /** Milliseconds until the call ends one way or the other. Default: that of `connect`, 5,000. */
  readonly deadlineMs?: number | undefined
  /** Gives the call up: CANCELLED, or OUTCOME_UNKNOWN for a write that was sent already. */
  readonly signal?: AbortSignal | undefined
}

/** For reads. Linearizable unless named otherwise. */
export interface ReadOptions extends CallLimits, ConsistencyOptions {}

export interface DeleteOptions extends CallLimits, Omit<ConditionOptions, 'ifAbsent'> {
  /** Of `ifValue`. Default: that of `connect`. */
  readonly codec?: Codec | undefined
  /**
   * A ConditionFailed carries the present value too, not only its version. It may still lack it where the values are larger than 1 MiB
   * together, and where the request had to be sent again: then read the key.
   */
  readonly wantCurrent?: boolean | undefined
}

export interface PutOptions extends CallLimits, ConditionOptions {
  /** How the value (and `ifValue`) becomes bytes; stored beside it. Default: that of `connect`. */
  readonly codec?: Codec | undefined
  /**
   * A ConditionFailed carries the present value too, not only its version. It may still lack it where the values are larger than 1 MiB
   * together, and where the request had to be sent again: then read the key.
   */
  readonly wantCurrent?: boolean | undefined
}

export interface BatchOptions extends CallLimits {
  /** Of all operations that name none. Default: that of `connect`. */
  readonly codec?: Codec | undefined
  /** As of a put. */
  readonly wantCurrent?: boolean | undefined
}

export type BatchOperation =
  | { readonly put: KeyInput; readonly value: unknown; readonly codec?: Codec | undefined }
  | { readonly delete: KeyInput }
  | ({ readonly check: KeyInput; readonly codec?: Codec | undefined } & ConditionOptions)

/** The deadline of a scan is for each page, not for the whole. */
export interface ScanOptions extends SpanOptions, ReadOptions {
  /** From the end to the start; `start` stays the lower key. */
  readonly reverse?: boolean | undefined
  /** At most so many entries. Default: all. */
  readonly limit?: number | undefined
  /** Leaves the values out: `value` is undefined. */
  readonly keysOnly?: boolean | undefined
}

/** A key and what is stored under it. */
export interface Entry<T = unknown> {
  readonly key: DecodedKey
  readonly value: T
  /** Comparable across the whole cluster: what happened later has a higher one. */
  readonly version: number
  readonly codec: Codec
}

/** A connection to a cluster. Any number of calls may be under way; those of one tick travel together. */
export interface Holdfast {
  /**
   * Stores `value` under `key`. Acknowledged means: on disk on a majority of the range's replicas. Applied at most once,
   * however often it is retried inside.
   * @throws ConditionFailed, if a condition does not hold. HoldfastError otherwise: OUTCOME_UNKNOWN is the one code where
   * the write may have been done (`mayHaveBeenApplied`).
   */
  put(key: KeyInput, value: unknown, options?: PutOptions): Promise<{ version: number }>
  /** The value, or undefined where there is none. Linearizable by default: it sees every write acknowledged before the call. */
  get<T = unknown>(key: KeyInput, options?: ReadOptions): Promise<T | undefined>
  /** As `get`, with version and codec. */
  getEntry<T = unknown>(key: KeyInput, options?: ReadOptions): Promise<Entry<T> | undefined>
  /**
   * Values in the order asked. Keys of several ranges are read at one point per range, none before the call began; more than 1,000
   * keys, or more than fits into one message, of one range are read in several parts.
   */
  getMany<T = unknown>(keys: readonly KeyInput[], options?: ReadOptions): Promise<(T | undefined)[]>
  /** Removes the key. `deleted`: there was something. */
  delete(key: KeyInput, options?: DeleteOptions): Promise<{ deleted: boolean; version: number }>
  /**
   * Entries of a half-open span in key order, fetched in pages. The part of one range is read at one version; each range at
   * a point of its own, none before the scan began. (A range split meanwhile counts as two from there on.)
   */
  scan<T = unknown>(options?: ScanOptions): AsyncIterable<Entry<T>>
  /**
   * All of it or nothing, as one command with one version. The keys must lie in one range (CROSSES_RANGES), each is
   * written at most once.
   */
  batch(operations: readonly BatchOperation[], options?: BatchOptions): Promise<{ version: number }>
  /** Cuts the range that holds `key` in two, while it serves; `range` is the new one, which begins with `key`. */
  split(key: KeyInput, options?: CallLimits): Promise<{ range: number }>
  /**
   * Hands the lead of a range on to its voter on node `to`, while it serves, and resolves when that one leads; at once where it does
   * already. Writes of the range wait meanwhile, half a second at most.
   * @throws HoldfastError INVALID_ARGUMENT: no such range, or no voter of it is there. OUTCOME_UNKNOWN: the voter did not take
   * the lead within half a second, and may still; not tried again. UNAVAILABLE: it lags too far behind, or does not answer.
   */
  transfer(what: { readonly range: number; readonly to: number }, options?: CallLimits): Promise<void>
  /** All ranges in key order, as one node knows them: the first is the system's own. */
  ranges(options?: CallLimits): Promise<RangeInfo[]>
  /** Asks every node; those that do not answer are shown as down. */
  status(options?: CallLimits): Promise<ClusterStatus>
  /** Ends all connections. Open calls fail: writes that were sent as OUTCOME_UNKNOWN, all else as CANCELLED. */
  close(): Promise<void>
}
