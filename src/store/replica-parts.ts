import type { LogIndex, RangeId, ReplicaId, Term, Version } from '../base/ids.js'
import type { Buggify } from '../base/ports.js'
import type { RangeMachine } from '../kv/machine.js'
import type { SessionTable } from '../kv/sessions.js'
import type { AppliedEntry, Bookkeeping, Command, SplitEffect, StateRecord } from '../kv/types.js'
import type { Raft } from '../raft/raft.js'
import type { Message } from '../raft/types.js'
import type { Checkpoint, StateChunk, StateStore, Vacated } from '../storage/types.js'
import type { AddressBook } from './address-book.js'
import type { Replica } from './replica.js'

/** What a replica needs from its node. */
export interface ReplicaHost {
  readonly state: StateStore
  readonly codec: EntryCodec
  /** Log batch after which all entries known by now are durable here. */
  logBatch(): number
  /** Ticks that have passed on this node. */
  tick(): number
  /** Log time, as the lowest version a command proposed now may get. */
  now(): Version
  monotonicMs(): number
  wallMs(): number
  readonly buggify: Buggify
  send(replica: Replica, message: Message): void
  /** Gives the replica a place in the next turn. */
  touch(replica: Replica): void
  /** The machine applied an entry: new records, maybe a child. Called in log order. */
  onApplied(replica: Replica, applied: AppliedEntry): void
  onSplit(replica: Replica, effect: SplitEffect, childStorages: Checkpoint['storages']): void
  onLeadership(replica: Replica): void
  /** It applied a change of replicas: its own id may be out. */
  onReplicas(replica: Replica): void
  /** Its core asks for snapshots to be sent. */
  onSnapshotsNeeded(replica: Replica, to: readonly ReplicaId[]): void
}

/** Lives in storage; comes in as a port, because this room knows storage by type only. */
export interface EntryCodec {
  encodeCommands(commands: readonly Command[]): Uint8Array
  decodeCommands(payload: Uint8Array): readonly Command[]
  recordDigest(record: StateRecord): number
  encodeChunk(chunk: StateChunk): Uint8Array
  /** Null: damaged, or not a chunk. */
  decodeChunk(bytes: Uint8Array): StateChunk | null
}

export interface ReplicaParts {
  readonly range: RangeId
  readonly id: ReplicaId
  readonly raft: Raft
  readonly book: AddressBook
  readonly bookkeeping: Bookkeeping
  readonly sessions: SessionTable | null
  /** Empty: the replica has no state, and waits for a snapshot. */
  readonly storages: Checkpoint['storages']
  readonly applied: { readonly index: LogIndex; readonly term: Term }
  readonly truncated: Checkpoint['truncated']
  /** Applied index of the newest checkpoint in our log; null: none is there yet. */
  readonly checkpointed: LogIndex | null
  /** Of that checkpoint. */
  readonly vacated?: Vacated | undefined
  /** About how much log it has above `truncated`. */
  readonly logBytes: number
}

/** A state as of `applied`, staged and durable, that takes the place of what a replica has. */
export interface StagedState {
  readonly machine: RangeMachine
  readonly storages: Checkpoint['storages']
  readonly applied: { readonly index: LogIndex; readonly term: Term }
}
