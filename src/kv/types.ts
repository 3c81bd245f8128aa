import type { Descriptor, NodeInfo, ReplicaDescriptor } from '../base/descriptor.js'
import type { Generation, Key, LogIndex, RangeId, ReplicaId, SessionId, Term, Version } from '../base/ids.js'
import type { SessionTable } from './sessions.js'

/** How a value's bytes are to be read; stored beside it. */
export type Codec = 'bytes' | 'utf8' | 'json' | 'msgpack'
export const codecs: readonly Codec[] = ['bytes', 'utf8', 'json', 'msgpack']

/** Who asked for a command, so that it is applied at most once. Null origin: not remembered. */
export interface Origin {
  readonly session: SessionId
  /** From 1, unique within the session. */
  readonly sequence: number
  /** Highest version the client had seen when it first sent this request. */
  readonly firstSent: Version
  /** Lowest sequence the client still waits for: outcomes below it are let go. */
  readonly lowest: number
}

export type Condition =
  | { readonly kind: 'version'; readonly key: Key; readonly version: Version }
  | { readonly kind: 'absent'; readonly key: Key }
  | { readonly kind: 'value'; readonly key: Key; readonly codec: Codec; readonly value: Uint8Array }

export type Write =
  | { readonly kind: 'put'; readonly key: Key; readonly codec: Codec; readonly value: Uint8Array }
  | { readonly kind: 'delete'; readonly key: Key }

/** Puts, deletes, conditional ones and batches are all this: every condition holds, or nothing is written. */
export interface WriteCommand {
  readonly kind: 'write'
  readonly version: Version
  readonly origin: Origin | null
  readonly generation: Generation
  readonly conditions: readonly Condition[]
  readonly writes: readonly Write[]
  /** A failed condition's outcome carries the current value too, not only its version. */
  readonly wantValue: boolean
}

/** Cuts the range at `at`: the child gets [at, end). Applied on every replica at the same index; moves no data. */
export interface SplitCommand {
  readonly kind: 'split'
  readonly version: Version
  readonly origin: Origin | null
  readonly generation: Generation
  readonly at: Key
  readonly child: RangeId
}

/** Lets go of session outcomes older than `floor`. */
export interface SessionFloorCommand {
  readonly kind: 'sessionFloor'
  readonly version: Version
  readonly floor: Version
}

/** Meta range only: index descriptors (each only if its generation, then epoch, is higher than the stored one) and nodes. */
export interface PublishCommand {
  readonly kind: 'publish'
  readonly version: Version
  readonly descriptors: readonly Descriptor[]
  readonly nodes: readonly NodeInfo[]
}

/** Meta range only: hands out `count` ids of a counter, never twice. */
export interface AllocateCommand {
  readonly kind: 'allocate'
  readonly version: Version
  readonly counter: 'range' | 'node'
  readonly count: number
  /** A joining node's own token: the same token gets the same node id again. Null for plain allocation. */
  readonly token: string | null
}

/**
 * The range's replicas from here on. The only command of its entry, which is of kind 'configuration': raft goes by it as soon as
 * it is in the log (thesis 4.1), the descriptor once it is applied. Only applies on top of the epoch it was made for.
 */
export interface ReplicasCommand {
  readonly kind: 'replicas'
  readonly version: Version
  /** The descriptor's epoch and one. */
  readonly epoch: number
  readonly replicas: readonly ReplicaDescriptor[]
  /** Above every replica id ever given in this range. */
  readonly nextReplica: ReplicaId
}

/** From here on reads below `floor` are refused, and what only they could see may be deleted. */
export interface CollectionFloorCommand {
  readonly kind: 'collectionFloor'
  readonly version: Version
  readonly floor: Version
}

/** Asks every replica what it has written so far: all answer for the same index (AppliedEntry.digest). */
export interface DigestCommand {
  readonly kind: 'digest'
  readonly version: Version
}

export type Command =
  | WriteCommand
  | SplitCommand
  | SessionFloorCommand
  | PublishCommand
  | AllocateCommand
  | ReplicasCommand
  | CollectionFloorCommand
  | DigestCommand

/** The newest record of a key as a reader sees it. A tombstone is `value: null`. */
export interface Stored {
  readonly version: Version
  readonly value: Uint8Array | null
  readonly codec: Codec
}

/** A condition that did not hold, with what is there instead (version 0: nothing is). */
export interface FailedCondition {
  readonly key: Key
  readonly version: Version
  /** Only when asked for and present, where the bounds on answers have room for it; never in what is remembered. */
  readonly value: Uint8Array | null
  readonly codec: Codec
}

/** What a command did. Remembered per (session, sequence) unless it is a refusal. */
export type Outcome =
  | {
      readonly kind: 'written'
      readonly version: Version /** per delete, in order: was there something */
      readonly deleted: readonly boolean[]
    }
  | { readonly kind: 'conditionFailed'; readonly version: Version; readonly failed: readonly FailedCondition[] }
  | { readonly kind: 'split'; readonly version: Version; readonly child: RangeId }
  | { readonly kind: 'done'; readonly version: Version }
  | { readonly kind: 'allocated'; readonly version: Version; readonly first: number }
  /** Not remembered: the range no longer has this generation, or the keys. */
  | { readonly kind: 'rangeMoved' }
  /** Not remembered: the range has let go of this session's past. */
  | { readonly kind: 'sessionExpired'; readonly version: Version }
  /** Not remembered: nothing was done, but the same may be done once what is in its way is over. */
  | { readonly kind: 'notNow'; readonly reason: string }
  /** Not remembered: the command cannot be executed by this range (split key outside, meta command elsewhere). */
  | { readonly kind: 'invalid'; readonly reason: string }

/** One write-once state record: (key, version) is never written with two different contents. */
export interface StateRecord {
  readonly key: Key
  readonly version: Version
  readonly codec: Codec
  /** null: a tombstone. */
  readonly value: Uint8Array | null
}

/** One per applied entry that has any content, keyed by (range, entry timestamp). The durable session table and the source of feeds. */
export interface JournalRecord {
  readonly timestamp: Version
  readonly outcomes: readonly { readonly origin: Origin; readonly outcome: Outcome }[]
  readonly changes: readonly { readonly key: Key; readonly version: Version }[]
}

/** A piece of journal history: entries of `range` with from < timestamp <= to. */
export interface LineagePiece {
  readonly range: RangeId
  readonly to: Version
}

/** Where a split stands in the range's log. */
export interface SplitPlace {
  readonly index: LogIndex
  readonly term: Term
}

/**
 * A range's small replicated bookkeeping. Lives in memory, our log keeps it as of D (storage), never in LevelDB:
 * there it could be ahead of a hole, and replay would refuse what was acknowledged.
 */
export interface Bookkeeping {
  readonly descriptor: Descriptor
  /** Timestamp of the last applied entry. */
  readonly clock: Version
  readonly sessionFloor: Version
  /** Every version at or above it can be read; below it records that were replaced since may be gone. 0: nothing was collected. */
  readonly collectionFloor: Version
  /** Gate for changes of what apply means; 1 now. */
  readonly rangeVersion: number
  readonly lineage: readonly LineagePiece[]
  /** Of this range's own log, the latest SPLITS_REMEMBERED: whoever has one in its log knows that it is committed (decision 0014). */
  readonly splits: readonly SplitPlace[]
  /** Sum over all records ever written, for divergence (PROTOCOL: nothing subtracted, copied at split). Below 2^48. */
  readonly digest: number
}

/** Made by a split: the child's bookkeeping, and a session table of its own that remembers what the parent's does. */
export interface SplitEffect {
  readonly bookkeeping: Bookkeeping
  readonly childSessions: SessionTable
}

export interface AppliedEntry {
  readonly records: readonly StateRecord[]
  readonly journal: JournalRecord | null
  /** One per command, in order. */
  readonly outcomes: readonly Outcome[]
  readonly split: SplitEffect | null
  /** The descriptor as changed by a `replicas` command of this entry. */
  readonly replicas: Descriptor | null
  /** Bookkeeping.digest as of this entry, if a command of it asked. */
  readonly digest: number | null
}

/** What apply may read: by entry order, only keys that `needs` named. */
export interface Reader {
  latest(key: Key): Stored | null
}
