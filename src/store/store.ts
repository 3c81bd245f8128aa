import type { NodeInfo } from '../base/descriptor.js'
import type { NodeId, RangeId, Version } from '../base/ids.js'
import { NO_VERSION } from '../base/ids.js'
import { limits } from '../base/limits.js'
import type { NodeStatus, ReplySink, Request, ServerHello } from '../kv/requests.js'
import type { StateDamage } from '../storage/types.js'
import { DueTicks } from './due-ticks.js'
import { ReplicaFactory } from './factory.js'
import { figuresOf, type StoreFigures, statusOf } from './figures.js'
import { IdPool } from './id-pool.js'
import { Keeping } from './keeping.js'
import { KnownNodes } from './known-nodes.js'
import { LogTime } from './log-time.js'
import { LogWriter } from './log-writer.js'
import { type JoinResult, MetaDuties } from './meta-duties.js'
import { MetaIndex } from './meta-index.js'
import { openReplicas } from './open-replicas.js'
import { Outbox } from './outbox.js'
import { PeerMessages } from './peer-messages.js'
import type { PeerFrame, PeerMessage } from './ports.js'
import { type Queue, queuesOf } from './queues.js'
import type { Replica } from './replica.js'
import type { ReplicaHost } from './replica-parts.js'
import { failure } from './replies.js'
import { type Reports, reportsOf } from './reports.js'
import { Requests } from './requests.js'
import { Routes } from './routes.js'
import { SessionFloors } from './session-floors.js'
import { StateSync } from './state-sync.js'
import type { StoreOptions } from './store-options.js'
import { Ticker } from './ticker.js'
import { VersionReads } from './version-reads.js'

const STOPPING = failure('UNAVAILABLE', 'this node is stopping')
const LET_GO = failure('UNAVAILABLE', 'this node has let go of the range')

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
  readonly #keeping: Keeping
  readonly #peerMessages: PeerMessages
  readonly #startedMs: number

  #frames: PeerFrame[] = []
  #damages: StateDamage[] = []
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
    const send = (to: NodeId, message: PeerMessage) => {
      this.#outbox.message(to, message)
      wake()
    }
    const touch = (replica: Replica) => this.#touch(replica)
    this.#stateSync = new StateSync({
      log: options.log,
      state: options.state,
      writer: this.#writer,
      replicas,
      wake,
      keptBytesMax: options.logKeptForSlowBytes ?? limits.logKeptForSlowBytes,
      pinned: (replica) => this.#keeping.sender.oldestIndex(replica),
    })
    this.#duties = new MetaDuties({
      self: () => options.self,
      index: this.#index,
      birth: options.birth,
      replicas,
      others: () => this.#nodes.others,
      send,
      touch,
    })
    this.#ids = new IdPool(options.random, (request, count) => this.#duties.requestIds(this.#ids, request, count))
    this.#routes = new Routes({ replicas, index: this.#index, nodes: this.#nodes.byId })
    this.#sessionFloors = new SessionFloors(replicas, touch, { sessionKeptMs: options.sessionKeptMs })
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
      touch,
      isDiskFull: () => options.log.isFull || options.state.isFull,
      status: (id) => ({ kind: 'status', id, version: NO_VERSION, status: this.status() }),
    })
    const { boot, random, log } = options
    this.#factory = new ReplicaFactory({ host: this.#host(), boot, random, log })
    this.#keeping = new Keeping({
      ...options,
      replicas,
      factory: this.#factory,
      writer: this.#writer,
      stateSync: this.#stateSync,
      index: this.#index,
      now: () => this.#time.now,
      send,
      touch,
      refuseAll: (replica) => this.#requests.refuseAll(replica, LET_GO),
    })
    this.#peerMessages = new PeerMessages({
      advance: (replica, to) => this.#advance(replica, to),
      ...this.#keeping.hearers,
      replicas,
      nodes: this.#nodes,
      duties: this.#duties,
      ids: this.#ids,
      send,
      touch,
    })
  }

  #host(): ReplicaHost {
    const { state, codec, clock } = this.#options
    return {
      state,
      codec,
      logBatch: () => this.#writer.lastNumber,
      tick: () => this.#ticker.now,
      now: () => this.#time.now,
      monotonicMs: () => clock.monotonicMs(),
      wallMs: () => clock.wallMs(),
      touch: (replica) => this.#touch(replica),
      ...this.#reports(),
    }
  }

  // ---- life ----

  /** Brings up all replicas from the log and the state store, then serves. `done` when it does. */
  start(done: () => void): void {
    const { stateVerdict = { kind: 'whole' } } = this.#options
    const parts = { ...this.#options, stateVerdict, writer: this.#writer, factory: this.#factory, index: this.#index }
    openReplicas(parts, ({ replicas, broken }) => {
      for (const replica of replicas) {
        this.#replicas.set(replica.range, replica)
        this.#active.add(replica)
        this.#time.needMajorityOf(replica.descriptor.replicas.length)
      }
      // Without a replica it gives no versions, but clients take over what its hello says.
      if (replicas.length === 0) this.#time.needMajorityOf(this.#nodes.byId.size)
      for (const node of this.#index.nodes) this.#nodes.told(node)
      this.#serving = true
      this.#keeping.opened(broken)
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
    for (const replica of this.#replicas.values()) this.#requests.refuseAll(replica, STOPPING)
    this.#ids.refuseAll(STOPPING)
    this.#stateSync.close(done)
    this.#writer.force()
    this.#wake()
  }

  /**
   * Hands on every lead of this node, and takes none from then on; `done` when it leads nothing, or after five seconds. It serves
   * on meanwhile. To be called once, before `stop`.
   */
  drain(done: () => void): void {
    if (this.#stopped || !this.#serving) return done()
    this.#keeping.drain(done)
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
    this.#keeping.sender.peerDown(node)
    for (const replica of this.#replicas.values()) {
      for (const peer of replica.descriptor.replicas) if (peer.node === node) replica.raft.unreachable(peer.replica)
    }
  }

  /** A node said itself who and where it is. */
  nodeSeen(info: NodeInfo): void {
    this.#nodes.seen(info)
  }

  /** The state store found damage in what it holds. */
  stateDamaged(damage: StateDamage): void {
    this.#damages.push(damage)
    this.#wake()
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
    for (const damage of this.#damages.splice(0)) this.#keeping.lifecycle.damaged(damage)
    this.#takeFrames()
    this.#takeRequests()
    if (this.#ticker.take()) this.#tick(this.#ticker.now)
    const active = this.#active
    this.#active = new Set()
    for (const replica of active) if (!this.#isHere(replica)) active.delete(replica)
    return active
  }

  #isHere(replica: Replica): boolean {
    return this.#replicas.get(replica.range) === replica
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
    if (!this.#isHere(replica)) return
    for (const read of replica.reads.takeServable(replica.applied)) this.#requests.serve(replica, read)
    this.#versionReads.turned(replica)
    if (replica.proposals.waiting > 0 && replica.raft.canPropose()) this.#touch(replica)
    this.#dueTicks.watch(replica, this.#ticker.now)
  }

  #collect(replica: Replica): void {
    const ready = replica.raft.takeReady()
    if (ready !== null) {
      replica.accept(ready)
      for (const context of ready.failedReads) this.#requests.refuseReads(replica.reads.fail(context), replica)
      if (ready.restored !== null) this.#keeping.lifecycle.switched(replica, ready.restored)
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
      for (const message of frame.messages) this.#peerMessages.take(frame.from, message)
    }
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
      this.#keeping.upkeep.isDue(tick) ||
      this.#sessionFloors.isDue(tick)
    )
  }

  #tick(now: number): void {
    for (const replica of this.#dueTicks.take(now)) this.#active.add(replica)
    this.#keeping.upkeep.run(now)
    if (this.#duties.isDue(now)) this.#duties.report(now)
    this.#ids.tick(this.#options.clock.monotonicMs())
    if (this.#sessionFloors.isDue(now)) this.#sessionFloors.move(now, this.#time.now)
    this.#versionReads.tick()
  }

  // ---- what replicas report ----

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

  #reports(): Reports {
    return reportsOf({
      index: this.#index,
      nodes: this.#nodes,
      outbox: this.#outbox,
      logger: this.#options.logger,
      duties: () => this.#duties,
      requests: () => this.#requests,
      keeping: () => this.#keeping,
      onApplied: (replica, applied) => this.#options.onApplied?.(replica, applied),
    })
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

  /** Has the replicas of a range that is led here compare what they wrote, now instead of some time. */
  compareDigests(range: RangeId): void {
    const replica = this.#replicas.get(range)
    if (replica?.leads) this.#keeping.digests.ask(replica)
  }

  node(id: NodeId): NodeInfo | undefined {
    return this.#nodes.byId.get(id)
  }

  status(): NodeStatus {
    const uptimeMs = Math.round(this.#options.clock.monotonicMs() - this.#startedMs)
    return statusOf({ ...this.#options, nodes: this.#nodes.all, replicas: this.#replicas.values(), uptimeMs })
  }

  figures(): StoreFigures {
    const { state, log } = this.#options
    const coldReads = this.#requests.coldReads
    const { sender, receiver } = this.#keeping
    const snapshots = { in: receiver.open, out: sender.open }
    return figuresOf({
      replicas: this.#replicas.values(),
      coldReads,
      frames: this.#frames.length,
      snapshots,
      state,
      log,
    })
  }

  /** What waits in this node, each with its bound. */
  queues(): readonly Queue[] {
    const { sender, receiver } = this.#keeping
    return queuesOf({
      replicas: this.#replicas.values(),
      cold: this.#requests.coldQueues,
      versionReadBytes: this.#versionReads.bytesMost,
      snapshotsIn: receiver.open,
      snapshotsOut: sender.open,
      state: this.#options.state,
    })
  }
}
