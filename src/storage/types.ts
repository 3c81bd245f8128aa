import type { Span } from '../base/descriptor.js'
import type { Generation, Key, LogIndex, RangeId, ReplicaId, StorageId, Term, Version } from '../base/ids.js'
import type { Row } from '../kv/requests.js'
import type { Bookkeeping, JournalRecord, StateRecord, Stored } from '../kv/types.js'
import type { Entry, HardState, LogReader } from '../raft/types.js'

// ---- what the room stands on: real ones in files-node.ts and leveldb.ts, simulated ones in src/testing ----

/** One open file of the log. Writes to a handle never overlap: one writeAndSync at a time. */
export interface LogFile {
  readonly size: number
  /** Writes in place and makes it durable (fdatasync). Off the event loop, on a thread of its own. */
  writeAndSync(write: { bytes: Uint8Array; at: number }, done: (error: Error | null) => void): void
  readSync(range: { at: number; length: number }): Uint8Array
  close(): Promise<void>
}

/** The data directory. Paths are relative to it, with '/'. */
export interface Files {
  list(directory: string): Promise<string[]>
  makeDirectory(directory: string): Promise<void>
  /** Zero-filled to `size`, file and directory synced, before it resolves. Off the log's sync thread. */
  createLogFile(path: string, size: number): Promise<LogFile>
  openLogFile(path: string): Promise<LogFile>
  /** null: no such file. For small files. */
  read(path: string): Promise<Uint8Array | null>
  /** Atomically: temporary file, fsync, rename, fsync of the directory. */
  replace(path: string, bytes: Uint8Array): Promise<void>
  remove(path: string): Promise<void>
  syncDirectory(directory: string): Promise<void>
}

export interface DbPut {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/**
 * An ordered store of write-once records: LevelDB's traps included (an unsynced batch may be lost, or a later one kept without it).
 * Keys from FF FF FF FF on are its own.
 */
export interface StateDb {
  batch(puts: readonly DbPut[], done: (error: Error | null) => void): void
  /** Only while no seek or range is open, and none may be begun before `done`: else LevelDB may lose other keys for good. */
  remove(keys: readonly Uint8Array[], done: (error: Error | null) => void): void
  /** Per seek: the first record with gte <= key < lt, or null. */
  seek(
    seeks: readonly { gte: Uint8Array; lt: Uint8Array }[],
    done: (error: Error | null, found: readonly (DbPut | null)[]) => void,
  ): void
  /** Up to `limit` records of [gte, lt), in order or reversed. */
  range(
    bounds: { gte: Uint8Array; lt: Uint8Array; reverse: boolean; limit: number; bytesMax: number },
    done: (error: Error | null, rows: readonly DbPut[]) => void,
  ): void
  /**
   * After this, everything whose batch was done before the call is durable (all log files, not only the newest).
   * `marker` names the sync: higher than all before, and found by the next opening.
   */
  sync(done: (error: Error | null, marker: number) => void): void
  /** Of the last sync that is known to have been done; 0: none. */
  readonly marker: number
  /** A delete now would wait for compactions, and reads would wait for it. */
  readonly isBusy: boolean
  /**
   * After a failed batch or sync: closes, checks as at open that nothing done is missing, and opens again. An error for which
   * `isDiskFull` holds: there is no room for it yet; it is open as before, for reads. Where the
   * room goes again when it is closed already, `done` waits until there is some.
   */
  reopen(done: (error: Error | null) => void): void
  /** Called for damage that is found in its files while it is open. Also without a read: by the scrub. */
  onDamage: (damage: StateDamage) => void
  /** Keeps the damage on record, durably before `done`: the next opening says it again, whatever compactions have made of it. */
  markDamaged(damage: StateDamage, done: (error: Error | null) => void): void
  /** Nothing of this storage id is left that was damaged, or of this range's journal nothing that a state kept here needs. */
  healed(what: { storage: StorageId } | { journal: RangeId }): void
  readonly scrub: ScrubStatus
  close(): Promise<void>
}

/** How far the walk over the files of the state database has come. */
export interface ScrubStatus {
  /** Table files that are there. */
  readonly tables: number
  /** Of them those that were not walked since they appeared. */
  readonly unwalked: number
  /** Damaged tables found since open. */
  readonly damagedTables: number
}

/** What damaged bytes may have held, or hidden. */
export interface StateDamage {
  readonly what: string
  readonly storages: readonly StorageId[] | 'all'
  /** The ranges whose journal records it concerns. */
  readonly journals: readonly RangeId[] | 'all'
}

/**
 * What an opening found. 'lost': what a sync had made durable is not there or cannot be read; the database is new and empty.
 * 'damaged': open, and what `damage` names must be had from a peer.
 */
export type StateVerdict =
  | { readonly kind: 'whole' }
  | { readonly kind: 'damaged'; readonly damage: StateDamage }
  | { readonly kind: 'lost'; readonly what: string }

export interface OpenedStateDb {
  readonly db: StateDb
  readonly verdict: StateVerdict
}

// ---- our log ----

/** Keys, and the generation under which a replica held them. */
export interface Vacated {
  readonly span: Span
  readonly generation: Generation
}

/** The state of a range as of D, the index up to which its state is durable in the state store. Replay starts behind it. */
export interface Checkpoint {
  readonly replica: ReplicaId
  readonly applied: { readonly index: LogIndex; readonly term: Term }
  readonly bookkeeping: Bookkeeping
  /** Where the state of which span lies. */
  readonly storages: readonly { readonly span: Span; readonly storage: StorageId }[]
  /**
   * The log at or below it is no longer needed by anybody. At most `applied`. Where the log does not hold this very entry (a
   * snapshot was installed), it holds nothing behind it either.
   */
  readonly truncated: { readonly index: LogIndex; readonly term: Term }
  /** What the replica held, as a member of its range, when a snapshot first took it past a split. Absent: none has. */
  readonly vacated?: Vacated
}

/** What the log knows of the node itself. The latest one wins. */
export interface NodeRecord {
  /** The next unused storage id. Durable before the first key under a new id is written. */
  readonly nextStorage: StorageId
  /** Token of the data directory that the log belongs to; empty until it was told. */
  readonly disk: string
  /** Counter of the node's newest start that the log has seen. */
  readonly boot: number
  /** Number of the newest durable sync of the state store. */
  readonly stateMarker: number
}

export type LogItem =
  /** Replaces all of the range's log from entries[0].index on. */
  | { readonly kind: 'entries'; readonly range: RangeId; readonly entries: readonly Entry[] }
  | { readonly kind: 'hardState'; readonly range: RangeId; readonly hardState: HardState }
  | { readonly kind: 'checkpoint'; readonly range: RangeId; readonly checkpoint: Checkpoint }
  /**
   * The range's replica is gone: drops its hard state, entries and checkpoint, and remembers for ever the lowest replica id that may
   * follow. A later checkpoint, of a replica not below it, starts the range anew.
   */
  | { readonly kind: 'tombstone'; readonly range: RangeId; readonly lowest: ReplicaId }
  /** The bytes of one damaged entry, of the same index and term; the entries behind it stay. */
  | { readonly kind: 'repair'; readonly range: RangeId; readonly entry: Entry }
  | ({ readonly kind: 'node' } & NodeRecord)

export interface RecoveredRange {
  readonly hardState: HardState
  /** null: the range's log is known, its state not yet (a split whose parent has to be replayed first). */
  readonly checkpoint: Checkpoint | null
  readonly lastIndex: LogIndex
  readonly lastTerm: Term
  readonly lastTimestamp: Version
  /** Entries of kind 'configuration' behind the truncation point, ascending. */
  readonly configurations: readonly LogIndex[]
  /** Entries whose index and term are known and whose payload is damaged, ascending. A `repair` brings one back. */
  readonly damaged: readonly LogIndex[]
  /**
   * The range's latest checkpoint is damaged (`checkpoint` is null then), or entries are missing: this replica may have forgotten
   * what it acknowledged and never speaks under its id again. It stays so until a tombstone or a new checkpoint of the range.
   */
  readonly forgot: boolean
}

/** The node's log: one append and one fsync for all ranges. */
export interface NodeLog {
  readonly recovered: ReadonlyMap<RangeId, RecoveredRange>
  /** Of removed replicas: the lowest replica id allowed from then on. */
  readonly tombstones: ReadonlyMap<RangeId, ReplicaId>
  readonly node: NodeRecord
  /**
   * Appends one numbered batch; `done` once it is durable. At most one call may be open: collect meanwhile.
   * Returns nothing on failure: a failed write or fsync is fatal.
   */
  append(items: readonly LogItem[], done: () => void): void
  /** Of damaged entries it reads none: it stops before the first, and must not be asked to begin with one. */
  reader(range: RangeId): LogReader
  /** Entries of kind 'configuration' that the log holds of the range now, ascending. */
  configurations(range: RangeId): readonly LogIndex[]
  /** Entries of the range with a damaged payload now, ascending. */
  damaged(range: RangeId): readonly LogIndex[]
  /**
   * The disk has no room for the segment that would follow the present one. What is appended still finds room in the present one,
   * as long as it lasts; so nothing should be that does not have to. Heals by itself: room is asked for again each second.
   */
  readonly isFull: boolean
  /** Calls `action` once, as soon as the log is not full; at once where it isn't. */
  whenSpace(action: () => void): void
  /** How long the append that is under way has been waiting for the disk, in milliseconds; 0: none is. */
  readonly oldestUnsyncedMs: number
  /** Number of the last batch that is synced; counted from 1, over all starts. */
  readonly lastBatch: number
  /** Bytes appended since open, for deciding when to sync the state. */
  readonly appendedBytes: number
  /** Bytes of all segment files. */
  readonly diskBytes: number
  close(): Promise<void>
}

// ---- the state ----

export interface StateBatch {
  readonly records: readonly { readonly storage: StorageId; readonly record: StateRecord }[]
  readonly journals: readonly { readonly range: RangeId; readonly record: JournalRecord }[]
}

/** The newest record of a key up to a version. */
export interface Lookup {
  readonly storage: StorageId
  readonly key: string
  readonly upTo: Version
}

/** One of the two is called, once. `done` with null: what was read is damaged, and `onDamage` was told. */
export interface PreparedFetch {
  start(done: (found: readonly (Stored | null)[] | null) => void): void
  drop(): void
}

/** A place among the records of a storage id: behind this version of this key. */
export interface SnapshotPlace {
  readonly key: Key
  readonly version: Version
}

export interface StateChunk {
  readonly records: readonly StateRecord[]
  readonly journals: readonly { readonly range: RangeId; readonly record: JournalRecord }[]
}

export interface StateStore {
  /**
   * Latest record by entry order without I/O, from cache or overlay. null: known to be absent. undefined: unknown, fetch it.
   * A tombstone comes back as Stored with value null.
   */
  peek(lookup: { storage: StorageId; key: string }): Stored | null | undefined
  /**
   * Latest records by entry order with version <= upTo (what this range has applied): during replay LevelDB may hold later ones.
   * Fills the cache where nothing was written meanwhile. Null: one of them is damaged.
   */
  fetch(lookups: readonly Lookup[], done: (found: readonly (Stored | null)[] | null) => void): void
  /** A fetch as of now that reads when it is started: what is written until then does not show, and keeps its place in the cache. */
  prepareFetch(lookups: readonly Lookup[]): PreparedFetch
  /** Takes an applied batch: visible to peek and fetch at once. Goes to LevelDB once log batch `needsLogBatch` is durable. */
  write(batch: StateBatch, needsLogBatch: number): void
  /** Log batches up to `logBatch` are durable. */
  logDurable(logBatch: number): void
  /** One page by version: every key's newest record <= at, without tombstones. Waits for what was written before the call. Null: damaged. */
  scan(
    page: {
      storage: StorageId
      span: Span
      at: Version
      reverse: boolean
      limit: number
      bytesMax: number
      keysOnly: boolean
    },
    done: (rows: readonly Row[] | null, more: boolean) => void,
  ): void
  /** Journal records of `range` with from < timestamp <= to, in order. Not whole: one of them is damaged, and those behind it are not told. */
  journal(
    piece: { range: RangeId; from: Version; to: Version },
    each: (record: JournalRecord) => void,
    done: (whole: boolean) => void,
  ): void
  /**
   * A piece of a snapshot by entry order: all versions <= upTo of the span's keys behind `after`, keys in order, newest first. About
   * `bytesMax` bytes, at least one record. Waits for what was written before the call. Null: damaged.
   */
  readSnapshot(
    page: { storage: StorageId; span: Span; after: SnapshotPlace | null; upTo: Version; bytesMax: number },
    done: (records: readonly StateRecord[] | null, more: boolean) => void,
  ): void
  /** Likewise of journal records with from < timestamp <= to. */
  readJournal(
    page: { range: RangeId; from: Version; to: Version; bytesMax: number },
    done: (records: readonly JournalRecord[] | null, more: boolean) => void,
  ): void
  /**
   * Puts a piece of a snapshot under a storage id that nothing reads yet (synced into our log before). `done`: it is in LevelDB; it is
   * durable once a sync begun after that is done.
   */
  ingest(chunk: StateChunk & { readonly storage: StorageId }, done: () => void): void
  /** Deletes all of a storage id that nothing reads or writes any more, in the background. Given again at each start until it is all gone. */
  dropStorage(storage: StorageId): void
  /**
   * Deletes, in one bounded pass from the span's start on, what no read at or above `floor` can see: `floor` as of the checkpoint, `durable`
   * the clock of the same. `next`: the key to go on with, null at the span's end.
   */
  collect(
    work: { storage: StorageId; span: Span; floor: Version; durable: Version },
    done: (deleted: number, next: Key | null) => void,
  ): void
  /** Deletes journal records of `range` with timestamp <= upTo, in one bounded pass. `more`: there may be more. */
  collectJournal(work: { range: RangeId; upTo: Version }, done: (deleted: number, more: boolean) => void): void
  /** Nothing of this storage id, and no journal record, is collected until the returned function was called. */
  hold(storage: StorageId): () => void
  /**
   * Sum (32 bits) of the digests of what a read at `at` sees of the span: the stored data, read from LevelDB. Null: damaged.
   * Equal on all replicas, whatever each of them has collected below the floor.
   */
  digest(slice: { storage: StorageId; span: Span; at: Version }, done: (digest: number | null) => void): void
  /** Everything written before the call is durable when `done` runs (its log batches must become durable meanwhile). */
  sync(done: () => void): void
  /** Of the last sync done: what an opening must find. Goes to our log with the checkpoints that rest on that sync. */
  readonly marker: number
  /** Written and not yet in LevelDB. */
  readonly overlayBytes: number
  /** The disk has no room for what was written: it stays in the overlay until there is. */
  readonly isFull: boolean
  /** Calls `action` once, when `isFull` is over; at once if it is false. */
  whenSpace(action: () => void): void
  /** Damage of this range's journal is repaired: a snapshot brought it anew. (That of a storage id ends with dropStorage.) */
  healedJournal(range: RangeId): void
  readonly scrub: ScrubStatus
  close(): Promise<void>
}
