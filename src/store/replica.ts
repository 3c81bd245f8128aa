import { assert } from '../base/assert.js'
import type { Descriptor } from '../base/descriptor.js'
import type { Key, LogIndex, NodeId, RangeId, ReplicaId, StorageId, Term, Version } from '../base/ids.js'
import { limits } from '../base/limits.js'
import { maxVersion, nextVersion } from '../base/version.js'
import { RangeMachine } from '../kv/machine.js'
import type { ReplicaStatus } from '../kv/requests.js'
import type { SessionTable } from '../kv/sessions.js'
import type { AppliedEntry, Bookkeeping, Command, SplitEffect, StateRecord, Stored } from '../kv/types.js'
import type { Raft } from '../raft/raft.js'
import type { Entry, HardState, Message, Ready } from '../raft/types.js'
import { contains } from '../range/span.js'
import type { Checkpoint, StateStore } from '../storage/types.js'
import type { Due } from './due-ticks.js'
import { Lease } from './lease.js'
import type { Persisting } from './log-writer.js'
import { Proposals } from './proposals.js'
import { Reads } from './reads.js'
import type { Settled } from './replies.js'

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
  send(replica: Replica, message: Message): void
  /** Gives the replica a place in the next turn. */
  touch(replica: Replica): void
  /** The machine applied an entry: new records, maybe a child. Called in log order. */
  onApplied(replica: Replica, applied: AppliedEntry): void
  onSplit(replica: Replica, effect: SplitEffect, childStorages: Checkpoint['storages']): void
  onLeadership(replica: Replica): void
}

/** Lives in storage; comes in as a port, because this room knows storage by type only. */
export interface EntryCodec {
  encodeCommands(commands: readonly Command[]): Uint8Array
  decodeCommands(payload: Uint8Array): readonly Command[]
  recordDigest(record: StateRecord): number
}

export interface ReplicaParts {
  readonly range: RangeId
  readonly id: ReplicaId
  readonly raft: Raft
  readonly bookkeeping: Bookkeeping
  readonly sessions: SessionTable | null
  readonly storages: Checkpoint['storages']
  readonly applied: { readonly index: LogIndex; readonly term: Term }
  readonly truncated: Checkpoint['truncated']
  /** Applied index of the newest checkpoint in our log; null: none is there yet. */
  readonly checkpointed: LogIndex | null
}

const NO_PAYLOAD = new Uint8Array(0)

interface Lookup {
  readonly storage: StorageId
  readonly key: Key
  readonly upTo: Version
}

/** One node's copy of a range: its consensus core, its state machine, and what waits on either. */
export class Replica implements Persisting, Due {
  readonly range: RangeId
  readonly id: ReplicaId
  readonly raft: Raft
  readonly machine: RangeMachine
  readonly proposals = new Proposals()
  readonly reads = new Reads()
  readonly #lease: Lease
  watchedAt = 0
  readonly #host: ReplicaHost
  #storages: Checkpoint['storages']
  #applied: { readonly index: LogIndex; readonly term: Term }
  #truncated: Checkpoint['truncated']
  #checkpointed: LogIndex | null
  /** Highest version given to a command of this range by this node. */
  #lastProposed: Version
  #fetching = false
  /** The tick up to which the core has been told. */
  #toldTick: number
  /** All that the next entry reads, once it is whole. */
  #picture: ReadonlyMap<Key, Stored | null> | null = null

  constructor(host: ReplicaHost, parts: ReplicaParts) {
    this.#host = host
    this.#lease = new Lease(host)
    this.range = parts.range
    this.id = parts.id
    this.raft = parts.raft
    this.machine = new RangeMachine(
      parts.range,
      parts.bookkeeping,
      { recordDigest: (record) => host.codec.recordDigest(record) },
      parts.sessions ?? undefined,
    )
    this.#storages = parts.storages
    this.#applied = parts.applied
    this.#truncated = parts.truncated
    this.#checkpointed = parts.checkpointed
    this.#lastProposed = parts.bookkeeping.clock
    this.#toldTick = host.tick()
  }

  get descriptor(): Descriptor {
    return this.machine.bookkeeping.descriptor
  }

  get clock(): Version {
    return this.machine.bookkeeping.clock
  }

  get applied(): LogIndex {
    return this.#applied.index
  }

  get appliedTerm(): Term {
    return this.#applied.term
  }

  get leads(): boolean {
    return this.raft.role === 'leader'
  }

  /** Node believed to lead, by this replica. */
  get leaderNode(): NodeId | null {
    return this.raft.leader === null ? null : this.nodeOf(this.raft.leader)
  }

  nodeOf(replica: ReplicaId): NodeId | null {
    return this.descriptor.replicas.find((each) => each.replica === replica)?.node ?? null
  }

  storageOf(key: Key): StorageId {
    const found = this.#storages.find((each) => contains(each.span, key))
    assert(found !== undefined, 'no storage covers the key', this.range)
    return found.storage
  }

  // ---- time ----

  /** What waits for room in the overlay asks again at every tick. */
  get dueAt(): number {
    return this.#toldTick + (this.#isHeld ? 1 : this.raft.ticksUntilDue)
  }

  /**
   * Tells the core of the ticks since it was told last. They are told late, when the replica has anything else to do: to be called
   * before that reaches the core, or the wait that it begins would be shortened by ticks from before it.
   */
  takeTicks(): void {
    const ticks = this.#host.tick() - this.#toldTick
    if (ticks === 0) return
    this.#toldTick += ticks
    this.raft.tick(ticks)
  }

  // ---- proposing ----

  /**
   * Puts waiting commands into the log, one entry per call. Their versions lie above everything proposed or applied in this
   * range and above every timestamp in the log, also uncommitted ones: entry timestamps strictly increase along the log.
   */
  propose(): void {
    if (this.proposals.waiting === 0 || !this.raft.canPropose()) return
    const above = maxVersion(maxVersion(this.#lastProposed, this.raft.lastTimestamp), this.clock)
    const taken = this.proposals.takeEntry({ above, now: this.#host.now(), monotonicMs: this.#host.monotonicMs() })
    if (taken === null) return
    const timestamp = taken.commands.at(-1)!.version
    const payload = this.#host.codec.encodeCommands(taken.commands)
    const at = this.raft.propose({ kind: 'commands', timestamp, payload })
    assert(at !== null, 'a leader takes proposals', this.range)
    this.#lastProposed = timestamp
    this.proposals.proposed(at.index, { ...taken, term: at.term })
    this.#warm(taken.commands)
  }

  /** Starts reading what the conditions will need, while the entry is on its way to a majority. */
  #warm(commands: readonly Command[]): void {
    const { missing } = this.#look(this.machine.needs(commands))
    if (missing.length > 0) this.#host.state.fetch(missing, () => {})
  }

  /** What is at hand of these keys, and what has to be fetched. Keys outside of the range are never read. */
  #look(keys: readonly Key[]): { picture: Map<Key, Stored | null>; missing: Lookup[] } {
    const picture = new Map<Key, Stored | null>()
    const missing: Lookup[] = []
    for (const key of keys) {
      if (!contains(this.descriptor.span, key)) continue
      const storage = this.storageOf(key)
      const known = this.#host.state.peek({ storage, key })
      if (known === undefined) missing.push({ storage, key, upTo: this.clock })
      else picture.set(key, known)
    }
    return { picture, missing }
  }

  /** Timestamp for an entry that the core itself writes (the no-op of a new term). */
  timestampAbove(above: Version): Version {
    const floor = maxVersion(maxVersion(above, this.#lastProposed), this.clock)
    this.#lastProposed = maxVersion(nextVersion(floor), this.#host.now())
    return this.#lastProposed
  }

  /** Brings the log's timestamps up to `version`, with an empty entry unless one is on its way: replicas' clocks follow. */
  advanceTo(version: Version): void {
    if (!this.raft.canPropose() || this.raft.lastTimestamp >= version) return
    const timestamp = maxVersion(this.timestampAbove(this.raft.lastTimestamp), version)
    this.#lastProposed = timestamp
    const at = this.raft.propose({ kind: 'noop', timestamp, payload: NO_PAYLOAD })
    assert(at !== null, 'a leader takes proposals', this.range)
  }

  // ---- effects of the core ----

  /** Before the frames of this turn leave: a round that the core has begun counts from now. */
  observeLease(): void {
    const { raft } = this
    if (!this.leads) return this.#lease.observe(null)
    const { last: lastRound, confirmed: confirmedRound } = raft.readRounds
    this.#lease.observe({ term: raft.term, lastRound, confirmedRound, mayLease: raft.mayLease })
  }

  /** Where a read under the leader's lease stands, or null: no lease is held at this moment. */
  leaseIndex(): LogIndex | null {
    return this.raft.isReadyToServe() && this.#lease.isHeld() ? this.raft.commit : null
  }

  /** Takes over what the core decided. Everything to be written or sent goes out through `ready` and the host. */
  accept(ready: Ready): void {
    for (const message of ready.sendNow) this.#host.send(this, message)
    for (const { context, index } of ready.reads) this.reads.confirm(context, index)
    if (ready.leadership !== null) this.#host.onLeadership(this)
  }

  persisted(written: { hardState: HardState | null; lastEntry: { index: LogIndex; term: Term } | null }): void {
    this.takeTicks()
    this.raft.persisted(written)
    this.#host.touch(this)
  }

  release(messages: readonly Message[]): void {
    for (const message of messages) if (this.raft.stillValid(message)) this.#host.send(this, message)
  }

  // ---- applying ----

  get hasUnapplied(): boolean {
    return this.raft.commit > this.#applied.index
  }

  /** What is committed waits for LevelDB to take what was applied before. */
  get #isHeld(): boolean {
    return this.hasUnapplied && this.#host.state.overlayBytes > limits.overlayBytesMax
  }

  /**
   * Applies committed entries in log order, as far as what they read is at hand; stops at the first that has to wait for the
   * disk and goes on when its picture is whole; bounded per turn, and by what LevelDB has not taken yet. The picture holds what was
   * at hand too: the cache may let go of it while the rest is fetched. It cannot age: nothing else writes this range's keys.
   */
  applyCommitted(): void {
    if (this.#fetching || !this.hasUnapplied || this.#isHeld) return
    const from = (this.#applied.index + 1) as LogIndex
    for (const entry of this.raft.committedEntries({ from, bytesMax: limits.frameBytesMax })) {
      if (!this.#applyEntry(entry)) return
    }
    if (this.hasUnapplied) this.#host.touch(this)
  }

  #applyEntry(entry: Entry): boolean {
    assert(entry.index === this.#applied.index + 1, 'entries apply in order', this.range, entry.index)
    const commands = this.#commandsOf(entry)
    if (this.#picture === null) {
      const { picture, missing } = this.#look(this.machine.needs(commands))
      if (missing.length > 0) {
        this.#fetch(picture, missing)
        return false
      }
      this.#picture = picture
    }
    const proposed = this.proposals.takeApplied(entry)
    const applied = this.machine.apply({ timestamp: entry.timestamp, commands }, { latest: (key) => this.#latest(key) })
    this.#picture = null
    this.#applied = { index: entry.index, term: entry.term }
    this.#write(applied)
    this.#host.onApplied(this, applied)
    if (applied.split !== null) this.#split(applied.split)
    if (proposed !== null) settleAll(proposed.proposals, applied.outcomes)
    this.raft.appliedTo(entry.index)
    return true
  }

  #commandsOf(entry: Entry): readonly Command[] {
    if (entry.kind === 'noop') return []
    return this.proposals.commandsAt(entry) ?? this.#host.codec.decodeCommands(entry.payload)
  }

  #fetch(picture: Map<Key, Stored | null>, missing: readonly Lookup[]): void {
    this.#fetching = true
    this.#host.state.fetch(missing, (found) => {
      // Damaged: nothing can be applied on top of it, the state has to come from a peer.
      if (found === null) return
      this.#fetching = false
      missing.forEach(({ key }, at) => {
        picture.set(key, found[at] ?? null)
      })
      this.#picture = picture
      this.#host.touch(this)
    })
  }

  #latest(key: Key): Stored | null {
    const pictured = this.#picture?.get(key)
    assert(pictured !== undefined, 'apply reads only what it named', this.range)
    return pictured
  }

  #write(applied: AppliedEntry): void {
    if (applied.records.length === 0 && applied.journal === null) return
    const records = applied.records.map((record) => ({ storage: this.storageOf(record.key), record }))
    const journals = applied.journal === null ? [] : [{ range: this.range, record: applied.journal }]
    this.#host.state.write({ records, journals }, this.#host.logBatch())
  }

  /** A split moves no data: the child reads the same storage ids. */
  #split(effect: SplitEffect): void {
    const childStorages = cutStorages(this.#storages, effect.bookkeeping.descriptor.span)
    this.#storages = cutStorages(this.#storages, this.descriptor.span)
    this.#host.onSplit(this, effect, childStorages)
  }

  // ---- checkpoints ----

  /** The picture of this turn, to be written to our log once the state up to it is durable. */
  checkpoint(): Checkpoint {
    return {
      replica: this.id,
      applied: this.#applied,
      bookkeeping: this.machine.bookkeeping,
      storages: this.#storages,
      truncated: this.#nextTruncation(),
    }
  }

  /** The log may go up to here: our state covers it durably (once this checkpoint is), and every replica has it on disk. */
  #nextTruncation(): Checkpoint['truncated'] {
    const index = Math.min(this.#applied.index, this.raft.allPersisted) as LogIndex
    if (index <= this.#truncated.index) return this.#truncated
    return { index, term: this.raft.termAt(index) }
  }

  get needsCheckpoint(): boolean {
    if (this.#checkpointed === null || this.#applied.index > this.#checkpointed) return true
    return this.#nextTruncation().index > this.#truncated.index
  }

  status(): ReplicaStatus {
    const { commit, lastIndex, role, term } = this.raft
    return {
      descriptor: this.descriptor,
      replica: this.id,
      role,
      term,
      leader: this.leaderNode,
      applied: this.#applied.index,
      commit,
      lastIndex,
      digest: this.machine.bookkeeping.digest,
    }
  }

  checkpointWritten(checkpoint: Checkpoint): void {
    this.#checkpointed = checkpoint.applied.index
    this.#truncated = checkpoint.truncated
  }
}

function settleAll(proposals: readonly { settle(settled: Settled): void }[], outcomes: readonly Settled[]): void {
  assert(proposals.length === outcomes.length, 'one outcome per command', proposals.length, outcomes.length)
  for (let at = 0; at < proposals.length; at++) proposals[at]!.settle(outcomes[at]!)
}

function cutStorages(storages: Checkpoint['storages'], span: Descriptor['span']): Checkpoint['storages'] {
  return storages
    .map(({ span: own, storage }) => ({ storage, span: intersect(own, span) }))
    .filter((each): each is { storage: StorageId; span: Descriptor['span'] } => each.span !== null)
}

function intersect(a: Descriptor['span'], b: Descriptor['span']): Descriptor['span'] | null {
  const start = a.start > b.start ? a.start : b.start
  const end = a.end === null ? b.end : b.end === null || a.end < b.end ? a.end : b.end
  return end === null || start < end ? { start, end } : null
}
