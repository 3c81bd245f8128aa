import type { NodeId, RangeId, Version } from '../base/ids.js'
import { NO_VERSION } from '../base/ids.js'
import { limits } from '../base/limits.js'
import { neverBuggify } from '../base/ports.js'
import type { NodeStatus } from '../kv/requests.js'
import { DueTicks } from './due-ticks.js'
import { ReplicaFactory } from './factory.js'
import { statusOf } from './figures.js'
import { IdPool } from './id-pool.js'
import { Keeping } from './keeping.js'
import { KnownNodes } from './known-nodes.js'
import { LogTime } from './log-time.js'
import { LogWriter } from './log-writer.js'
import { MetaDuties } from './meta-duties.js'
import { MetaIndex } from './meta-index.js'
import { Outbox } from './outbox.js'
import { PeerMessages } from './peer-messages.js'
import type { PeerMessage } from './ports.js'
import type { Replica } from './replica.js'
import type { ReplicaHost } from './replica-parts.js'
import { failure } from './replies.js'
import { reportsOf } from './reports.js'
import { Requests } from './requests.js'
import { Routes } from './routes.js'
import { SessionFloors } from './session-floors.js'
import { StateSync } from './state-sync.js'
import type { StoreOptions } from './store-options.js'
import { Ticker } from './ticker.js'
import { Transfers } from './transfers.js'
import { VersionReads } from './version-reads.js'

const LET_GO = failure('UNAVAILABLE', 'this node has let go of the range')

/** The loop, as the parts that it drives see it. */
interface Loop {
  /** Another turn is to come. */
  wake(): void
  /** Gives the replica a place in this turn, or the next. */
  touch(replica: Replica): void
}

/** What a node's store is made of, each part given what it needs of the others. In the order in which they need each other. */
export class StoreParts {
  readonly replicas = new Map<RangeId, Replica>()
  readonly index = new MetaIndex()
  readonly outbox = new Outbox()
  /** Replicas by the tick at which time makes them act. */
  readonly dueTicks = new DueTicks<Replica>()
  readonly nodes: KnownNodes
  readonly writer: LogWriter
  readonly ticker: Ticker
  readonly time: LogTime
  readonly stateSync: StateSync
  readonly duties: MetaDuties
  readonly ids: IdPool
  readonly sessionFloors: SessionFloors
  readonly versionReads: VersionReads
  readonly transfers: Transfers
  readonly requests: Requests
  readonly factory: ReplicaFactory
  readonly keeping: Keeping
  readonly peerMessages: PeerMessages
  readonly #options: StoreOptions
  readonly #loop: Loop
  readonly #startedMs: number

  constructor(options: StoreOptions, loop: Loop) {
    this.#options = options
    this.#loop = loop
    const { wake, touch } = loop
    const { log, state, clock, birth, random, boot, raft: bounds, buggify = neverBuggify } = options
    const { replicas, index, outbox } = this
    const monotonicMs = () => clock.monotonicMs()
    const send = (to: NodeId, message: PeerMessage) => {
      outbox.message(to, message)
      wake()
    }
    this.#startedMs = monotonicMs()
    this.time = new LogTime(clock)
    this.nodes = new KnownNodes(options.self, birth.nodes, (info) => options.onNode?.(info))
    this.writer = new LogWriter(log, wake)
    this.ticker = new Ticker(clock, { isIdle: (tick) => this.#isIdle(tick), wake })
    const { nodes, writer, time } = this
    this.stateSync = new StateSync({
      log,
      state,
      writer,
      replicas,
      wake,
      buggify,
      keptBytesMax: options.logKeptForSlowBytes ?? limits.logKeptForSlowBytes,
      pinned: (replica) => this.keeping.sender.oldestIndex(replica),
    })
    const { stateSync } = this
    const self = () => options.self
    this.duties = new MetaDuties({ self, index, birth, replicas, others: () => nodes.others, send, touch })
    const { duties } = this
    this.ids = new IdPool(random, (request, count) => duties.requestIds(this.ids, request, count))
    const { ids } = this
    this.sessionFloors = new SessionFloors(replicas, touch, {
      sessionKeptMs: options.sessionKeptMs,
      outcomesMax: options.sessionOutcomesMax,
    })
    this.versionReads = new VersionReads({
      serve: (replica, read) => this.requests.serve(replica, read),
      advance: (replica, to) => this.#advance(replica, to),
      monotonicMs,
    })
    const routes = new Routes({ replicas, index, nodes: nodes.byId })
    this.transfers = new Transfers({ routes, outbox, monotonicMs, touch })
    this.requests = new Requests({
      replicas,
      routes,
      ids,
      state,
      outbox,
      buggify,
      monotonicMs,
      isAhead: (version) => this.#isAhead(version),
      clusterMs: () => time.clusterMs,
      versionReads: this.versionReads,
      transfers: this.transfers,
      touch,
      isDiskFull: () => log.isFull || state.isFull,
      status: (id) => ({ kind: 'status', id, version: NO_VERSION, status: this.status() }),
    })
    this.factory = new ReplicaFactory({ host: this.#host(), boot, random, log, bounds })
    const { factory } = this
    this.keeping = new Keeping({
      ...options,
      replicas,
      factory,
      writer,
      stateSync,
      index,
      now: () => time.now,
      send,
      touch,
      refuseAll: (replica) => this.requests.refuseAll(replica, LET_GO),
    })
    this.peerMessages = new PeerMessages({
      advance: (replica, to) => this.#advance(replica, to),
      ...this.keeping.hearers,
      replicas,
      nodes,
      duties,
      ids,
      send,
      touch,
    })
  }

  #host(): ReplicaHost {
    const { state, codec, clock, logger, buggify = neverBuggify } = this.#options
    const { index, nodes, outbox } = this
    return {
      state,
      codec,
      buggify,
      logBatch: () => this.writer.lastNumber,
      tick: () => this.ticker.now,
      now: () => this.time.now,
      monotonicMs: () => clock.monotonicMs(),
      wallMs: () => clock.wallMs(),
      touch: this.#loop.touch,
      ...reportsOf({
        index,
        nodes,
        outbox,
        logger,
        duties: () => this.duties,
        requests: () => this.requests,
        keeping: () => this.keeping,
        onApplied: (replica, applied) => this.#options.onApplied?.(replica, applied),
      }),
    }
  }

  /** Nobody acts at that tick, so it needs no turn. */
  #isIdle(tick: number): boolean {
    return !(
      this.dueTicks.has(tick) ||
      this.duties.isDue(tick) ||
      this.ids.isWaiting ||
      this.versionReads.isWaiting ||
      this.transfers.isWaiting ||
      this.keeping.upkeep.isDue(tick) ||
      this.sessionFloors.isDue(tick)
    )
  }

  /** Has the log of a range reach a version. Those too far in the future are not for the log, whoever asks. */
  /**
   * One that a log here has reached is the cluster's own: it may have been given when the clocks were ahead, which are set right now, and
   * log time, which goes on from there in the same process, begins anew with the clocks in the next.
   */
  #isAhead(version: Version): boolean {
    if (version <= this.time.door) return false
    for (const { raft } of this.replicas.values()) if (raft.lastTimestamp >= version) return false
    return true
  }

  #advance(replica: Replica, version: Version): void {
    if (replica.leads) {
      if (this.#isAhead(version)) return
      replica.advanceTo(version)
      return this.#loop.touch(replica)
    }
    const { leader } = replica.raft
    const node = replica.leaderNode
    if (leader === null || node === null) return
    this.outbox.message(node, { type: 'advance', range: replica.range, from: replica.id, to: leader, version })
  }

  status(): NodeStatus {
    const uptimeMs = Math.round(this.#options.clock.monotonicMs() - this.#startedMs)
    return statusOf({ ...this.#options, nodes: this.nodes.all, replicas: this.replicas.values(), uptimeMs })
  }
}
