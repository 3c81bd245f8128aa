import { assert } from '../base/assert.js'
import type { Descriptor } from '../base/descriptor.js'
import type { RangeId, ReplicaId, StorageId } from '../base/ids.js'
import { META_RANGE } from '../base/ids.js'
import type { Logger } from '../base/ports.js'
import { RangeMachine } from '../kv/machine.js'
import type { Row } from '../kv/requests.js'
import type { SplitEffect } from '../kv/types.js'
import type { Ready } from '../raft/types.js'
import type { Checkpoint, NodeLog, StateDamage, StateStore } from '../storage/types.js'
import { configurationOf } from './configuration.js'
import { FRESH, NOTHING, type ReplicaFactory, unknownRange } from './factory.js'
import { readIndex } from './index-rows.js'
import type { LogWriter } from './log-writer.js'
import { logLostState } from './lost-state.js'
import type { MetaIndex } from './meta-index.js'
import type { SnapshotOfferMessage } from './ports.js'
import type { Replica } from './replica.js'
import { restoreSessions } from './sessions-restore.js'
import type { StateSync } from './state-sync.js'

export interface LifecycleParts {
  readonly replicas: Map<RangeId, Replica>
  readonly factory: ReplicaFactory
  readonly log: Pick<NodeLog, 'tombstones' | 'node'>
  readonly writer: LogWriter
  readonly state: StateStore
  readonly stateSync: StateSync
  readonly index: MetaIndex
  readonly codec: { recordDigest: ConstructorParameters<typeof RangeMachine>[2]['recordDigest'] }
  readonly logger: Logger
  touch(replica: Replica): void
  /** What waits at the replica is to be refused, and whatever else uses its state is to let go of it, now. */
  onStateGone(replica: Replica): void
  /** A split was applied, and this is what it made. */
  onChild(replica: Replica): void
}

/** All that a snapshot brought, durable. */
interface Staged {
  readonly replica: Replica
  readonly offer: SnapshotOfferMessage
  readonly machine: RangeMachine
  readonly storage: StorageId
  /** Of the meta range: what its index is built from. */
  readonly indexRows: readonly Row[]
  done(installed: boolean): void
}

const STATELESS = { applied: NOTHING, storages: [], truncated: NOTHING }

interface Switch {
  readonly checkpoint: Checkpoint
  readonly before: Checkpoint['storages']
  done(installed: boolean): void
}

/**
 * How replicas come and go on this node. Whatever replaces or ends a state is a switch in our log, and always in this order:
 *
 * 1. The storage id of a new state is durable in our log before its first key is written: after a crash nobody else gets it.
 * 2. A state sync covers what the switch rests on: what was staged, and the checkpoints of ranges that were cut from this one and
 *    would be made anew by replaying the log that is about to go (test: 'a split's child outlives the log of its parent').
 * 3. One log batch holds the switch: the list of storages, D and the log's start, or the tombstone. Before it is synced the old state,
 *    the old log and the old id are all there; after it, the new ones. Half is nothing.
 * 4. Only then is it acknowledged, and the old storage ids are deleted.
 */
export class Lifecycle {
  readonly #parts: LifecycleParts
  readonly #lowest: Map<RangeId, ReplicaId>
  readonly #switches = new Map<Replica, Switch>()
  /** Their replica is gone, and their tombstone not yet durable. */
  readonly #leaving = new Set<RangeId>()
  /** No replica's when they were told: a snapshot may be on its way in under one of them, and damage is told once. */
  readonly #damagedStaged = new Set<StorageId>()

  /** Have no state any more, which our log does not know yet: it waits for their children. */
  readonly #givingUp = new Set<Replica>()

  constructor(parts: LifecycleParts) {
    this.#parts = parts
    this.#lowest = new Map(parts.log.tombstones)
  }

  /**
   * Lower replica ids of the range are out for ever. None may come while one leaves: the tombstone that is still to be written drops
   * all that the log holds of the range, the votes of a newcomer too (test: 'leaves its tombstone before another may be placed').
   */
  lowestAllowed(range: RangeId): ReplicaId {
    if (this.#leaving.has(range)) return Number.POSITIVE_INFINITY as ReplicaId
    return this.#lowest.get(range) ?? (0 as ReplicaId)
  }

  // ---- placement ----

  /**
   * Makes an empty replica, once a tombstone says durably that older ids are out: what our log holds of them, terms and votes too,
   * must not be taken for this one's.
   */
  create(range: RangeId, id: ReplicaId): void {
    assert(id >= this.lowestAllowed(range), 'a replica id that is out comes back', range, id)
    this.#lowest.set(range, id)
    this.#parts.writer.tombstone({ range, lowest: id }, () => {
      if (this.#parts.replicas.has(range) || this.lowestAllowed(range) !== id) return
      const replica = this.#parts.factory.empty(range, id)
      this.#parts.replicas.set(range, replica)
      this.#parts.logger.log('info', 'replica placed', { range, replica: id })
      this.#parts.touch(replica)
    })
  }

  /**
   * Makes the voter that a split would have made here, had it been applied (see Missed): without a state, but with a checkpoint that says
   * so. With that our log knows of the range before anything is promised, and the next start brings the replica up with what it
   * promised since. Without it, a vote would be found that nobody speaks for, and the id be as dead as after the loss of a disk
   * (test: 'goes on where it was, with its vote, after a crash before its snapshot came').
   */
  createMissed({ range, span }: Descriptor, id: ReplicaId): void {
    const { replicas, factory, writer, logger, touch } = this.#parts
    assert(!replicas.has(range) && this.lowestAllowed(range) === 0, 'a range that lived here is begun anew', range, id)
    this.#lowest.set(range, id)
    const checkpoint = { ...STATELESS, replica: id, bookkeeping: unknownRange(range, span) }
    writer.checkpoints([{ range, checkpoint }], () => {
      if (replicas.has(range) || this.lowestAllowed(range) !== id) return
      const replica = factory.recovered(range, FRESH, checkpoint)
      replicas.set(range, replica)
      logger.log('info', 'replica placed whose split was missed', { range, replica: id })
      touch(replica)
    })
  }

  /** A split was applied: its child comes to life here, unless it has a state of its own, or another replica of it lives or lived here. */
  split(parent: Replica, effect: SplitEffect, storages: Checkpoint['storages']): boolean {
    const { range } = effect.bookkeeping.descriptor
    if (this.#parts.replicas.has(range)) return false
    const child = this.#parts.factory.child(parent, effect, { storages, lowest: this.lowestAllowed(range) })
    if (child === null) return false
    const { generation } = parent.descriptor
    this.#parts.logger.log('info', 'split', { range: parent.range, child: range, generation })
    this.#parts.replicas.set(range, child)
    // A start replays the split: then our log holds what the child was before, and may be damaged in it.
    this.#parts.onChild(child)
    this.#parts.stateSync.wantForChild()
    this.#parts.touch(child)
    return true
  }

  /** The replica is out of its range. It speaks no more from now on, and leaves a tombstone. */
  remove(replica: Replica): void {
    const { range, id, storages } = replica
    if (this.#parts.replicas.get(range) !== replica) return
    this.#parts.logger.log('info', 'replica removed', { range, replica: id })
    this.#parts.replicas.delete(range)
    replica.remove()
    this.#parts.onStateGone(replica)
    this.#switches.get(replica)?.done(false)
    this.#switches.delete(replica)
    const lowest = (id + 1) as ReplicaId
    this.#lowest.set(range, lowest)
    this.#leaving.add(range)
    this.#parts.stateSync.start(() => {
      this.#parts.writer.tombstone({ range, lowest }, () => {
        this.#leaving.delete(range)
        this.#drop(storages)
      })
    })
  }

  // ---- damage ----

  /** The replica's state can't be trusted. It keeps its id, term, vote and log, and waits for a snapshot; restarts included. */
  quarantine(replica: Replica, what: string): void {
    const { range, storages } = replica
    if (!replica.hasState || this.#parts.replicas.get(range) !== replica) return
    logLostState(this.#parts.logger, replica, what)
    replica.loseState()
    this.#parts.onStateGone(replica)
    // A switch to that state may be about to follow: it would name storage ids that are deleted.
    const open = this.#switches.get(replica)
    if (open !== undefined) {
      this.#switches.set(replica, { ...open, checkpoint: { ...open.checkpoint, storages: [] } })
    }
    this.#giveUp(replica, storages)
    this.#parts.touch(replica)
  }

  /** A child that was cut off and has no checkpoint is made by the state that the last one names: it is not to go before. */
  #giveUp(replica: Replica, storages: Checkpoint['storages']): void {
    const { replicas, stateSync, writer } = this.#parts
    if (this.#hasYoung(replica)) {
      this.#givingUp.add(replica)
      return stateSync.start(() => this.#giveUp(replica, storages))
    }
    this.#givingUp.delete(replica)
    // A snapshot has brought another meanwhile; what is left of the old one goes at the next start.
    if (replica.hasState || replicas.get(replica.range) !== replica) return
    writer.checkpoints([{ range: replica.range, checkpoint: replica.checkpoint() }], () => this.#drop(storages))
  }

  damaged({ what, storages, journals }: StateDamage): void {
    const isHit = (replica: Replica) =>
      storages === 'all' ||
      journals === 'all' ||
      replica.storages.some(({ storage }) => storages.includes(storage)) ||
      [replica.range, ...replica.lineage.map(({ range }) => range)].some((range) => journals.includes(range))
    const used = this.#used()
    const hit = storages === 'all' ? this.#allocated() : storages
    for (const storage of hit) if (!used.has(storage)) this.#damagedStaged.add(storage)
    for (const replica of [...this.#parts.replicas.values()]) if (isHit(replica)) this.quarantine(replica, what)
  }

  // ---- snapshots ----

  /** A storage id that was never used here; `done` once our log says so durably. */
  allocateStorage(done: (storage: StorageId) => void): void {
    const storage = this.#parts.writer.allocateStorage()
    this.#parts.writer.after(() => done(storage))
  }

  /** Makes what was staged under `storage` the replica's state. `done(false)`: it can't be, and nothing changed. */
  install(replica: Replica, offer: SnapshotOfferMessage, storage: StorageId, done: (installed: boolean) => void): void {
    const { state, stateSync, codec } = this.#parts
    const machine = new RangeMachine(replica.range, offer.bookkeeping, codec)
    stateSync.start(() =>
      restoreSessions(state, machine, (whole) => {
        if (!whole) return done(false)
        const staged = { replica, offer, machine, storage, done }
        if (replica.range !== META_RANGE) return this.#switch({ ...staged, indexRows: [] })
        const { clock, descriptor } = offer.bookkeeping
        readIndex(state, { storage, at: clock, span: descriptor.span }, (indexRows) => {
          if (indexRows === null) done(false)
          else this.#switch({ ...staged, indexRows })
        })
      }),
    )
  }

  #switch(staged: Staged): void {
    const { replica, offer, machine, storage, done } = staged
    // A child that was cut off meanwhile would be lost with the log that made it.
    if (this.#hasYoung(replica)) return this.#parts.stateSync.start(() => this.#switch(staged))
    if (this.#parts.replicas.get(replica.range) !== replica || this.overlapping(replica, offer) !== null)
      return done(false)
    if (this.#damagedStaged.delete(storage)) return done(false)
    // It may have come to hold them while the snapshot was on its way.
    if (replica.goesOnBefore(offer)) return done(false)
    const { index, entryTerm: term, timestamp, bookkeeping } = offer
    const configuration = configurationOf(bookkeeping.descriptor.replicas)
    replica.takeTicks()
    if (!replica.raft.restore({ index, term, timestamp, configuration })) return done(false)
    const before = replica.storages
    if (replica.hasState) this.#parts.onStateGone(replica)
    replica.install({ machine, storages: [{ span: bookkeeping.descriptor.span, storage }], applied: { index, term } })
    // With the install, because what is applied from here on goes on top of it.
    if (replica.range === META_RANGE) this.#parts.index.replace(staged.indexRows)
    this.#switches.set(replica, { checkpoint: replica.checkpoint(), before, done })
    this.#parts.touch(replica)
  }

  /** Whether a range cut from this one has no checkpoint of its own yet. */
  #hasYoung(parent: Replica): boolean {
    for (const replica of this.#parts.replicas.values()) {
      const isChild = replica.lineage.some(({ range }) => range === parent.range)
      if (isChild && replica.hasState && !replica.isCheckpointed) return true
    }
    return false
  }

  /** The other replica with state whose span overlaps the snapshot's: it would give one key to two ranges. */
  overlapping(replica: Replica, { bookkeeping }: SnapshotOfferMessage): Replica | null {
    for (const other of this.#parts.replicas.values()) {
      if (other !== replica && other.hasState && other.overlaps(bookkeeping.descriptor.span)) return other
    }
    return null
  }

  /** The core's Ready says that it was moved to a snapshot: the switch goes into the very batch that holds that Ready. */
  switched(replica: Replica, restored: NonNullable<Ready['restored']>): void {
    const open = this.#switches.get(replica)
    assert(open?.checkpoint.applied.index === restored.index, 'the core was moved by somebody else', restored.index)
    this.#switches.delete(replica)
    this.#parts.writer.checkpoints([{ range: replica.range, checkpoint: open.checkpoint }], () => {
      replica.checkpointWritten(open.checkpoint)
      if (open.checkpoint.storages.length > 0) this.#healed(replica)
      this.#drop(open.before)
      open.done(true)
    })
  }

  /**
   * Its journal, and that of ranges it comes from that have no replica here, were brought anew: as much of them as it needs itself. A
   * replica that is still to be given up would be believed again after a crash, so the next start is to hear of the damage.
   */
  #healed(replica: Replica): void {
    const others = replica.lineage.filter(({ range }) => !this.#parts.replicas.has(range))
    for (const range of [replica.range, ...others.map((piece) => piece.range)]) {
      const isNeeded = [...this.#givingUp].some((each) => each.lineage.some((piece) => piece.range === range))
      if (!isNeeded) this.#parts.state.healedJournal(range)
    }
  }

  // ---- storage ids ----

  /** Deletes, in the background, what no replica here has its state under. A split's two halves share one. */
  #drop(storages: Checkpoint['storages']): void {
    const used = this.#used()
    for (const { storage } of storages) if (!used.has(storage)) this.#parts.state.dropStorage(storage)
  }

  /** Once all replicas are open: what a crash left of snapshots that were never installed, or of old states. */
  dropUnused(): void {
    const used = this.#used()
    for (const storage of this.#allocated()) if (!used.has(storage)) this.#parts.state.dropStorage(storage)
  }

  #allocated(): readonly StorageId[] {
    return Array.from({ length: this.#parts.writer.nextStorage - 1 }, (_, at) => (at + 1) as StorageId)
  }

  #used(): ReadonlySet<StorageId> {
    const used = new Set<StorageId>()
    for (const replica of this.#parts.replicas.values()) for (const { storage } of replica.storages) used.add(storage)
    return used
  }
}
