import type { ReplicaId, Version } from '../../src/base/ids.js'
import type { Configuration, Entry, Message, RaftConfig, Ready } from '../../src/raft/types.js'
import { encodeConfiguration } from './configuration.js'
import { Node, type Snapshot, seededRandom } from './node.js'

export interface ClusterEvents {
  ready?(node: Node, ready: Ready): void
  /** A message was put on the wire. */
  sent?(message: Message): void
  /** A step or a finished write may have moved role or commit. */
  moved?(node: Node): void
  applied?(node: Node, entries: readonly Entry[]): void
  restored?(node: Node, snapshot: Snapshot): void
}

/** A snapshot on its way. `of`: the core that asked for it. */
export interface Stream {
  readonly of: Node['up']
  readonly to: ReplicaId
  readonly snapshot: Snapshot | null
}

/** Some replicas, the messages and the snapshots between them. Everything happens by a call; nothing by itself. */
export class Cluster {
  readonly nodes = new Map<ReplicaId, Node>()
  wire: Message[] = []
  streams: Stream[] = []
  /** What passes between these and the others is lost. */
  apart: ReadonlySet<ReplicaId> = new Set()
  /** Their disks take one write in ten rounds or so: elections go by meanwhile. */
  slow: ReadonlySet<ReplicaId> = new Set()
  readonly #random: ReturnType<typeof seededRandom>
  readonly #config: Partial<RaftConfig> | undefined
  readonly #events: ClusterEvents
  #payloads = 0

  constructor(options: {
    configuration: Configuration
    seed: number
    config?: Partial<RaftConfig>
    events?: ClusterEvents
    /** All have been up for a while, unless said otherwise. */
    fresh?: boolean
  }) {
    const { voters, outgoing, learners } = options.configuration
    this.#random = seededRandom(options.seed)
    this.#config = options.config
    this.#events = options.events ?? {}
    for (const id of new Set([...voters, ...outgoing, ...learners])) {
      this.place(id, options.configuration).start({ kind: 'follow' }, options.fresh !== true)
    }
  }

  /** A new replica, not started yet; without `birth` it waits for a snapshot. */
  place(id: number, birth: Configuration | null): Node {
    const node = new Node(id, birth, this.#random, this.#config)
    this.nodes.set(node.id, node)
    return node
  }

  get up(): readonly Node[] {
    return [...this.nodes.values()].filter(({ raft }) => raft !== null)
  }

  get leaders(): readonly Node[] {
    return this.up.filter(({ raft }) => raft?.role === 'leader')
  }

  node(id: number): Node {
    return this.nodes.get(id as ReplicaId)!
  }

  send(messages: readonly Message[]): void {
    for (const message of messages) this.#events.sent?.(message)
    this.wire.push(...messages)
  }

  collect(node: Node): void {
    const ready = node.take()
    if (ready === null) return
    this.#events.ready?.(node, ready)
    for (const to of ready.snapshots) this.streams.push({ of: node.up, to, snapshot: node.snapshot() })
    this.send(ready.sendNow)
  }

  persist(node: Node): void {
    const messages = node.persist()
    this.#events.moved?.(node)
    this.send(messages)
  }

  deliver(message: Message): void {
    const node = this.nodes.get(message.to)
    if (node === undefined || node.raft === null) return
    if (this.apart.has(message.from) !== this.apart.has(message.to)) return
    node.raft.step(message)
    this.#events.moved?.(node)
  }

  /** The stream ends: taken in whole, or lost. */
  finish({ of, to, snapshot }: Stream, isLost: boolean): void {
    const node = this.nodes.get(to)
    const taken = isLost || node === undefined || node.raft === null ? null : snapshot
    if (taken !== null && node?.restore(taken)) this.#events.restored?.(node, taken)
    of.snapshotSent(to, taken === null ? null : { index: taken.point.index })
  }

  apply(node: Node): void {
    const fresh = node.apply()
    this.#events.applied?.(node, fresh)
  }

  /** A payload that occurs once. */
  propose(node: Node, bytes = 8): boolean {
    if (!node.up.canPropose()) return false
    this.#payloads += 1
    const payload = new Uint8Array(Math.max(bytes, 4))
    new DataView(payload.buffer).setUint32(0, this.#payloads)
    const timestamp = (node.up.lastTimestamp + 1) as Version
    return node.up.propose({ kind: 'commands', timestamp, payload }) !== null
  }

  change(node: Node, configuration: Configuration): boolean {
    const timestamp = (node.up.lastTimestamp + 1) as Version
    return node.up.propose({ kind: 'configuration', timestamp, payload: encodeConfiguration(configuration) }) !== null
  }

  /** All are taken, written and delivered once, in order. */
  round(): void {
    for (const node of this.up) this.collect(node)
    for (const node of this.up) {
      if (!this.slow.has(node.id)) while (node.inFlight.length > 0) this.persist(node)
      else if (this.#random.next() < 0.1) this.persist(node)
    }
    for (const message of this.wire.splice(0)) this.deliver(message)
    for (const stream of this.streams.splice(0)) this.finish(stream, false)
    for (const node of this.up) this.apply(node)
  }

  /** Rounds until nothing happens any more. */
  settle(): void {
    for (let rounds = 0; rounds < 100; rounds += 1) {
      this.round()
      for (const node of this.up) this.collect(node)
      const isQuiet = this.wire.length === 0 && this.streams.length === 0
      if (isQuiet && this.up.every(({ inFlight }) => inFlight.length === 0)) return
    }
    throw new Error('the cluster does not come to rest')
  }

  tick(times = 1): void {
    for (let n = 0; n < times; n += 1) for (const node of this.up) node.up.tick()
  }

  /** Time passes, and everything that it brings about happens. */
  run(ticks: number): void {
    for (let n = 0; n < ticks; n += 1) {
      this.tick()
      this.settle()
    }
  }

  /** One replica's wait ends and its election runs undisturbed. */
  elect(id: number): Node {
    const node = this.node(id)
    for (let n = 0; n < 40 && node.up.role === 'follower'; n += 1) node.up.tick()
    this.settle()
    return node
  }
}
