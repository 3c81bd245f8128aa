import type { ClusterId, Key, NodeId, RangeId, Term } from '../base/ids.js'
import { limits } from '../base/limits.js'
import type { Logger, RarePath } from '../base/ports.js'
import type { ClientCore } from '../client/core.js'
import { HoldfastClient } from '../client/holdfast.js'
import type { Holdfast } from '../client/types.js'
import { Acknowledged } from './acknowledged.js'
import { birthOf } from './birth.js'
import { CallChecker } from './checkers/calls.js'
import { ClusterCheckers } from './checkers/cluster.js'
import { checkAllStored, checkMoment, checkRest } from './checkers/moments.js'
import type { ClientTally } from './client-tally.js'
import { SimClients } from './clients.js'
import type { SimListener } from './connector.js'
import type { DiskCopy } from './disk.js'
import { calmLink, type LinkQuality, SimNetwork } from './network.js'
import { SimNode } from './node.js'
import { observerOf } from './observer.js'
import { PeerWires } from './peer-wires.js'
import { Phases } from './phases.js'
import type { SimProcess } from './process.js'
import { SeededRandom } from './random.js'
import { Scheduler } from './scheduler.js'
import type { StateGuard } from './state-db.js'
import type { Told } from './telling-core.js'
import { Trace } from './trace.js'
import { type Tuning, usualTuning } from './tuning.js'
import { lackOf, unrestOf } from './wholeness.js'

/** A connection on which nothing moves for this long is given up by both ends. */
const SILENCE_MS = 3_000
const KEPT_BYTES_MAX = 512 * 1024
const STATE_SYNC_EVERY_BYTES = 256 * 1024

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
  /** Log that each node keeps for slow or dead replicas; beyond it they are sent snapshots. Default 512 KiB. */
  readonly keptBytesMax?: number
  /** A node syncs its state when it has logged this much. Default 256 KiB. */
  readonly stateSyncEveryBytes?: number
  /** Replaced versions, and outcomes of requests, are kept this long, in milliseconds of log time. Default ten minutes each. */
  readonly historyKeptMs?: number
  readonly sessionKeptMs?: number
  /** Default: usualTuning. */
  readonly tuning?: Tuning
  /** What stands between LevelDB's habits and the store and is to be missing, to see that it is missed. Default none. */
  readonly stateWithout?: readonly StateGuard[]
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
  /** What the nodes are busy with. */
  readonly phases: Phases
  readonly random: SeededRandom
  readonly #options: SimClusterOptions
  readonly #cluster: ClusterId
  readonly #nodes: readonly SimNode[]
  readonly #wires: PeerWires
  readonly #clients: SimClients
  readonly #checkers: ClusterCheckers
  /** Rare paths are taken as often as the tuning says; false: only where there is need. */
  mayBuggify = true
  readonly #rarePaths: Partial<Record<RarePath, number>> = {}
  /** Called for a node that was refused, or refused to start, because its disk may have forgotten; it is down then. Default: a violation. */
  onKeptOut: (node: SimNode, why: string) => void = (node, why) => this.report(`${node.place} was kept out: ${why}`)

  constructor(options: SimClusterOptions) {
    this.#options = options
    this.random = new SeededRandom(options.seed)
    this.trace = new Trace({ keep: options.keepEvents ?? 0 })
    this.network = new SimNetwork({ scheduler: this.scheduler, random: this.random.fork('network'), trace: this.trace })
    this.network.quality = options.quality ?? calmLink
    const { historyKeptMs = limits.historyKeptMs, sessionKeptMs = limits.sessionKeptMs } = options
    const { sessionOutcomesMax = limits.sessionOutcomesMax } = options.tuning ?? usualTuning
    const mayBeTooMany = sessionOutcomesMax < limits.sessionOutcomesMax
    this.#checkers = new ClusterCheckers({
      kept: { historyMs: historyKeptMs, sessionsMs: mayBeTooMany ? null : sessionKeptMs },
      onFirst: () => this.scheduler.stop(),
      termAt: (node, range, index) => this.node(node).store?.replica(range)?.termAt(index) ?? null,
    })
    this.#clients = new SimClients({
      scheduler: this.scheduler,
      network: this.network,
      random: this.random,
      nodes: () => this.#nodes,
      freeze: options.freeze ?? false,
      silenceMs: SILENCE_MS,
      report: (violation) => this.report(violation),
    })
    const { scheduler, trace, network } = this
    this.#wires = new PeerWires({ scheduler, trace, network, node: (id) => this.node(id) })
    const draw = this.random.fork('cluster')
    this.#cluster = Array.from({ length: 32 }, () => draw.below(16).toString(16)).join('') as ClusterId
    this.#nodes = this.#makeNodes(options.nodes ?? 3)
    this.phases = new Phases(this.#nodes)
  }

  get nodes(): readonly SimNode[] {
    return this.#nodes
  }

  /** Where the clients are, for the network. */
  get clientPlaces(): readonly string[] {
    return this.#clients.places
  }

  /** What its clients come by. */
  get tally(): ClientTally {
    return this.#clients.tally
  }

  /** How often each rare path was taken without need. */
  get rarePaths(): Readonly<Partial<Record<RarePath, number>>> {
    return this.#rarePaths
  }

  #buggify(path: RarePath, random: SeededRandom): boolean {
    const chance = this.#options.tuning?.rare[path]
    if (chance === undefined || !this.mayBuggify || !random.chance(chance)) return false
    this.#rarePaths[path] = (this.#rarePaths[path] ?? 0) + 1
    return true
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

  /** Holds what clients were told against what was written. `keyOf`: the stored key that a history calls by this name. */
  callChecker(keyOf: (name: string) => Key): CallChecker {
    return new CallChecker(this.#checkers.violations, this.#checkers.records, keyOf)
  }

  /** Holds likewise what is acknowledged to clients that have no history. */
  acknowledged(): Acknowledged {
    return new Acknowledged(this.#checkers.records, (violation) => this.report(violation))
  }

  get bornCuts(): readonly Key[] {
    return this.#options.splitAt ?? []
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

  /** Formats and starts all nodes and runs until each range has a leader. Throws if that takes more than 30 seconds of virtual time. */
  async start(): Promise<void> {
    for (const node of this.#nodes) void node.format().then(() => node.start())
    const led = await this.runWhile(() => !this.#isLed(), 30_000)
    if (!led && this.violations.length === 0) throw new Error('the cluster did not come up')
  }

  crash(id: number): void {
    const node = this.node(id)
    const { listener } = node
    if (listener === null) return
    this.trace.event(this.scheduler.nowMs, node.place, 'crash')
    node.crash()
    this.#connectionsEnd(node, listener)
  }

  /** The process ends as by kill -9; its system, which goes on, writes what it was given. */
  kill(id: number): void {
    const node = this.node(id)
    const { listener } = node
    if (listener === null) return
    this.trace.event(this.scheduler.nowMs, node.place, 'kill')
    node.kill()
    this.#connectionsEnd(node, listener)
  }

  /** As a crash, but the machine is off: nobody closes its connections, who has one finds out by the silence. */
  switchOff(id: number): void {
    const node = this.node(id)
    const { listener } = node
    if (listener === null) return
    this.trace.event(this.scheduler.nowMs, node.place, 'off')
    node.switchOff()
    this.#clients.silenceLater(listener)
  }

  /** Crashes a node, if it runs, and puts an empty disk in. Before its next start it is made to rejoin. */
  wipe(id: number): void {
    this.crash(id)
    const node = this.node(id)
    this.trace.event(this.scheduler.nowMs, node.place, 'wipe')
    node.wipe()
    this.#checkers.wiped(node.id)
  }

  /** A test is about to alter the state of a replica of a node that is down: see `putUnwritten`. */
  alters(id: number, range: RangeId): void {
    this.#checkers.applied.altered(this.node(id).id, range)
  }

  /** Crashes a node, if it runs, and puts an older copy of its disk in. */
  rollBack(id: number, copy: DiskCopy): void {
    this.crash(id)
    const node = this.node(id)
    this.trace.event(this.scheduler.nowMs, node.place, 'roll back')
    node.disk.putBack(copy)
    this.#checkers.wiped(node.id)
  }

  /** Does for a node that is down what `holdfast node rejoin` does, and starts it: as itself, without the replicas it had. */
  async rejoin(id: number): Promise<void> {
    const node = this.node(id)
    this.trace.event(this.scheduler.nowMs, node.place, 'rejoin')
    this.#checkers.wiped(node.id)
    await node.rejoin()
    this.restart(id)
  }

  /** All connections of a node break at once; both ends are told. */
  resetConnections(id: number): void {
    const node = this.node(id)
    const { listener } = node
    if (listener === null) return
    this.#clients.reset(listener)
    for (const other of this.#nodes) {
      if (other === node) continue
      node.forgetConnection(other.id)
      other.forgetConnection(node.id)
      node.connectionLost(other.id)
      other.connectionLost(node.id)
    }
  }

  /** A node forgets all connections that others have to it, and nobody is told. */
  forgetConnections(id: number): void {
    const node = this.node(id)
    const { listener } = node
    if (listener === null) return
    this.#clients.silenceLater(listener)
    for (const other of this.#nodes) if (other !== node) node.forgetConnection(other.id)
  }

  #connectionsEnd(node: SimNode, listener: SimListener): void {
    this.#clients.listenerEnded(listener)
    for (const other of this.#nodes) if (other !== node) this.#wires.tellDown(other, node)
  }

  restart(id: number): void {
    const node = this.node(id)
    if (node.isUp) return
    if (node.isBlank) return void this.rejoin(id)
    this.trace.event(this.scheduler.nowMs, node.place, 'start')
    node.start()
  }

  /** `suspended`: its monotonic clock stands still, too. */
  pause(id: number, how: { readonly suspended?: boolean } = {}): void {
    const node = this.node(id)
    const { listener } = node
    if (listener === null || node.isPaused) return
    this.trace.event(this.scheduler.nowMs, node.place, 'pause')
    node.pause(how)
    this.scheduler.schedule(SILENCE_MS, () => {
      if (node.isPaused && node.listener === listener) this.#clients.listenerSilent(listener)
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

  /** The core of the SDK, connected to the simulated cluster as one client process. `told`: called with each write that it is told is written. */
  clientCore(told?: Told): { core: ClientCore; process: SimProcess } {
    return this.#clients.make(told)
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
    return this.unrest === null
  }

  /** What keeps it from being quiet. */
  get unrest(): string | null {
    return unrestOf(this.#nodes)
  }

  /** What keeps a replica of some range from being a voter, there, and holding all that it ever promised. Null: nothing. */
  get lack(): string | null {
    return lackOf(this.#nodes)
  }

  /** Checks what holds at any moment and needs all nodes at once. */
  checkNow(): void {
    checkMoment(this.#checkers, this.#nodes)
  }

  /** Checks what holds when all is healed and quiet: all replicas of a range agree, and the ranges partition the keys. */
  checkQuiet(): void {
    checkRest(this.#checkers, this.#nodes)
  }

  /** Checks, when all is quiet, what each replica has stored: reads all of it, which takes a little time. */
  async checkStored(): Promise<void> {
    const unread = checkAllStored(this.#checkers, this.#nodes)
    const ended = await this.runWhile(() => unread() > 0, 10_000)
    if (!ended && this.violations.length === 0) this.report(`${unread()} replicas could not be read in 10 s`)
  }

  // ---- composition ----

  #makeNodes(count: number): SimNode[] {
    const birth = birthOf({ nodes: count, splitAt: this.#options.splitAt ?? [] })
    const observer = observerOf({
      scheduler: this.scheduler,
      trace: this.trace,
      checkers: this.#checkers,
      freeze: this.#options.freeze ?? false,
      phases: () => this.phases,
      report: (violation) => this.report(violation),
      kill: (id) => this.kill(id),
      crash: (id) => this.crash(id),
      onKeptOut: (node, why) => this.onKeptOut(node, why),
    })
    const { syncMsMax = 1, clockOffsetsMs = [], keptBytesMax = KEPT_BYTES_MAX, logger } = this.#options
    const { stateSyncEveryBytes = STATE_SYNC_EVERY_BYTES } = this.#options
    const { historyKeptMs = limits.historyKeptMs, sessionKeptMs = limits.sessionKeptMs } = this.#options
    return birth.nodes.map(
      (info, at) =>
        new SimNode({
          cluster: this.#cluster,
          info,
          birth,
          scheduler: this.scheduler,
          random: this.random,
          observer,
          wire: (node) => this.#wires.of(node),
          syncMsMax,
          clockOffsetMs: clockOffsetsMs[at] ?? 0,
          keptBytesMax,
          stateSyncEveryBytes,
          historyKeptMs,
          sessionKeptMs,
          stateWithout: this.#options.stateWithout ?? [],
          tuning: this.#options.tuning ?? usualTuning,
          buggify: (path, random) => this.#buggify(path, random),
          ...(logger === undefined ? {} : { logger }),
        }),
    )
  }

  #isLed(): boolean {
    const ranges = 2 + (this.#options.splitAt?.length ?? 0)
    return Array.from({ length: ranges }, (_, at) => this.leaderOf(at + 1)).every((leader) => leader !== null)
  }

  #violationText(): string {
    return this.violations.length === 0 ? '' : `; ${this.violations.join('; ')}`
  }
}
