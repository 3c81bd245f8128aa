import type { NodeInfo } from '../base/descriptor.js'
import type { BootId, ClusterId, NodeId, RangeId, Version } from '../base/ids.js'
import { META_RANGE, NO_VERSION } from '../base/ids.js'
import type { Clock, Fatal, Logger, Random } from '../base/ports.js'
import type { NodeStatus, ReplySink, Request, ServerHello } from '../kv/requests.js'
import type { AppliedEntry, SplitEffect } from '../kv/types.js'
import type { Message } from '../raft/types.js'
import type { Checkpoint, NodeLog, StateStore } from '../storage/types.js'
import { DueTicks } from './due-ticks.js'
import { type Birth, openReplicas, ReplicaFactory } from './factory.js'
import { figuresOf, type StoreFigures } from './figures.js'
import { IdPool } from './id-pool.js'
import { KnownNodes } from './known-nodes.js'
import { LogTime } from './log-time.js'
import { LogWriter } from './log-writer.js'
import { type JoinResult, MetaDuties } from './meta-duties.js'
import { MetaIndex } from './meta-index.js'
import { Outbox } from './outbox.js'
import type { PeerFrame, PeerMessage, PeerTransport } from './ports.js'
import type { EntryCodec, Replica, ReplicaHost } from './replica.js'
import { failed, failure } from './replies.js'
import { Requests } from './requests.js'
import { Routes } from './routes.js'
import { SessionFloors } from './session-floors.js'
import { StateSync } from './state-sync.js'
import { Ticker } from './ticker.js'
import { VersionReads } from './version-reads.js'

export interface StoreOptions {
  readonly cluster: ClusterId
  /** This node as others reach it. */
  readonly self: NodeInfo
  readonly boot: BootId
  /** Nodes and ranges the cluster was born with; ranges without a replica here are no concern of this node. */
  readonly birth: Birth
  readonly log: NodeLog
  readonly state: StateStore
  readonly codec: EntryCodec
  readonly transport: PeerTransport
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly fatal: Fatal
  /** A state sync starts when this much was logged since the last one. Default limits.stateSyncEveryBytes. */
  readonly stateSyncEveryBytes?: number
  /** Called when a node is first heard of, or its addresses change. */
  onNode?(info: NodeInfo): void
  /** For checkers and tests: sees every entry that a replica of this node applied, in order. */
  onApplied?(replica: Replica, applied: AppliedEntry): void
}

const STOPPING = failure('UNAVAILABLE', 'this node is stopping')

/** One node: its replicas, and the one loop that drives them. Callers only enqueue; everything happens in turns. */
export class Store {
  readonly #options: StoreOptions
  readonly #replicas = new Map<RangeId, Replica>()
  readonly #nodes: KnownNodes
  readonly #index = new MetaIndex()
  readonly #outbox = new Outbox()
  readonly #writer: LogWriter
  readonly #stateSync: StateSync
  readonly #ticker: Ticker
  readonly #time: LogTime
  /** Replicas by the tick at which time makes them act. */
  readonly #dueTicks = new DueTicks<Replica>()
  readonly #duties: MetaDuties
  readonly #ids: IdPool
  readonly #routes: Routes
  readonly #requests: Requests
  readonly #sessionFloors: SessionFloors
  readonly #versionReads: VersionReads
  readonly #factory: ReplicaFactory
  readonly #startedMs: number

  #frames: PeerFrame[] = []
  #arrived: { readonly requests: readonly Request[]; readonly sink: ReplySink }[] = []
  /** Replicas with something to do in this turn. */
  #active = new Set<Replica>()
  #scheduled = false
  /** This turn takes its inputs, or is about to: what becomes active now has its place in it. */
  #taking = false
  #serving = false
  #stopped = false

  constructor(options: StoreOptions) {
    this.#options = options
    this.#startedMs = options.clock.monotonicMs()
    this.#time = new LogTime(options.clock)
    this.#nodes = new KnownNodes(options.self, options.birth.nodes, (info) => options.onNode?.(info))
    const wake = () => this.#wake()
    this.#writer = new LogWriter(options.log, wake)
    this.#ticker = new Ticker(options.clock, { isIdle: (tick) => this.#isIdle(tick), wake })
    const replicas = this.#replicas
    this.#stateSync = new StateSync({ log: options.log, state: options.state, writer: this.#writer, replicas, wake })
    this.#duties = new MetaDuties({
      self: () => options.self,
      index: this.#index,
      birth: options.birth,
      replicas,
      others: () => [...this.#nodes.byId.keys()].filter((node) => node !== options.self.node),
      send: (to, message) => this.#outbox.message(to, message),
      touch: (replica) => this.#touch(replica),
    })
    this.#ids = new IdPool(options.random, (request, count) => this.#duties.requestIds(this.#ids, request, count))
    this.#routes = new Routes({ replicas, index: this.#index, nodes: this.#nodes.byId })
    this.#sessionFloors = new SessionFloors(replicas, (replica) => this.#touch(replica))
    this.#versionReads = new VersionReads({
      serve: (replica, read) => this.#requests.serve(replica, read),
      advance: (replica, to) => this.#advance(replica, to),
      monotonicMs: () => options.clock.monotonicMs(),
    })
    this.#requests = new Requests({
      replicas,
      routes: this.#routes,
      ids: this.#ids,
      state: options.state,
      outbox: this.#outbox,
      monotonicMs: () => options.clock.monotonicMs(),
      doorVersion: () => this.#time.door,
      clusterMs: () => this.#time.clusterMs,
      versionReads: this.#versionReads,
      touch: (replica) => this.#touch(replica),
      status: (id) => ({ kind: 'status', id, version: NO_VERSION, status: this.status() }),
    })
    const { boot, random, log } = options
    this.#factory = new ReplicaFactory({ host: this.#host(), node: options.self.node, boot, random, log })
  }

  #host(): ReplicaHost {
    return {
      state: this.#options.state,
      codec: this.#options.codec,
      logBatch: () => this.#writer.lastNumber,
      tick: () => this.#ticker.now,
      now: () => this.#time.now,
      monotonicMs: () => this.#options.clock.monotonicMs(),
      wallMs: () => this.#options.clock.wallMs(),
      send: (replica, message) => this.#send(replica, message),
      touch: (replica) => this.#touch(replica),
      onApplied: (replica, applied) => this.#onApplied(replica, applied),
      onSplit: (replica, effect, storages) => this.#onSplit(replica, effect, storages),
      onLeadership: (replica) => this.#onLeadership(replica),
    }
  }

  // ---- life ----

  /** Brings up all replicas from the log and the state store, then serves. `done` when it does. */
  start(done: () => void): void {
    openReplicas({ ...this.#options, writer: this.#writer, factory: this.#factory, index: this.#index }, (replicas) => {
      for (const replica of replicas) {
        this.#replicas.set(replica.range, replica)
        this.#active.add(replica)
        this.#time.needMajorityOf(replica.descriptor.replicas.length)
      }
      // Without a replica it gives no versions, but clients take over what its hello says.
      if (replicas.length === 0) this.#time.needMajorityOf(this.#nodes.byId.size)
      for (const node of this.#index.nodes) this.#nodes.told(node)
      this.#serving = true
      this.#ticker.start()
      this.#wake()
      done()
    })
    this.#writer.flush()
    this.#wake()
  }

  /**
   * Answers what waits, takes no more work, makes the state durable so that the next start replays little, then calls `done`. From
   * the call on nothing is stepped, so when `done` runs nothing is on its way to the log, and it may be closed.
   */
  stop(done: () => void): void {
    if (this.#stopped) return done()
    this.#stopped = true
    this.#serving = false
    this.#ticker.stop()
    const unknown = failure('OUTCOME_UNKNOWN', 'this node stopped before the outcome was known')
    for (const replica of this.#replicas.values()) {
      replica.proposals.leadLost(failed(STOPPING), failed(unknown))
      for (const { request, sink } of replica.reads.takeAll()) this.#requests.refuse(request, sink, STOPPING)
    }
    for (const { request, sink } of this.#versionReads.takeAll()) this.#requests.refuse(request, sink, STOPPING)
    this.#ids.refuseAll(STOPPING)
    this.#stateSync.start(done)
    this.#writer.force()
    this.#wake()
  }

  // ---- inputs: they only enqueue ----

  receive(frame: PeerFrame): void {
    if (this.#stopped) return
    this.#frames.push(frame)
    this.#wake()
  }

  /** No requests: a turn is taken all the same, which shows that the loop runs. */
  submit(requests: readonly Request[], sink: ReplySink): void {
    this.#arrived.push({ requests, sink })
    this.#wake()
  }

  /** The transport lost its connection to a node. */
  peerDown(node: NodeId): void {
    this.#nodes.lost(node)
    for (const replica of this.#replicas.values()) {
      const peer = replica.descriptor.replicas.find((each) => each.node === node)
      if (peer !== undefined) replica.raft.unreachable(peer.replica)
    }
  }

  /** A node said itself who and where it is. */
  nodeSeen(info: NodeInfo): void {
    this.#nodes.seen(info)
  }

  /** Gives a new node its id, or names the node that can. */
  join(
    request: { token: string; clientAddress: string; peerAddress: string; pid: number },
    done: (result: JoinResult) => void,
  ): void {
    if (this.#stopped) return done({ kind: 'redirect', leader: null })
    this.#duties.join(request, done)
    this.#wake()
  }

  // ---- the turn ----

  #wake(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    this.#options.clock.defer(() => {
      this.#scheduled = false
      try {
        this.#turn()
      } catch (error) {
        this.#options.fatal('the store contradicts itself', error)
      }
    })
  }

  #touch(replica: Replica): void {
    this.#active.add(replica)
    if (!this.#taking) this.#wake()
  }

  /**
   * One turn runs to completion and awaits nothing: what it starts (log append, fetch, state batch) comes back as an input of a
   * later one. The order:
   *
   * 1. Hear what became durable, what peers sent, what clients ask, and time.
   * 2. Propose what gathered, one entry per range; begin read rounds. After the frames, so that a read joins only a round that
   *    leaves after it arrived, and a deposed leader has heard so.
   * 3. Collect the cores' effects. Appends leave before the local disk write: they promise nothing of this node, and the peers'
   *    fsyncs overlap with ours (thesis 10.2.1). Acknowledgements and votes do promise, and stay behind in the log batch.
   * 4. Hand the batch of all ranges to the log: one write, one fsync.
   * 5. Apply what is committed. After 4, because the state batch is tagged with the log batch that holds its entries and goes to
   *    LevelDB only behind it: state that our own log does not cover could not be told from damage after a power cut.
   * 6. Answer reads whose index is applied, and all waiters, in one message per client. Only then is LevelDB given what has become
   *    durable: nobody waits for it.
   *
   * What apply has for other nodes (ids for their splits) leaves with the next turn: a peer gets one frame per turn.
   */
  #turn(): void {
    if (this.#serving) this.#time.read()
    this.#taking = this.#serving
    this.#writer.drainFinished()
    const active = this.#serving ? this.#takeInputs() : []
    this.#taking = false
    for (const replica of active) this.#propose(replica)
    this.#outbox.flushMessages(this.#options.transport)
    this.#writer.flush()
    for (const replica of active) this.#apply(replica)
    if (this.#serving) this.#stateSync.maybeStart(this.#options.stateSyncEveryBytes)
    if (this.#stopped) this.#refuseArrived()
    this.#outbox.flushReplies()
    this.#options.state.logDurable(this.#writer.durable)
    if (this.#outbox.hasMessages) this.#wake()
  }

  /** Returns the replicas with something to do in this turn. */
  #takeInputs(): Iterable<Replica> {
    this.#takeFrames()
    this.#takeRequests()
    if (this.#ticker.take()) this.#tick(this.#ticker.now)
    const active = this.#active
    this.#active = new Set()
    return active
  }

  #propose(replica: Replica): void {
    replica.takeTicks()
    replica.propose()
    const refused = replica.reads.begin(
      (context) => replica.raft.readIndex(context),
      () => replica.leaseIndex(),
    )
    this.#requests.refuseReads(refused, replica)
    this.#collect(replica)
  }

  #apply(replica: Replica): void {
    replica.applyCommitted()
    for (const read of replica.reads.takeServable(replica.applied)) this.#requests.serve(replica, read)
    this.#versionReads.turned(replica)
    if (replica.proposals.waiting > 0) this.#touch(replica)
    this.#dueTicks.watch(replica, this.#ticker.now)
  }

  #collect(replica: Replica): void {
    const ready = replica.raft.takeReady()
    if (ready !== null) {
      replica.accept(ready)
      for (const context of ready.failedReads) this.#requests.refuseReads(replica.reads.fail(context), replica)
      this.#writer.add(replica.range, replica, ready)
      if (replica.raft.hasMoreToSend) this.#touch(replica)
    }
    replica.observeLease()
  }

  #takeFrames(): void {
    if (this.#frames.length === 0) return
    const frames = this.#frames
    this.#frames = []
    for (const frame of frames) {
      this.#time.heard(frame.from, frame.wallMs)
      for (const message of frame.messages) this.#takeMessage(frame.from, message)
    }
  }

  #takeMessage(from: NodeId, message: PeerMessage): void {
    switch (message.type) {
      case 'report':
        for (const node of message.nodes) this.nodeSeen(node)
        return this.#duties.reported(message.descriptors, message.nodes)
      case 'allocate':
        return this.#duties.allocateRanges(message.count, (first) =>
          this.#outbox.message(from, { type: 'allocated', request: message.request, first }),
        )
      case 'allocated':
        return this.#ids.allocated(message.request, message.first)
      case 'advance': {
        const replica = this.#replicas.get(message.range)
        return replica?.leads ? this.#advance(replica, message.version) : undefined
      }
      default:
        if ('boot' in message) this.#step(from, message)
    }
  }

  /** Messages for ranges that are not here are dropped: a split's child is made by its parent's log alone. */
  #step(from: NodeId, message: Message): void {
    const replica = this.#replicas.get(message.range)
    if (replica === undefined || replica.nodeOf(message.from) !== from) return
    replica.takeTicks()
    replica.raft.step(message)
    this.#active.add(replica)
  }

  #takeRequests(): void {
    if (this.#arrived.length === 0) return
    const arrived = this.#arrived
    this.#arrived = []
    for (const { requests, sink } of arrived) for (const request of requests) this.#requests.take(request, sink)
  }

  #refuseArrived(): void {
    for (const { requests, sink } of this.#arrived.splice(0)) {
      for (const request of requests) this.#requests.refuse(request, sink, STOPPING)
    }
  }

  /** Nobody acts at that tick, so it needs no turn. */
  #isIdle(tick: number): boolean {
    return !(
      this.#dueTicks.has(tick) ||
      this.#duties.isDue(tick) ||
      this.#ids.isWaiting ||
      this.#versionReads.isWaiting ||
      this.#sessionFloors.isDue(tick)
    )
  }

  #tick(now: number): void {
    for (const replica of this.#dueTicks.take(now)) this.#active.add(replica)
    if (this.#duties.isDue(now)) this.#duties.report(now)
    this.#ids.tick(this.#options.clock.monotonicMs())
    if (this.#sessionFloors.isDue(now)) this.#sessionFloors.move(now, this.#time.now)
    this.#versionReads.tick()
  }

  // ---- what replicas report ----

  #send(replica: Replica, message: Message): void {
    const node = replica.nodeOf(message.to)
    if (node !== null) this.#outbox.message(node, message)
  }

  /** Versions too far in the future are not for the log, whoever asks. */
  #advance(replica: Replica, version: Version): void {
    if (replica.leads) {
      if (version > this.#time.door) return
      replica.advanceTo(version)
      return this.#touch(replica)
    }
    const { leader } = replica.raft
    const node = replica.leaderNode
    if (leader === null || node === null) return
    this.#outbox.message(node, { type: 'advance', range: replica.range, from: replica.id, to: leader, version })
  }

  #onLeadership(replica: Replica): void {
    const { raft, leaderNode, range } = replica
    const { role, term, leader } = raft
    this.#options.logger.log('info', 'leadership', { range, role, term, leader, leaderNode })
    if (replica.leads) return this.#duties.reportSoon()
    const routes = [this.#routes.of(replica)]
    replica.proposals.leadLost(
      failed(failure('NOT_LEADER', `range ${range} has another leader`, { routes })),
      failed(failure('OUTCOME_UNKNOWN', `range ${range} lost its leader while the write was on its way`, { routes })),
    )
  }

  #onApplied(replica: Replica, applied: AppliedEntry): void {
    if (replica.range === META_RANGE) {
      for (const record of applied.records) {
        const node = this.#index.applied(record)
        if (node !== null) this.#nodes.told(node)
      }
    }
    this.#options.onApplied?.(replica, applied)
  }

  #onSplit(parent: Replica, effect: SplitEffect, storages: Checkpoint['storages']): void {
    const range = effect.bookkeeping.descriptor.range
    if (this.#replicas.has(range)) return
    const child = this.#factory.child(parent, effect, storages)
    if (child === null) return
    this.#options.logger.log('info', 'split', {
      range: parent.range,
      child: range,
      generation: parent.descriptor.generation,
    })
    this.#replicas.set(range, child)
    this.#touch(child)
    this.#duties.reportSoon()
  }

  // ---- what others may ask ----

  get now(): Version {
    return this.#time.now
  }

  hello(): ServerHello {
    if (this.#serving) this.#time.read()
    const { cluster, self } = this.#options
    return { cluster, node: self.node, nodes: this.#nodes.all, version: this.#time.now }
  }

  replica(range: RangeId): Replica | undefined {
    return this.#replicas.get(range)
  }

  get replicas(): Iterable<Replica> {
    return this.#replicas.values()
  }

  node(id: NodeId): NodeInfo | undefined {
    return this.#nodes.byId.get(id)
  }

  status(): NodeStatus {
    const { cluster, self, clock, state, log } = this.#options
    return {
      cluster,
      node: self,
      nodes: this.#nodes.all,
      replicas: [...this.#replicas.values()].map((replica) => replica.status()),
      uptimeMs: Math.round(clock.monotonicMs() - this.#startedMs),
      overlayBytes: state.overlayBytes,
      logBytes: log.diskBytes,
    }
  }

  figures(): StoreFigures {
    const { state, log } = this.#options
    const coldReads = this.#requests.coldReads
    return figuresOf({ replicas: this.#replicas.values(), coldReads, frames: this.#frames.length, state, log })
  }
}
