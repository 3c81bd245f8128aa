import type { NodeInfo } from '../base/descriptor.js'
import type { NodeId, RangeId, Version } from '../base/ids.js'
import { type Buggify, neverBuggify } from '../base/ports.js'
import type { NodeStatus, ReplySink, Request, ServerHello } from '../kv/requests.js'
import type { StateDamage } from '../storage/types.js'
import { heirsOf } from './drain.js'
import { figuresOf, type StoreFigures } from './figures.js'
import type { JoinResult } from './meta-duties.js'
import { openReplicas } from './open-replicas.js'
import type { PeerFrame } from './ports.js'
import { type Queue, queuesOf } from './queues.js'
import type { Replica } from './replica.js'
import { failure } from './replies.js'
import type { StoreOptions } from './store-options.js'
import { StoreParts } from './store-parts.js'

const STOPPING = failure('UNAVAILABLE', 'this node is stopping')

/** One node: its replicas, and the one loop that drives them. Callers only enqueue; everything happens in turns. */
export class Store {
  readonly #options: StoreOptions
  readonly #parts: StoreParts
  readonly #buggify: Buggify

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
    this.#buggify = options.buggify ?? neverBuggify
    this.#parts = new StoreParts(options, { wake: () => this.#wake(), touch: (replica) => this.#touch(replica) })
  }

  // ---- life ----

  /** Brings up all replicas from the log and the state store, then serves. `done` when it does. */
  start(done: () => void): void {
    const { stateVerdict = { kind: 'whole' } } = this.#options
    const { writer, factory, index, nodes, time, keeping, ticker } = this.#parts
    openReplicas({ ...this.#options, stateVerdict, writer, factory, index }, ({ replicas, broken }) => {
      for (const replica of replicas) {
        this.#parts.replicas.set(replica.range, replica)
        this.#active.add(replica)
        // While a replica is being replaced its node has two.
        time.needMajorityOf(new Set(replica.descriptor.replicas.map(({ node }) => node)).size)
      }
      // Without a replica it gives no versions, but clients take over what its hello says.
      if (replicas.length === 0) time.needMajorityOf(nodes.byId.size)
      for (const node of index.nodes) nodes.told(node)
      this.#serving = true
      keeping.opened(broken)
      ticker.start()
      this.#wake()
      done()
    })
    writer.flush()
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
    const { ticker, replicas, requests, ids, stateSync, writer } = this.#parts
    ticker.stop()
    for (const replica of replicas.values()) requests.refuseAll(replica, STOPPING)
    ids.refuseAll(STOPPING)
    stateSync.close(done)
    writer.force()
    this.#wake()
  }

  /**
   * Hands on every lead of this node, and takes none from then on; `done` when it leads nothing, or after five seconds. It serves
   * on meanwhile. To be called once, before `stop`.
   */
  drain(done: () => void): void {
    if (this.#stopped || !this.#serving) return done()
    this.#parts.keeping.drain(done)
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
    this.#parts.nodes.lost(node)
    this.#parts.keeping.sender.peerDown(node)
    for (const replica of this.#parts.replicas.values()) {
      for (const peer of replica.descriptor.replicas) if (peer.node === node) replica.raft.unreachable(peer.replica)
    }
  }

  /** A node said itself who and where it is. */
  nodeSeen(info: NodeInfo): void {
    this.#parts.nodes.seen(info)
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
    this.#parts.duties.join(request, done)
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
    const { time, writer, outbox, stateSync } = this.#parts
    if (this.#serving) time.read()
    this.#taking = this.#serving
    writer.drainFinished()
    const active = this.#serving ? this.#takeInputs() : []
    this.#taking = false
    for (const replica of active) this.#propose(replica)
    outbox.flushMessages(this.#options.transport)
    writer.flush()
    for (const replica of active) this.#apply(replica)
    if (this.#serving) stateSync.maybeStart(this.#options.stateSyncEveryBytes)
    if (this.#stopped) this.#refuseArrived()
    outbox.flushReplies()
    this.#options.state.logDurable(writer.durable)
    if (outbox.hasMessages) this.#wake()
  }

  /** Returns the replicas with something to do in this turn. */
  #takeInputs(): Iterable<Replica> {
    for (const damage of this.#damages.splice(0)) this.#parts.keeping.lifecycle.damaged(damage)
    this.#takeFrames()
    this.#takeRequests()
    if (this.#parts.ticker.take()) this.#tick(this.#parts.ticker.now)
    const active = this.#active
    this.#active = new Set()
    for (const replica of active) if (!this.#isHere(replica)) active.delete(replica)
    return active
  }

  #isHere(replica: Replica): boolean {
    return this.#parts.replicas.get(replica.range) === replica
  }

  #propose(replica: Replica): void {
    replica.takeTicks()
    replica.propose()
    if (this.#buggify('late round')) this.#touch(replica)
    else this.#beginRound(replica)
    if (replica.leads && this.#buggify('lead handed on')) handOn(replica)
    this.#collect(replica)
  }

  #beginRound(replica: Replica): void {
    const refused = replica.reads.begin(
      (context) => replica.raft.readIndex(context),
      () => replica.leaseIndex(),
    )
    this.#parts.requests.refuseReads(refused, replica)
  }

  #apply(replica: Replica): void {
    replica.applyCommitted()
    if (!this.#isHere(replica)) return
    for (const read of replica.reads.takeServable(replica.applied)) this.#parts.requests.serve(replica, read)
    this.#parts.versionReads.turned(replica)
    if (replica.proposals.waiting > 0 && replica.raft.canPropose()) this.#touch(replica)
    this.#parts.dueTicks.watch(replica, this.#parts.ticker.now)
  }

  #collect(replica: Replica): void {
    const ready = replica.raft.takeReady()
    if (ready !== null) {
      replica.accept(ready)
      for (const context of ready.failedReads) this.#parts.requests.refuseReads(replica.reads.fail(context), replica)
      if (ready.restored !== null) this.#parts.keeping.lifecycle.switched(replica, ready.restored)
      this.#parts.writer.add(replica.range, replica, ready)
      if (replica.raft.hasMoreToSend) this.#touch(replica)
    }
    replica.observeLease()
  }

  #takeFrames(): void {
    const { time, peerMessages } = this.#parts
    if (this.#frames.length === 0) return
    const frames = this.#frames
    this.#frames = []
    for (const frame of frames) {
      time.heard(frame.from, frame.wallMs)
      for (const message of frame.messages) peerMessages.take(frame.from, message)
    }
  }

  #takeRequests(): void {
    if (this.#arrived.length === 0) return
    const arrived = this.#arrived
    this.#arrived = []
    for (const { requests, sink } of arrived) for (const request of requests) this.#parts.requests.take(request, sink)
  }

  #refuseArrived(): void {
    for (const { requests, sink } of this.#arrived.splice(0)) {
      for (const request of requests) this.#parts.requests.refuse(request, sink, STOPPING)
    }
  }

  #tick(now: number): void {
    const { dueTicks, keeping, duties, ids, sessionFloors, versionReads, transfers, time } = this.#parts
    for (const replica of dueTicks.take(now)) this.#active.add(replica)
    keeping.upkeep.run(now)
    if (duties.isDue(now)) duties.report(now)
    ids.tick(this.#options.clock.monotonicMs())
    if (sessionFloors.isDue(now)) sessionFloors.move(now, time.now)
    versionReads.tick()
    transfers.tick()
  }

  // ---- what others may ask ----

  get now(): Version {
    return this.#parts.time.now
  }

  hello(): ServerHello {
    const { time, nodes } = this.#parts
    if (this.#serving) time.read()
    const { cluster, self } = this.#options
    return { cluster, node: self.node, nodes: nodes.all, version: time.now }
  }

  replica(range: RangeId): Replica | undefined {
    return this.#parts.replicas.get(range)
  }

  get replicas(): Iterable<Replica> {
    return this.#parts.replicas.values()
  }

  /** Has the replicas of a range that is led here compare what they wrote, now instead of some time. */
  compareDigests(range: RangeId): void {
    const replica = this.#parts.replicas.get(range)
    if (replica?.leads) this.#parts.keeping.digests.ask(replica)
  }

  node(id: NodeId): NodeInfo | undefined {
    return this.#parts.nodes.byId.get(id)
  }

  status(): NodeStatus {
    return this.#parts.status()
  }

  /** How many are on their way to and from this node. */
  get snapshots(): StoreFigures['snapshots'] {
    const { sender, receiver } = this.#parts.keeping
    return { in: receiver.open, out: sender.open }
  }

  figures(): StoreFigures {
    const { requests, replicas } = this.#parts
    const { state, log } = this.#options
    return figuresOf({
      replicas: replicas.values(),
      coldReads: requests.coldReads,
      frames: this.#frames.length,
      snapshots: this.snapshots,
      state,
      log,
    })
  }

  /** What waits in this node, each with its bound. */
  queues(): readonly Queue[] {
    const { requests, replicas, keeping, transfers, versionReads } = this.#parts
    const { sender, receiver } = keeping
    return queuesOf({
      replicas: replicas.values(),
      others: [...requests.coldQueues, transfers.queue],
      versionReadBytes: versionReads.bytesMost,
      snapshotsIn: receiver.open,
      snapshotsOut: sender.open,
      state: this.#options.state,
    })
  }
}

function handOn(replica: Replica): void {
  const [heir] = heirsOf(replica)
  if (heir !== undefined) replica.raft.transferLead(heir)
}
