import type { BootId, NodeId, RangeId, Version } from '../base/ids.js'
import { limits } from '../base/limits.js'
import { type Clock, type Logger, type Metrics, type Random, silentMetrics } from '../base/ports.js'
import type { NodeLog, StateStore } from '../storage/types.js'
import { Drain } from './drain.js'
import type { ReplicaFactory } from './factory.js'
import { Lifecycle } from './lifecycle.js'
import type { LogWriter } from './log-writer.js'
import { Missed } from './membership/missed.js'
import { Placement } from './membership/placement.js'
import { Replacement } from './membership/replacement.js'
import type { MetaIndex } from './meta-index.js'
import type { PeerMessage } from './ports.js'
import type { Replica } from './replica.js'
import type { EntryCodec } from './replica-parts.js'
import { SnapshotReceiver } from './snapshots/receiver.js'
import { SnapshotSender } from './snapshots/sender.js'
import type { StateSync } from './state-sync.js'
import { CollectionFloors } from './upkeep/collection-floors.js'
import { Collector } from './upkeep/collector.js'
import { Digests } from './upkeep/digests.js'
import { EntryRepair } from './upkeep/entry-repair.js'
import { Upkeep } from './upkeep/upkeep.js'

export interface KeepingParts {
  readonly replicas: Map<RangeId, Replica>
  readonly factory: ReplicaFactory
  readonly log: NodeLog
  readonly state: StateStore
  readonly writer: LogWriter
  readonly stateSync: StateSync
  readonly index: MetaIndex
  readonly codec: EntryCodec
  readonly boot: BootId
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics?: Metrics
  readonly snapshotChunkBytes?: number
  readonly historyKeptMs?: number
  now(): Version
  send(to: NodeId, message: PeerMessage): void
  touch(replica: Replica): void
  /** What waits at the replica is to be refused. */
  refuseAll(replica: Replica): void
}

/** In ticks of 20 ms. */
const EVERY = {
  snapshots: 5,
  repair: 10,
  drain: 2,
  membership: 25,
  collection: 250,
  floors: 500,
  digests: 500,
} as const

/** What keeps a node's replicas whole beside the work for clients: who comes and goes, snapshots, repairs, collection, draining. */
export class Keeping {
  readonly lifecycle: Lifecycle
  readonly placement: Placement
  readonly replacement: Replacement
  readonly sender: SnapshotSender
  readonly receiver: SnapshotReceiver
  readonly repair: EntryRepair
  readonly digests: Digests
  readonly upkeep: Upkeep
  readonly #parts: KeepingParts
  #drain: Drain | null = null

  constructor(parts: KeepingParts) {
    this.#parts = parts
    const { replicas, factory, log, state, writer, stateSync, index, codec, random, logger, send, touch } = parts
    const monotonicMs = () => parts.clock.monotonicMs()
    const metrics = parts.metrics ?? silentMetrics
    this.lifecycle = new Lifecycle({
      replicas,
      factory,
      log,
      writer,
      state,
      stateSync,
      index,
      codec,
      logger,
      touch,
      onStateGone: (replica) => this.#stateGone(replica),
      onChild: (replica) => this.repair.watch(replica),
    })
    const { lifecycle } = this
    const lowestAllowed = (range: RangeId) => lifecycle.lowestAllowed(range)
    this.placement = new Placement({
      replicas,
      random,
      lowestAllowed,
      missed: new Missed({ replicas, log, lowestAllowed }),
      create: (range, replica) => lifecycle.create(range, replica),
      createMissed: (of, replica) => lifecycle.createMissed(of, replica),
      discard: (replica) => lifecycle.remove(replica),
      send,
    })
    this.replacement = new Replacement({ replicas, send, monotonicMs, touch, logger })
    this.sender = new SnapshotSender({
      boot: parts.boot,
      state,
      encodeChunk: (chunk) => codec.encodeChunk(chunk),
      send,
      monotonicMs,
      touch,
      logger,
      metrics,
      chunkBytes: parts.snapshotChunkBytes ?? limits.snapshotChunkBytes,
      bytesPerSecond: limits.snapshotBytesPerSecond,
    })
    this.receiver = new SnapshotReceiver({
      replicas,
      state,
      decodeChunk: (bytes) => codec.decodeChunk(bytes),
      allocateStorage: (done) => lifecycle.allocateStorage(done),
      overlapping: (replica, offer) => lifecycle.overlapping(replica, offer),
      install: (replica, offer, storage, done) => lifecycle.install(replica, offer, storage, done),
      send,
      monotonicMs,
      touch,
      logger,
      metrics,
    })
    this.repair = new EntryRepair({
      replicas,
      log,
      repair: (range, entry, done) => writer.repair(range, entry, done),
      onLost: (replica, what) => lifecycle.quarantine(replica, what),
      send,
      touch,
      logger,
    })
    const onDivergence = (replica: Replica, what: string) => lifecycle.quarantine(replica, what)
    this.digests = new Digests({ replicas, send, touch, onDivergence })
    this.upkeep = this.#jobs(new Collector(state, replicas), new CollectionFloors(replicas, touch, parts.historyKeptMs))
  }

  #jobs(collector: Collector, floors: CollectionFloors): Upkeep {
    const { sender, receiver, repair, replacement, digests } = this
    const { now } = this.#parts
    return new Upkeep([
      { everyTicks: EVERY.snapshots, isWaiting: () => sender.isWaiting, run: () => sender.look() },
      { everyTicks: EVERY.snapshots, isWaiting: () => receiver.isWaiting, run: () => receiver.look() },
      { everyTicks: EVERY.repair, isWaiting: () => repair.isWaiting, run: () => repair.look() },
      { everyTicks: EVERY.membership, isWaiting: () => replacement.isWaiting, run: () => replacement.look() },
      { everyTicks: EVERY.drain, isWaiting: () => this.#drain !== null, run: () => this.#lookDrain() },
      { everyTicks: EVERY.collection, run: () => collector.look() },
      { everyTicks: EVERY.floors, run: () => floors.look(now()) },
      { everyTicks: EVERY.digests, run: () => digests.look(now()) },
    ])
  }

  /** Who is told what other nodes say. */
  get hearers() {
    const { lifecycle, placement, replacement, sender, receiver, repair, digests } = this
    return { lifecycle, placement, replacement, sender, receiver, repair, digests }
  }

  /** The replicas of this start are there, those of `broken` without what their sessions are rebuilt from. */
  opened(broken: readonly Replica[]): void {
    for (const replica of this.#parts.replicas.values()) this.repair.watch(replica)
    for (const replica of broken) this.lifecycle.quarantine(replica, 'its journal is damaged')
    this.lifecycle.dropUnused()
  }

  /** Hands on every lead; `done` once this node leads nothing, or after five seconds. */
  drain(done: () => void): void {
    const { replicas, touch, clock } = this.#parts
    this.#drain = new Drain({ replicas, touch, nowMs: clock.monotonicMs(), done })
    this.#lookDrain()
  }

  #lookDrain(): void {
    this.#drain?.look(this.#parts.clock.monotonicMs())
  }

  #stateGone(replica: Replica): void {
    this.#parts.refuseAll(replica)
    this.sender.drop(replica)
    this.digests.drop(replica.range)
    if (this.#parts.replicas.get(replica.range) !== replica) this.receiver.drop(replica)
  }
}
