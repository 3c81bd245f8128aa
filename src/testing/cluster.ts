import type { Descriptor, NodeInfo, Span } from '../base/descriptor.js'
import type { ClusterId, Generation, Key, LogIndex, NodeId, RangeId, ReplicaId, SessionId, Term } from '../base/ids.js'
import { META_RANGE } from '../base/ids.js'
import { DATA_SPAN, META_SPAN } from '../base/keyspace.js'
import type { Logger } from '../base/ports.js'
import { ClientCore } from '../client/core.js'
import { HoldfastClient } from '../client/holdfast.js'
import type { Holdfast } from '../client/types.js'
import type { Birth } from '../store/factory.js'
import { ClusterCheckers } from './checkers/cluster.js'
import { SimConnector } from './connector.js'
import { deepFreeze } from './freeze.js'
import { calmLink, type LinkQuality, type NetworkCounters, SimNetwork } from './network.js'
import { type NodeObserver, SimNode } from './node.js'
import { SimProcess } from './process.js'
import { SeededRandom } from './random.js'
import { Scheduler } from './scheduler.js'
import { Trace } from './trace.js'

/** A connection on which nothing moves for this long is given up by both ends. */
const SILENCE_MS = 3_000

export interface SimClusterOptions {
  /** Everything that is drawn comes from it. */
  readonly seed: number | string
  /** Default 3. */
  readonly nodes?: number
  /** Where the data ranges are cut apart; stored keys, in order. Default none: one data range. */
  readonly splitAt?: readonly Key[]
  /** How links behave. Default: about 0.3 ms one way, nothing lost. */
  readonly quality?: LinkQuality
  /** A sync of the log takes up to this long. Default 1 ms. */
  readonly syncMsMax?: number
  /** Each node's wall clock is off by this much. Default 0. */
  readonly clockOffsetsMs?: readonly number[]
  /** Freeze everything that travels, so that changing it throws. Default false: it costs time. */
  readonly freeze?: boolean
  /** How many of the last events to keep as text. Default 0. */
  readonly keepEvents?: number
  readonly logger?: Logger
}

/**
 * A whole cluster in one process, on virtual time: the real store, consensus, state machine, storage and client, over a
 * simulated clock, network and disk. The same seed and the same calls give the same run, event for event (`trace.hash`).
 * Checkers look on all the time; what they find stands in `violations`, and the first thing found stops the run.
 *
 * Time passes only inside `run`, `runFor` and `runWhile`.
 */
export class SimCluster {
  readonly scheduler = new Scheduler()
  readonly trace: Trace
  readonly network: SimNetwork
  readonly random: SeededRandom
  readonly #options: SimClusterOptions
  readonly #cluster: ClusterId
  readonly #nodes: readonly SimNode[]
  readonly #connectors: SimConnector[] = []
  readonly #checkers: ClusterCheckers
  readonly #clientPlaces: string[] = []

  constructor(options: SimClusterOptions) {
    this.#options = options
    this.random = new SeededRandom(options.seed)
    this.trace = new Trace({ keep: options.keepEvents ?? 0 })
    this.network = new SimNetwork({ scheduler: this.scheduler, random: this.random.fork('network'), trace: this.trace })
    this.network.quality = options.quality ?? calmLink
    this.#checkers = new ClusterCheckers({
      onFirst: () => this.scheduler.stop(),
      termAt: (node, range, index) => this.node(node).store?.replica(range)?.raft.termAt(index) ?? null,
    })
    const draw = this.random.fork('cluster')
    this.#cluster = Array.from({ length: 32 }, () => draw.below(16).toString(16)).join('') as ClusterId
    this.#nodes = this.#makeNodes(options.nodes ?? 3)
  }

  get nodes(): readonly SimNode[] {
    return this.#nodes
  }

  /** Where the clients are, for the network. */
  get clientPlaces(): readonly string[] {
    return this.#clientPlaces
  }

  /** What must not be and was seen. */
  get violations(): readonly string[] {
    return this.#checkers.violations.found
  }

  /** Terms that got a leader after their range had had one. */
  get leaderChanges(): number {
    return this.#checkers.leaders.changes
  }

  /** Entries applied, each counted once for the cluster. */
  get entriesApplied(): number {
    return this.#checkers.applied.count
  }

  get networkCounters(): Readonly<NetworkCounters> {
    return this.network.counters
  }

  /** Adds to `violations`: for checks that only the caller can make. */
  report(violation: string): void {
    this.#checkers.violations.report(violation)
  }

  node(id: number): SimNode {
    const node = this.#nodes[id - 1]
    if (node === undefined) throw new RangeError(`there is no node ${id}`)
    return node
  }

  // ---- life of the nodes ----

  /** Starts all nodes and runs until each range has a leader. Throws if that takes more than 30 seconds of virtual time. */
  async start(): Promise<void> {
    for (const node of this.#nodes) node.start()
    const led = await this.runWhile(() => !this.#isLed(), 30_000)
    if (!led && this.violations.length === 0) throw new Error('the cluster did not come up')
  }

  crash(id: number): void {
    const node = this.node(id)
    const { listener } = node
    if (listener === null) return
    this.trace.event(this.scheduler.nowMs, node.place, 'crash')
    node.crash()
    for (const connector of this.#connectors) connector.listenerEnded(listener)
    for (const other of this.#nodes) if (other !== node) this.#tellDown(other, node)
  }

  restart(id: number): void {
    const node = this.node(id)
    if (node.isUp) return
    this.trace.event(this.scheduler.nowMs, node.place, 'start')
    node.start()
  }

  pause(id: number): void {
    const node = this.node(id)
    const { listener } = node
    if (listener === null || node.isPaused) return
    this.trace.event(this.scheduler.nowMs, node.place, 'pause')
    node.pause()
    this.scheduler.schedule(SILENCE_MS, () => {
      if (!node.isPaused || node.listener !== listener) return
      for (const connector of this.#connectors) connector.listenerSilent(listener)
    })
  }

  resume(id: number): void {
    const node = this.node(id)
    if (!node.isPaused) return
    this.trace.event(this.scheduler.nowMs, node.place, 'resume')
    node.resume()
  }

  /** The node that leads a range in the highest term, as the nodes that run see it; null: none. */
  leaderOf(range: number): NodeId | null {
    let best: { node: NodeId; term: Term } | null = null
    for (const node of this.#nodes) {
      const replica = node.store?.replica(range as RangeId)
      if (replica?.leads !== true) continue
      if (best === null || replica.raft.term > best.term) best = { node: node.id, term: replica.raft.term }
    }
    return best?.node ?? null
  }

  /** The running node that leads most ranges; null: none leads any. */
  busiestNode(): NodeId | null {
    let best: { node: NodeId; leads: number } | null = null
    for (const node of this.#nodes) {
      const leads = [...(node.store?.replicas ?? [])].filter((replica) => replica.leads).length
      if (leads > (best?.leads ?? 0)) best = { node: node.id, leads }
    }
    return best?.node ?? null
  }

  // ---- clients ----

  /** A client of its own, with the SDK's interface. Its calls go on only while time passes: see `run`. */
  client(): Holdfast {
    return new HoldfastClient(this.clientCore().core, 'msgpack')
  }

  /** The core of the SDK, connected to the simulated cluster as one client process. */
  clientCore(): { core: ClientCore; process: SimProcess } {
    const place = `client ${this.#clientPlaces.length + 1}`
    this.#clientPlaces.push(place)
    const random = this.random.fork(place)
    const { scheduler, network } = this
    const process = new SimProcess({
      scheduler,
      settles: true,
      onFatal: (reason) => this.report(`${place} ended itself: ${reason}`),
      onBug: (error) => this.report(`${place} failed: ${error instanceof Error ? error.stack : error}`),
    })
    const connector = new SimConnector({
      scheduler,
      network,
      place,
      process,
      listener: (address) => this.#nodes.find((node) => node.info.clientAddress === address)?.listener ?? null,
      freeze: this.#options.freeze ?? false,
      silenceMs: SILENCE_MS,
    })
    this.#connectors.push(connector)
    const core = new ClientCore({
      connector,
      endpoints: this.#nodes.map((node) => node.info.clientAddress),
      clock: process.clock,
      random,
      defaultDeadlineMs: 5_000,
      newSessionId: () => sessionId(random),
    })
    return { core, process }
  }

  // ---- time ----

  get nowMs(): number {
    return this.scheduler.nowMs
  }

  /** Lets `ms` of virtual time pass. */
  async runFor(ms: number): Promise<void> {
    await this.scheduler.runUntil(this.scheduler.nowMs + ms)
  }

  /** Runs while `condition` holds, for at most `limitMs` of virtual time. Returns whether the condition ended it. */
  runWhile(condition: () => boolean, limitMs: number): Promise<boolean> {
    return this.scheduler.runWhile(condition, this.scheduler.nowMs + limitMs)
  }

  /** Runs until `body`'s promise settles and returns what it gave. Throws after `limitMs` (default 60,000) of virtual time. */
  async run<T>(body: () => Promise<T>, limitMs = 60_000): Promise<T> {
    let settled = false
    const result = body().finally(() => {
      settled = true
    })
    result.catch(() => {})
    const ended = await this.runWhile(() => !settled, limitMs)
    if (!ended && !settled) throw new Error(`not settled after ${limitMs} ms of virtual time${this.#violationText()}`)
    return result
  }

  /** Whether every range has a leader and all its replicas have applied all that is committed. */
  get isQuiet(): boolean {
    const applied = new Map<RangeId, Set<LogIndex>>()
    for (const node of this.#nodes) {
      if (!node.serves) return false
      for (const replica of node.store!.replicas) {
        const { raft } = replica
        if (raft.leader === null || replica.applied !== raft.lastIndex) return false
        applied.set(replica.range, (applied.get(replica.range) ?? new Set()).add(replica.applied))
      }
    }
    return [...applied.values()].every((indexes) => indexes.size === 1)
  }

  /** Checks what holds at any moment and needs all nodes at once. */
  checkNow(): void {
    for (const node of this.#nodes) {
      const store = node.store
      if (store !== null && node.serves)
        this.#checkers.spansOf(
          node.id,
          [...store.replicas].map((replica) => replica.descriptor),
        )
    }
  }

  /** Checks what holds when all is healed and quiet: all replicas of a range agree, and the ranges partition the keys. */
  checkQuiet(): void {
    this.checkNow()
    const descriptors = new Map<RangeId, Descriptor>()
    for (const node of this.#nodes) {
      for (const replica of node.store?.replicas ?? []) {
        const known = descriptors.get(replica.range)
        if (known === undefined || replica.descriptor.generation > known.generation)
          descriptors.set(replica.range, replica.descriptor)
      }
    }
    this.#checkers.partition([...descriptors.values()])
  }

  // ---- composition ----

  #makeNodes(count: number): SimNode[] {
    const infos = Array.from({ length: count }, (_, at) => infoOf(at + 1))
    const birth: Birth = { nodes: infos, ranges: birthRanges(infos, this.#options.splitAt ?? []) }
    const observer = this.#observer()
    const { syncMsMax = 1, clockOffsetsMs = [], logger } = this.#options
    return infos.map(
      (info, at) =>
        new SimNode({
          cluster: this.#cluster,
          info,
          birth,
          scheduler: this.scheduler,
          random: this.random,
          observer,
          syncMsMax,
          clockOffsetMs: clockOffsetsMs[at] ?? 0,
          ...(logger === undefined ? {} : { logger }),
        }),
    )
  }

  #observer(): NodeObserver {
    const now = () => this.scheduler.nowMs
    return {
      opened: (node, log) => this.#checkers.opened(node.id, log),
      logs: (node, items) => {
        this.trace.event(now(), node.place, 'log', items.length, ...items.slice(0, 4).map((item) => item.kind))
        return this.#checkers.logs.wrote(node.id, items)
      },
      sends: (node, to, messages) => this.#deliver(node, this.node(to), messages),
      applied: (node, replica) => {
        const state = this.#checkers.appliedBy(node.id, replica)
        this.trace.event(now(), node.place, 'applied', state.range, state.index, state.term, state.clock, state.digest)
      },
      serves: (node) => this.trace.event(now(), node.place, 'serves'),
      failed: (node, reason) => this.report(`${node.place} failed: ${reason}`),
    }
  }

  #deliver(from: SimNode, to: SimNode, messages: Parameters<NodeObserver['sends']>[2]): void {
    if (this.#options.freeze === true) deepFreeze(messages)
    this.#checkers.leaders.sent(from.id, messages)
    const frame = from.frame(messages)
    this.network.datagram(from.place, to.place, () => {
      this.trace.event(this.scheduler.nowMs, to.place, 'frame', from.id, messages.length, messages[0]?.type ?? null)
      to.receive(frame)
    })
  }

  #tellDown(other: SimNode, gone: SimNode): void {
    this.scheduler.schedule(this.network.drawDelayMs(), () => {
      if (!this.network.isBlocked(gone.place, other.place)) other.peerDown(gone.id)
    })
  }

  #isLed(): boolean {
    const ranges = 2 + (this.#options.splitAt?.length ?? 0)
    return Array.from({ length: ranges }, (_, at) => this.leaderOf(at + 1)).every((leader) => leader !== null)
  }

  #violationText(): string {
    return this.violations.length === 0 ? '' : `; ${this.violations.join('; ')}`
  }
}

function infoOf(id: number): NodeInfo {
  return { node: id as NodeId, clientAddress: `node${id}:7400`, peerAddress: `node${id}:7500`, pid: id }
}

/** The meta range and the data ranges, each with a replica on every node. */
function birthRanges(nodes: readonly NodeInfo[], splitAt: readonly Key[]): Descriptor[] {
  const starts = [DATA_SPAN.start, ...splitAt]
  const spans: Span[] = [META_SPAN, ...starts.map((start, at) => ({ start, end: starts[at + 1] ?? DATA_SPAN.end }))]
  return spans.map((span, at) => ({
    range: (META_RANGE + at) as RangeId,
    span,
    generation: 1 as Generation,
    epoch: 0,
    replicas: nodes.map(({ node }, place) => ({ replica: (place + 1) as ReplicaId, node, role: 'voter' })),
    nextReplica: (nodes.length + 1) as ReplicaId,
  }))
}

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

function sessionId(random: SeededRandom): SessionId {
  return Array.from({ length: 22 }, () => BASE64URL[random.below(64)]).join('') as SessionId
}
