import type { Descriptor, NodeInfo } from '../../src/base/descriptor.js'
import type { ErrorCode } from '../../src/base/errors.js'
import type {
  ClusterId,
  Generation,
  Key,
  LogIndex,
  NodeId,
  RangeId,
  ReplicaId,
  SessionId,
  Term,
  Version,
} from '../../src/base/ids.js'
import { KEYSPACES, storedKey } from '../../src/base/keyspace.js'
import { type CallOptions, ClientCore } from '../../src/client/core.js'
import type { ClientConnection, ConnectionEvents, Connector } from '../../src/client/ports.js'
import type {
  NodeStatus,
  ReplicaStatus,
  Reply,
  ReplyError,
  Request,
  Route,
  ServerHello,
} from '../../src/kv/requests.js'
import { FakeClock, steadyRandom } from './fake-clock.js'

export const CLUSTER = '0123456789abcdef0123456789abcdef' as ClusterId
export const FIRST_VERSION = 1_000_000 as Version

export const raw = (text: string): Key => storedKey(KEYSPACES.raw, text)
export const addressOf = (node: number): string => `node-${node}:7400`
export const asNode = (node: number): NodeId => node as NodeId

export function nodeInfo(node: number): NodeInfo {
  return { node: asNode(node), clientAddress: addressOf(node), peerAddress: `node-${node}:7500`, pid: 100 + node }
}

export interface RangeShape {
  readonly range: number
  readonly start?: Key
  readonly end?: Key | null
  readonly generation?: number
  readonly epoch?: number
  readonly nodes?: readonly number[]
}

export function descriptor(shape: RangeShape): Descriptor {
  const { end = null, epoch = 0, generation = 1, nodes = [1, 2, 3], range, start = '' as Key } = shape
  return {
    range: range as RangeId,
    span: { start, end },
    generation: generation as Generation,
    epoch,
    replicas: nodes.map((node, index) => ({
      replica: (index + 1) as ReplicaId,
      node: asNode(node),
      role: 'voter' as const,
    })),
    nextReplica: (nodes.length + 1) as ReplicaId,
  }
}

export function route(shape: RangeShape, leader: number | null): Route {
  return { descriptor: descriptor(shape), leader: leader === null ? null : asNode(leader) }
}

export function replicaStatus(of: Descriptor, role: ReplicaStatus['role'] = 'leader'): ReplicaStatus {
  const index = 7 as LogIndex
  return {
    descriptor: of,
    replica: 1 as ReplicaId,
    role,
    term: 1 as Term,
    leader: null,
    applied: index,
    commit: index,
    lastIndex: index,
    hasState: true,
    digest: 99,
  }
}

export function nodeStatus(node: number, replicas: readonly ReplicaStatus[]): NodeStatus {
  const nodes = [1, 2, 3].map(nodeInfo)
  return { cluster: CLUSTER, node: nodeInfo(node), nodes, replicas, uptimeMs: 5, overlayBytes: 0, logBytes: 0 }
}

/** One request as it arrived at a node, and the means to answer it. */
export class Arrival<R extends Request = Request> {
  readonly request: R
  readonly node: FakeNode
  readonly #connection: FakeConnection

  constructor(request: R, node: FakeNode, connection: FakeConnection) {
    this.request = request
    this.node = node
    this.#connection = connection
  }

  reply(reply: Reply): void {
    this.#connection.events.onReplies([reply])
  }

  refuse(code: ErrorCode, more: Partial<ReplyError> & { version?: number } = {}): void {
    const { version = 0, ...error } = more
    this.reply({
      id: this.request.id,
      version: version as Version,
      kind: 'error',
      error: { code, message: `refused: ${code}`, retryAfterMs: null, routes: [], failed: [], ...error },
    })
  }

  written(version: number, deleted: readonly boolean[] = []): void {
    this.reply({ id: this.request.id, version: version as Version, kind: 'written', deleted })
  }
}

class FakeConnection implements ClientConnection {
  readonly node: FakeNode
  readonly events: ConnectionEvents
  isOpen = false

  constructor(node: FakeNode, events: ConnectionEvents) {
    this.node = node
    this.events = events
  }

  send(requests: readonly Request[]): void {
    this.node.receive(requests, this)
  }

  close(): void {
    this.isOpen = false
    this.node.connections.delete(this)
  }
}

/** A node that does what the test says: requests pile up in `arrived` unless `answer` takes them. */
export class FakeNode {
  readonly info: NodeInfo
  readonly connections = new Set<FakeConnection>()
  readonly messages: (readonly Request[])[] = []
  arrived: Arrival[] = []
  /** True: it took care of the request. */
  answer: (arrival: Arrival) => boolean = () => false
  hello: ServerHello
  /** 'refuse': connections fail; 'hang': they never open. */
  mode: 'serve' | 'refuse' | 'hang' = 'serve'

  constructor(node: number, all: readonly NodeInfo[]) {
    this.info = nodeInfo(node)
    this.hello = { cluster: CLUSTER, node: asNode(node), nodes: all, version: FIRST_VERSION }
  }

  receive(requests: readonly Request[], connection: FakeConnection): void {
    this.messages.push(requests)
    for (const request of requests) {
      const arrival = new Arrival(request, this, connection)
      if (!this.answer(arrival)) this.arrived.push(arrival)
    }
  }

  /** The only request that waits here. */
  takeOne<K extends Request['kind']>(kind: K): Arrival<Extract<Request, { kind: K }>> {
    const [arrival, ...others] = this.arrived
    if (arrival === undefined) throw new Error(`no request waits at node ${this.info.node}`)
    if (others.length > 0) throw new Error(`${others.length + 1} requests wait at node ${this.info.node}`)
    if (arrival.request.kind !== kind) throw new Error(`a ${arrival.request.kind} waits, no ${kind}`)
    this.arrived = []
    return arrival as Arrival<Extract<Request, { kind: K }>>
  }

  /** What hung so far opens. */
  open(): void {
    this.mode = 'serve'
    for (const connection of this.connections) {
      if (connection.isOpen) continue
      connection.isOpen = true
      connection.events.onOpen(this.hello)
    }
  }

  /** It answers pings. */
  alive(): void {
    for (const { events, isOpen } of this.connections) if (isOpen) events.onAlive?.()
  }

  /** The process died: every connection ends. */
  drop(reason = 'connection reset'): void {
    for (const connection of [...this.connections]) {
      this.connections.delete(connection)
      connection.isOpen = false
      connection.events.onClose(new Error(reason))
    }
  }
}

/** Scripted nodes, a clock and a client core over them. Routes questions are answered by `routes` unless it is null. */
export class FakeCluster implements Connector {
  readonly clock = new FakeClock()
  readonly nodes: readonly FakeNode[]
  readonly dialled: string[] = []
  routes: readonly Route[] | null
  readonly core: ClientCore

  constructor(options: { nodes?: number; routes?: readonly Route[] | null; endpoints?: readonly string[] } = {}) {
    const count = options.nodes ?? 3
    const all = Array.from({ length: count }, (_, index) => nodeInfo(index + 1))
    this.nodes = all.map((info) => new FakeNode(info.node, all))
    this.routes = options.routes === undefined ? [route({ range: 2 }, 1)] : options.routes
    for (const node of this.nodes) node.answer = (arrival) => this.answerRoutes(arrival)
    this.core = new ClientCore({
      connector: this,
      endpoints: options.endpoints ?? all.map((info) => info.clientAddress),
      clock: this.clock,
      random: steadyRandom,
      defaultDeadlineMs: 5_000,
      newSessionId: () => 'session-1' as SessionId,
    })
  }

  node(id: number): FakeNode {
    return this.nodes[id - 1]!
  }

  answerRoutes(arrival: Arrival): boolean {
    const { request } = arrival
    if (request.kind !== 'routes' || this.routes === null) return false
    const end = (other: Route): Key | null => other.descriptor.span.end
    const routes = this.routes
      .filter((other) => end(other) === null || end(other)! > request.from)
      .slice(0, request.limit)
    arrival.reply({
      id: request.id,
      version: 0 as Version,
      kind: 'routes',
      routes,
      nodes: this.nodes.map((node) => node.info),
    })
    return true
  }

  /** From now on every request is answered at once, those that wait too; routes questions as before. */
  answerAll(answer: (arrival: Arrival) => void): void {
    for (const node of this.nodes) {
      for (const arrival of node.arrived.splice(0)) answer(arrival)
      node.answer = (arrival) => {
        if (!this.answerRoutes(arrival)) this.clock.defer(() => answer(arrival))
        return true
      }
    }
  }

  connect(address: string, events: ConnectionEvents): ClientConnection {
    this.dialled.push(address)
    const node = this.nodes.find((other) => other.info.clientAddress === address)
    if (node === undefined) {
      this.clock.defer(() => events.onClose(new Error('no such host')))
      return { send() {}, close() {} }
    }
    const connection = new FakeConnection(node, events)
    node.connections.add(connection)
    this.clock.defer(() => this.#opened(connection))
    return connection
  }

  #opened(connection: FakeConnection): void {
    const { node } = connection
    if (!node.connections.has(connection) || node.mode === 'hang') return
    if (node.mode === 'refuse') {
      node.connections.delete(connection)
      connection.events.onClose(new Error('connection refused'))
      return
    }
    connection.isOpen = true
    connection.events.onOpen(node.hello)
  }

  /** Lets all that was deferred run; time stands still. */
  turn(): void {
    this.clock.turn()
  }

  write(key = raw('a'), call: CallOptions = {}): Outcome<{ version: Version; deleted: readonly boolean[] }> {
    const value = Uint8Array.of(1)
    return outcomeOf(
      this.core.write(
        { conditions: [], writes: [{ kind: 'put', key, codec: 'bytes', value }], wantValue: false },
        call,
      ),
    )
  }
}

/** What became of a promise, to be looked at after `settled()`. */
export interface Outcome<T> {
  readonly promise: Promise<void>
  value?: T
  error?: unknown
}

export function outcomeOf<T>(promise: Promise<T>): Outcome<T> {
  const outcome: { promise: Promise<void>; value?: T; error?: unknown } = {
    promise: promise.then(
      (value) => {
        outcome.value = value
      },
      (error: unknown) => {
        outcome.error = error
      },
    ),
  }
  return outcome
}

/** Lets the promise jobs run that are queued. */
export async function settled(): Promise<void> {
  for (let job = 0; job < 20; job++) await Promise.resolve()
}
