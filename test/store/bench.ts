import type { Descriptor, NodeInfo, Span } from '../../src/base/descriptor.js'
import type { BootId, ClusterId, Generation, NodeId, RangeId, ReplicaId } from '../../src/base/ids.js'
import { META_RANGE } from '../../src/base/ids.js'
import { DATA_SPAN, META_SPAN } from '../../src/base/keyspace.js'
import { type Clock, silentLogger } from '../../src/base/ports.js'
import type { Request } from '../../src/kv/requests.js'
import type { AppliedEntry } from '../../src/kv/types.js'
import { replicaCodec } from '../../src/storage/codec/replica-codec.js'
import { openNodeLog } from '../../src/storage/log/log.js'
import { openStateStore } from '../../src/storage/state/state-store.js'
import type { LogItem, NodeLog, StateStore } from '../../src/storage/types.js'
import type { PeerMessage } from '../../src/store/ports.js'
import type { Replica } from '../../src/store/replica.js'
import { Store } from '../../src/store/store.js'
import { MemoryFiles } from '../../src/testing/files.js'
import { ObservedLog } from '../../src/testing/observed-log.js'
import { SimProcess } from '../../src/testing/process.js'
import { SeededRandom } from '../../src/testing/random.js'
import { Scheduler } from '../../src/testing/scheduler.js'
import { MemoryStateDb } from '../../src/testing/state-db.js'
import type { Client } from './requests.js'
import { k } from './requests.js'

export interface BenchOptions {
  readonly seed?: number
  /** Of the cluster; the store is node 1, the others are played by the test. Default 1. */
  readonly nodes?: number
  /** The store is a node without replicas beside those. Default false. */
  readonly router?: boolean
  /** Where the data ranges are cut apart. */
  readonly splitAt?: readonly string[]
  readonly stateSyncEveryBytes?: number
  readonly cacheBytes?: number
  readonly clockOffsetMs?: number
  /** Sees every entry applied, by all lives of the node. */
  onApplied?(replica: Replica, applied: AppliedEntry): void
}

export interface Sent {
  readonly turn: number
  readonly to: NodeId
  readonly message: PeerMessage
}

/** Calls that wait until they are let go: a disk that hangs. */
class Gate {
  #closed = false
  #held: (() => void)[] = []

  get held(): number {
    return this.#held.length
  }

  close(): void {
    this.#closed = true
  }

  open(): void {
    this.#closed = false
    for (const action of this.#held.splice(0)) action()
  }

  forget(): void {
    this.#held = []
    this.#closed = false
  }

  pass(action: () => void): void {
    if (this.#closed) this.#held.push(action)
    else action()
  }
}

export const BOOT = 77 as BootId

/** One store on a simulated clock and disk, with gates in front of both disks, and everything it sends noted by turn. */
export class Bench {
  readonly scheduler = new Scheduler()
  readonly logGate = new Gate()
  readonly stateGate = new Gate()
  readonly sent: Sent[] = []
  /** Items of each log batch, in order, over all lives. */
  readonly batches: { readonly turn: number; readonly items: readonly LogItem[]; durable: boolean }[] = []
  readonly failures: string[] = []
  readonly #options: BenchOptions
  readonly #random: SeededRandom
  readonly #files: MemoryFiles
  readonly #db: MemoryStateDb
  readonly #birth: { nodes: readonly NodeInfo[]; ranges: readonly Descriptor[] }
  #turn = 0
  #life: { store: Store; process: SimProcess; state: StateStore; log: NodeLog } | null = null
  #onSent: ((to: NodeId, message: PeerMessage) => void) | null = null

  private constructor(options: BenchOptions) {
    this.#options = options
    this.#random = new SeededRandom(options.seed ?? 1)
    const gated = (gate: Gate) => (latencyMs: number, action: () => void) => {
      const process = this.#process
      this.scheduler.schedule(latencyMs, () => gate.pass(() => process.enter(action)), true)
    }
    this.#files = new MemoryFiles({ random: this.#random.fork('files'), schedule: gated(this.logGate) })
    this.#db = new MemoryStateDb({
      random: this.#random.fork('db'),
      schedule: gated(this.stateGate),
      latencyMs: 0.1,
      syncLatencyMs: 1,
    })
    this.#birth = birthOf(options.nodes ?? 1, options.splitAt ?? [])
  }

  static async open(options: BenchOptions = {}): Promise<Bench> {
    const bench = new Bench(options)
    await bench.start()
    return bench
  }

  get store(): Store {
    return this.#life!.store
  }

  get state(): StateStore {
    return this.#life!.state
  }

  /** Turns taken, by all lives of the node. */
  get turns(): number {
    return this.#turn
  }

  get clock(): Clock {
    return this.#process.clock
  }

  set wallOffsetMs(ms: number) {
    this.#process.wallOffsetMs = ms
  }

  replica(range: number): Replica {
    const replica = this.store.replica(range as RangeId)
    if (replica === undefined) throw new Error(`there is no range ${range}`)
    return replica
  }

  #process = this.#newProcess()

  #newProcess(): SimProcess {
    const process = new SimProcess({
      scheduler: this.scheduler,
      settles: false,
      onFatal: (reason) => this.failures.push(reason),
      onBug: (error) => this.failures.push(String((error as Error).stack)),
    })
    return process
  }

  /** Starts the node on what its disk holds and runs until it serves. */
  async start(): Promise<void> {
    const process = this.#newProcess()
    this.#process = process
    process.wallOffsetMs = this.#options.clockOffsetMs ?? 0
    let served = false
    const opening = this.#open(process).then((store) => {
      process.enter(() =>
        store.start(() => {
          served = true
        }),
      )
    })
    opening.catch((error: unknown) => this.failures.push(String((error as Error).stack)))
    await this.runWhile(() => !served)
  }

  async #open(process: SimProcess): Promise<Store> {
    const { clock, fatal } = process
    const opened = await openNodeLog({
      files: this.#files,
      segmentBytes: 512 * 1024,
      clock,
      fatal,
      logger: silentLogger,
    })
    const log = new ObservedLog(opened, (items) => {
      const batch = { turn: this.#turn, items, durable: false }
      this.batches.push(batch)
      return () => {
        batch.durable = true
      }
    })
    const cacheBytes = this.#options.cacheBytes ?? 64 * 1024
    const state = openStateStore({
      db: this.#db,
      cacheBytes,
      cacheValueBytesMax: 1_024,
      clock: process.clock,
      onDamage: ({ what }) => this.failures.push(what),
      fatal,
      logger: silentLogger,
    })
    const { onApplied, stateSyncEveryBytes = 1_000_000_000 } = this.#options
    const store = new Store({
      cluster: '0'.repeat(32) as ClusterId,
      self: this.#options.router ? infoOf(this.#birth.nodes.length + 1) : this.#birth.nodes[0]!,
      boot: this.#random.id() as BootId,
      birth: this.#birth,
      log,
      state,
      codec: replicaCodec,
      transport: { send: (to, messages) => this.#send(to, messages) },
      clock: { ...process.clock, defer: (action) => process.clock.defer(() => this.#runTurn(action)) },
      random: this.#random.fork('store'),
      logger: silentLogger,
      fatal: (reason, cause) => {
        this.failures.push(`${reason}: ${cause instanceof Error ? cause.stack : cause}`)
        return fatal(reason, cause)
      },
      stateSyncEveryBytes,
      ...(onApplied === undefined ? {} : { onApplied }),
    })
    this.#life = { store, process, state, log }
    return store
  }

  #runTurn(action: () => void): void {
    this.#turn++
    action()
  }

  #send(to: NodeId, messages: readonly PeerMessage[]): void {
    const frame = this.sent.filter((each) => each.turn === this.#turn && each.to === to)
    if (frame.length > 0) this.failures.push(`a second frame to node ${to} in turn ${this.#turn}`)
    for (const message of messages) {
      this.sent.push({ turn: this.#turn, to, message })
      this.#onSent?.(to, message)
    }
  }

  /** Called for every message that leaves. */
  onSent(look: (to: NodeId, message: PeerMessage) => void): void {
    this.#onSent = look
  }

  /** The power fails: what was not synced is lost, in part or whole. */
  crash(): void {
    this.#process.end()
    this.#files.crash()
    this.#db.crash()
    this.logGate.forget()
    this.stateGate.forget()
    this.#life = null
  }

  /** A stop in good order, files closed. */
  async stop(): Promise<void> {
    const { store, log, state, process } = this.#life!
    let done = false
    process.enter(() =>
      store.stop(() => {
        done = true
      }),
    )
    await this.runWhile(() => !done)
    await log.close()
    await state.close()
    process.end()
    this.#life = null
  }

  submit(client: Client, ...requests: readonly Request[]): void {
    this.#process.enter(() => this.store.submit(requests, client))
  }

  /** Submits and runs until all is answered. */
  async ask(client: Client, ...requests: readonly Request[]): Promise<void> {
    this.submit(client, ...requests)
    await this.runWhile(() => requests.some((request) => client.reply(request) === undefined))
  }

  /** A frame of another node arrives. */
  receive(from: number, ...messages: readonly PeerMessage[]): void {
    const wallMs = 1_800_000_000_000 + Math.floor(this.scheduler.nowMs)
    this.#process.enter(() => this.store.receive({ from: from as NodeId, boot: BOOT, wallMs, messages }))
  }

  async runFor(ms: number): Promise<void> {
    await this.scheduler.runUntil(this.scheduler.nowMs + ms)
  }

  /** Runs while `condition` holds; throws if that takes more than ten seconds of virtual time. */
  async runWhile(condition: () => boolean, limitMs = 10_000): Promise<void> {
    const ended = await this.scheduler.runWhile(
      () => this.failures.length === 0 && condition(),
      this.scheduler.nowMs + limitMs,
    )
    if (this.failures.length > 0) throw new Error(this.failures.join('\n'))
    if (!ended) throw new Error(`nothing came of it in ${limitMs} ms of virtual time`)
  }

  /** Runs until node 1 leads a range and has applied an entry of its own term. */
  async leads(range: number): Promise<Replica> {
    await this.runWhile(() => {
      const replica = this.store.replica(range as RangeId)
      return !(replica?.leads === true && replica.appliedTerm === replica.raft.term)
    })
    return this.replica(range)
  }

  messagesTo(node: number, type: PeerMessage['type']): PeerMessage[] {
    return this.sent.filter(({ to, message }) => to === node && message.type === type).map(({ message }) => message)
  }
}

function infoOf(id: number): NodeInfo {
  return { node: id as NodeId, clientAddress: `node${id}:7400`, peerAddress: `node${id}:7500`, pid: id }
}

function birthOf(count: number, splitAt: readonly string[]) {
  const nodes = Array.from({ length: count }, (_, at) => infoOf(at + 1))
  const starts = [DATA_SPAN.start, ...splitAt.map(k)]
  const spans: Span[] = [META_SPAN, ...starts.map((start, at) => ({ start, end: starts[at + 1] ?? DATA_SPAN.end }))]
  const ranges = spans.map(
    (span, at): Descriptor => ({
      range: (META_RANGE + at) as RangeId,
      span,
      generation: 1 as Generation,
      epoch: 0,
      replicas: nodes.map(({ node }) => ({ replica: node as number as ReplicaId, node, role: 'voter' })),
      nextReplica: (count + 1) as ReplicaId,
    }),
  )
  return { nodes, ranges }
}
