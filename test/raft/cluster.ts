import type { ReplicaId, Version } from '../../src/base/ids.js'
import type { Configuration, Entry, Message, RaftConfig, Ready } from '../../src/raft/types.js'
import { Node, seededRandom } from './node.js'

export interface ClusterEvents {
  ready?(node: Node, ready: Ready): void
  /** A message was put on the wire. */
  sent?(message: Message): void
  /** A step or a finished write may have moved role or commit. */
  moved?(node: Node): void
  applied?(node: Node, entries: readonly Entry[]): void
}

/** Some replicas and the messages between them. Everything happens by a call; nothing by itself. */
export class Cluster {
  readonly nodes: ReadonlyMap<ReplicaId, Node>
  wire: Message[] = []
  readonly #events: ClusterEvents
  #payloads = 0

  constructor(options: {
    configuration: Configuration
    seed: number
    config?: Partial<RaftConfig>
    events?: ClusterEvents
  }) {
    const { voters, outgoing, learners } = options.configuration
    const random = seededRandom(options.seed)
    const ids = [...new Set([...voters, ...outgoing, ...learners])]
    this.nodes = new Map(ids.map((id) => [id, new Node(id, options.configuration, random, options.config)]))
    this.#events = options.events ?? {}
    for (const node of this.nodes.values()) node.start()
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
    node.raft.step(message)
    this.#events.moved?.(node)
  }

  apply(node: Node): void {
    this.#events.applied?.(node, node.apply())
  }

  /** A payload that occurs once. */
  propose(node: Node, bytes = 8): boolean {
    this.#payloads += 1
    const payload = new Uint8Array(Math.max(bytes, 4))
    new DataView(payload.buffer).setUint32(0, this.#payloads)
    const timestamp = (node.up.lastTimestamp + 1) as Version
    return node.up.propose({ kind: 'commands', timestamp, payload }) !== null
  }

  /** All are taken, written and delivered once, in order. */
  round(): void {
    for (const node of this.up) this.collect(node)
    for (const node of this.up) while (node.inFlight.length > 0) this.persist(node)
    const wire = this.wire
    this.wire = []
    for (const message of wire) this.deliver(message)
    for (const node of this.up) this.apply(node)
  }

  /** Rounds until nothing happens any more. */
  settle(): void {
    for (let rounds = 0; rounds < 100; rounds += 1) {
      this.round()
      for (const node of this.up) this.collect(node)
      if (this.wire.length === 0 && this.up.every(({ inFlight }) => inFlight.length === 0)) return
    }
    throw new Error('the cluster does not come to rest')
  }

  tick(times = 1): void {
    for (let n = 0; n < times; n += 1) for (const node of this.up) node.up.tick()
  }

  /** One replica's wait ends and its election runs undisturbed. */
  elect(id: number): Node {
    const node = this.node(id)
    for (let n = 0; n < 40 && node.up.role === 'follower'; n += 1) node.up.tick()
    this.settle()
    return node
  }
}
