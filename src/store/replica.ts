import { assert } from '../base/assert.js'
import type { Descriptor, ReplicaDescriptor } from '../base/descriptor.js'
import type { Key, LogIndex, NodeId, RangeId, ReplicaId, StorageId, Term, Version } from '../base/ids.js'
import { limits } from '../base/limits.js'
import type { RangeMachine } from '../kv/machine.js'
import type { ReplicaStatus } from '../kv/requests.js'
import type { Bookkeeping, Command, LineagePiece } from '../kv/types.js'
import type { Raft } from '../raft/raft.js'
import type { Entry, Message, Ready } from '../raft/types.js'
import type { Written } from '../raft/writes.js'
import { overlaps } from '../range/span.js'
import type { Checkpoint, Vacated } from '../storage/types.js'
import type { AddressBook } from './address-book.js'
import { AppliedState } from './applied-state.js'
import { Checkpoints } from './checkpoints.js'
import type { Due } from './due-ticks.js'
import { Lease } from './lease.js'
import type { Persisting } from './log-writer.js'
import { vacatedBy } from './membership/missed.js'
import type { SnapshotOfferMessage } from './ports.js'
import { Proposals } from './proposals.js'
import { Proposer } from './proposer.js'
import { Reads } from './reads.js'
import type { ReplicaHost, ReplicaParts, StagedState } from './replica-parts.js'
import type { Settled } from './replies.js'

type SnapshotPlace = Pick<SnapshotOfferMessage, 'index' | 'entryTerm' | 'bookkeeping'>

/** One node's copy of a range: its consensus core, its state machine, and what waits on either. */
export class Replica implements Persisting, Due {
  readonly range: RangeId
  readonly id: ReplicaId
  readonly raft: Raft
  readonly book: AddressBook
  readonly proposals = new Proposals()
  readonly reads = new Reads()
  readonly #state: AppliedState
  readonly #proposer: Proposer
  readonly #lease: Lease
  watchedAt = 0
  readonly #host: ReplicaHost
  readonly #checkpoints: Checkpoints
  #isDraining = false
  #isRemoved = false
  /** The first entry of the log that is damaged and not applied: it has to be fetched before anything behind is applied. */
  #damagedFrom: LogIndex | null = null
  /** The tick up to which the core has been told. */
  #toldTick: number

  constructor(host: ReplicaHost, parts: ReplicaParts) {
    this.#host = host
    this.#lease = new Lease(host)
    this.range = parts.range
    this.id = parts.id
    this.raft = parts.raft
    this.book = parts.book
    this.#state = new AppliedState(host, parts, () => host.touch(this))
    this.#proposer = new Proposer({ host, raft: this.raft, state: this.#state, proposals: this.proposals })
    const { truncated, checkpointed: at, bookkeeping, vacated = null, logBytes } = parts
    this.#checkpoints = new Checkpoints({ truncated, at, bookkeeping, vacated, logBytes })
    this.#toldTick = host.tick()
    this.#tellFitness()
  }

  get machine(): RangeMachine {
    return this.#state.machine
  }

  /** False: it was just placed here, or its state was lost. It votes if it ever did, applies nothing, and waits for a snapshot. */
  get hasState(): boolean {
    return this.storages.length > 0
  }

  get storages(): Checkpoint['storages'] {
    return this.#state.storages
  }

  get incarnation(): number {
    return this.#state.incarnation
  }

  /** Bookkeeping as of D; null: no checkpoint is there yet. */
  get durable(): Bookkeeping | null {
    return this.#checkpoints.durable
  }

  get lineage(): readonly LineagePiece[] {
    return this.machine.bookkeeping.lineage
  }

  /** Of the keys that it held once, children may have been cut off here unseen. */
  get vacated(): Vacated | null {
    return this.#checkpoints.vacated
  }

  overlaps(span: Descriptor['span']): boolean {
    return overlaps(this.descriptor.span, span)
  }

  /** Term of an entry of its log, or null: it has no such entry, or no longer. */
  termAt(index: LogIndex): Term | null {
    return index < this.truncated || index > this.raft.lastIndex ? null : this.raft.termAt(index)
  }

  get truncated(): LogIndex {
    return this.#checkpoints.truncated.index
  }

  get descriptor(): Descriptor {
    return this.machine.bookkeeping.descriptor
  }

  get clock(): Version {
    return this.machine.bookkeeping.clock
  }

  get applied(): LogIndex {
    return this.#state.applied.index
  }

  get appliedTerm(): Term {
    return this.#state.applied.term
  }

  get leads(): boolean {
    return this.raft.role === 'leader'
  }

  /** Node believed to lead, by this replica. */
  get leaderNode(): NodeId | null {
    return this.raft.leader === null ? null : this.nodeOf(this.raft.leader)
  }

  nodeOf(replica: ReplicaId): NodeId | null {
    return this.book.nodeOf(replica)
  }

  storageOf(key: Key): StorageId {
    return this.#state.storageOf(key)
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

  /** Puts waiting commands into the log, one entry per call. */
  propose(): void {
    this.#proposer.propose()
  }

  /** A change of replicas may be proposed: the last one is applied, and the core would take it. */
  get mayChangeReplicas(): boolean {
    return this.#proposer.mayChangeReplicas
  }

  /** Puts a change of replicas into the log, an entry of its own. False: not now. */
  proposeReplicas(change: { replicas: readonly ReplicaDescriptor[]; nextReplica: ReplicaId }): boolean {
    return this.#proposer.proposeReplicas(change)
  }

  /** Timestamp for an entry that the core itself writes (the no-op of a new term). */
  timestampAbove(above: Version): Version {
    return this.#proposer.timestampAbove(above)
  }

  /** Brings the log's timestamps up to `version`, with an empty entry unless one is on its way: replicas' clocks follow. */
  advanceTo(version: Version): void {
    this.#proposer.advanceTo(version)
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
    this.#checkpoints.logged(ready.entries)
    if (ready.snapshots.length > 0) this.#host.onSnapshotsNeeded(this, ready.snapshots)
  }

  /** A removed replica has nothing to say any more. */
  persisted(written: Written): void {
    // Nobody has told a removed one of time, so that more may have passed than it waits for.
    if (this.#isRemoved) return
    this.takeTicks()
    this.raft.persisted(written)
    this.#host.touch(this)
  }

  release(messages: readonly Message[]): void {
    if (this.#isRemoved) return
    for (const message of messages) if (this.raft.stillValid(message)) this.#host.send(this, message)
  }

  // ---- applying ----

  get hasUnapplied(): boolean {
    return this.raft.commit > this.applied
  }

  /** What is committed waits for LevelDB to take what was applied before. */
  get #isHeld(): boolean {
    return this.hasUnapplied && this.#host.state.overlayBytes > limits.overlayBytesMax
  }

  /**
   * Applies committed entries in log order, as far as what they read is at hand; stops at the first that has to wait for the
   * disk and goes on when that is there; bounded per turn, and by what LevelDB has not taken yet.
   */
  applyCommitted(): void {
    if (this.#state.isFetching || !this.hasUnapplied || !this.hasState || this.#isHeld) return
    const from = (this.applied + 1) as LogIndex
    if (from === this.#damagedFrom) return
    for (const entry of this.raft.committedEntries({ from, bytesMax: limits.frameBytesMax })) {
      if (!this.#applyEntry(entry)) return
    }
    if (this.hasUnapplied) this.#host.touch(this)
  }

  #applyEntry(entry: Entry): boolean {
    const applied = this.#state.apply(entry, this.#commandsOf(entry))
    if (applied === null) return false
    const proposed = this.proposals.takeApplied(entry)
    this.#host.onApplied(this, applied)
    if (applied.split !== null) this.#host.onSplit(this, applied.split, this.#state.split(applied.split))
    if (proposed !== null) settleAll(proposed.proposals, applied.outcomes)
    this.raft.appliedTo(entry.index)
    if (applied.replicas !== null) {
      this.book.applied()
      this.#host.onReplicas(this)
    }
    // It may be out by now, or have found by this very entry that its state is not that of the others.
    return !this.#isRemoved && this.hasState
  }

  #commandsOf(entry: Entry): readonly Command[] {
    if (entry.kind === 'noop') return []
    return this.proposals.commandsAt(entry) ?? this.#host.codec.decodeCommands(entry.payload)
  }

  // ---- what becomes of its state ----

  /**
   * Whether it has to go on from its own log before it takes in this snapshot: it has a state, and committed entries that it can apply.
   * A split among them, passed over, would take with it the child's keys, which it holds in the parent's state and was counted for
   * when the split was committed (decision 0014). That it is committed may have to be learned from the snapshot itself.
   */
  goesOnBefore({ index, entryTerm, bookkeeping }: SnapshotPlace): boolean {
    if (!this.hasState) return false
    this.raft.learnCommitted([...bookkeeping.splits, { index, term: entryTerm }])
    const next = (this.applied + 1) as LogIndex
    if (!this.hasUnapplied || next === this.#damagedFrom) return false
    this.#host.touch(this)
    return true
  }

  /** Takes over a staged state. The core has been moved to it; the switch goes into our log with the core's next Ready. */
  install(staged: StagedState): void {
    const before = this.descriptor
    this.#state.install(staged)
    this.#checkpoints.restart(staged.applied, vacatedBy(this.id, { before, after: this.descriptor }))
    this.#proposer.raiseTo(this.clock)
    this.book.applied()
    this.#tellFitness()
  }

  /** Its state can't be trusted any more: from here on it has none. */
  loseState(): void {
    this.#state.lose()
    this.#tellFitness()
  }

  /** It is out of its range, or let go of: nothing of it is used any more. */
  remove(): void {
    this.#isRemoved = true
    this.#state.end()
  }

  /** This node is to lead nothing any more. */
  setDraining(): void {
    if (this.#isDraining) return
    this.#isDraining = true
    this.#tellFitness()
  }

  set damagedFrom(index: LogIndex | null) {
    this.#damagedFrom = index
    this.#tellFitness()
    this.#host.touch(this)
  }

  #tellFitness(): void {
    const mayCampaign = this.hasState && this.#damagedFrom === null && !this.#isDraining
    this.raft.setFitness({ mayCampaign, needsSnapshot: !this.hasState })
  }

  // ---- checkpoints ----

  /** The picture of this turn, to be written to our log once the state up to it is durable. */
  checkpoint(truncateTo: LogIndex = this.truncated): Checkpoint {
    const { applied, storages } = this.#state
    const truncated = this.#checkpoints.truncation(truncateTo, applied, (index) => this.raft.termAt(index))
    const checkpoint = { replica: this.id, applied, bookkeeping: this.machine.bookkeeping, storages, truncated }
    return this.vacated === null ? checkpoint : { ...checkpoint, vacated: this.vacated }
  }

  /** Where its log might begin; the rest of what decides lies with the node. */
  get truncatable(): { applied: LogIndex; allPersisted: LogIndex; keptAbove(index: LogIndex): number } {
    const { lastIndex: last, allPersisted } = this.raft
    return { applied: this.applied, ...this.#checkpoints.truncatable({ last, allPersisted }) }
  }

  cutLogTo(index: LogIndex): void {
    this.#checkpoints.cutLogTo(index)
    this.raft.lostEntry(index)
  }

  needsCheckpoint(truncateTo: LogIndex): boolean {
    return this.hasState && this.#checkpoints.isNeeded({ applied: this.applied, truncateTo })
  }

  get isCheckpointed(): boolean {
    return this.#checkpoints.isThere
  }

  status(): ReplicaStatus {
    const { commit, lastIndex, role, term } = this.raft
    return {
      descriptor: this.descriptor,
      replica: this.id,
      role,
      term,
      leader: this.leaderNode,
      applied: this.applied,
      commit,
      lastIndex,
      hasState: this.hasState,
      digest: this.machine.bookkeeping.digest,
    }
  }

  /** The checkpoint is on its way to our log: the core is told before entries go that it can't have them any more. */
  checkpointLeaves({ truncated }: Checkpoint): void {
    if (truncated.index > this.truncated) this.raft.truncatedTo(truncated)
    this.#checkpoints.leaves(truncated)
  }

  /** The checkpoint is durable in our log. */
  checkpointWritten(checkpoint: Checkpoint): void {
    this.#checkpoints.written(checkpoint)
  }
}

function settleAll(proposals: readonly { settle(settled: Settled): void }[], outcomes: readonly Settled[]): void {
  assert(proposals.length === outcomes.length, 'one outcome per command', proposals.length, outcomes.length)
  for (let at = 0; at < proposals.length; at++) proposals[at]!.settle(outcomes[at]!)
}
