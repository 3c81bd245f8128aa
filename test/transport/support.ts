import http2 from 'node:http2'
import grpc from '@grpc/grpc-js'
import type { ClusterId, NodeId, RangeId, Version } from '../../src/base/ids.js'
import { type Clock, type Logger, silentLogger } from '../../src/base/ports.js'
import type { ConnectionEvents } from '../../src/client/ports.js'
import type { Reply, ReplySink, Request, ServerHello } from '../../src/kv/requests.js'
import { type ClientHandler, startClientServer } from '../../src/transport/client-server.js'
import { GrpcConnector } from '../../src/transport/connector.js'
import { channelOptions, streamMethods } from '../../src/transport/methods.js'
import type { UnaryHandler } from '../../src/transport/unary.js'
import { Happenings } from '../happenings.js'

export const CLUSTER = '0123456789abcdef0123456789abcdef' as ClusterId
export const NODE = { node: 1 as NodeId, clientAddress: '127.0.0.1:1', peerAddress: '127.0.0.1:2', pid: 3 }
export const HELLO: ServerHello = { cluster: CLUSTER, node: NODE.node, nodes: [NODE], version: 9 as Version }

/** Things happen later; a test waits for the one it wants. */
export class Mailbox<Item> {
  readonly items: Item[] = []
  readonly #arrivals = new Happenings()

  put(item: Item): void {
    this.items.push(item)
    this.#arrivals.happened()
  }

  find(wanted: (item: Item) => boolean): Promise<Item> {
    return this.#arrivals.until(() => this.items.find(wanted) ?? null)
  }

  count(least: number): Promise<readonly Item[]> {
    return this.#arrivals.until(() => (this.items.length >= least ? this.items : null))
  }
}

/** Timers fire when the test says so. */
export class HandClock implements Clock {
  readonly #timers = new Set<() => void>()

  wallMs = (): number => 1_000_000
  monotonicMs = (): number => 0
  defer = (action: () => void): void => void setImmediate(action)

  setTimer(_delayMs: number, action: () => void): () => void {
    const timer = (): void => action()
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** Fires every timer that is set now. */
  fire(): void {
    for (const timer of [...this.#timers]) if (this.#timers.delete(timer)) timer()
  }
}

export function logTo(lines: Mailbox<string>): Logger {
  return { log: (level, message) => lines.put(`${level}: ${message}`) }
}

const refuses = (): never => {
  throw new Error('not expected')
}
const noUnary: UnaryHandler = {
  get: refuses,
  getMany: refuses,
  put: refuses,
  delete: refuses,
  batch: refuses,
  scan: refuses,
  split: refuses,
  transfer: refuses,
  status: refuses,
}

/** A node that answers each request with `answer`, or not at all where that gives null. */
export function handlerOf(options: {
  answer?: (request: Request) => Reply | null
  hello?: () => ServerHello | null
  unary?: Partial<UnaryHandler>
  init?: ClientHandler['init']
}) {
  const batches: (readonly Request[])[] = []
  const closed = new Mailbox<ReplySink>()
  const sinks = new Mailbox<ReplySink>()
  const handler: ClientHandler = {
    hello: options.hello ?? (() => HELLO),
    submit(requests, sink) {
      batches.push(requests)
      sinks.put(sink)
      const replies = requests.map((request) => (options.answer ?? written)(request)).filter((reply) => reply !== null)
      if (replies.length > 0) sink.replies(replies)
    },
    closed: (sink) => closed.put(sink),
    init: options.init ?? refuses,
    unary: { ...noUnary, ...options.unary },
  }
  return { handler, batches, closed, sinks }
}

export async function serve(handler: ClientHandler, logger: Logger = silentLogger) {
  const server = await startClientServer({ host: '127.0.0.1', port: 0, handler, logger })
  return { ...server, address: `127.0.0.1:${server.port}` }
}

export function written(request: Request): Reply {
  return { id: request.id, version: 5 as Version, kind: 'written', deleted: [] }
}

/** Connects as the SDK does and collects what happens. */
export function connectTo(address: string, connector = new GrpcConnector()) {
  const hellos = new Mailbox<ServerHello>()
  const replies = new Mailbox<Reply>()
  const closes = new Mailbox<Error>()
  /** Sizes of the groups in which replies came. */
  const groups: number[] = []
  const events: ConnectionEvents = {
    onOpen: (hello) => hellos.put(hello),
    onReplies(some) {
      groups.push(some.length)
      for (const reply of some) replies.put(reply)
    },
    onClose: (error) => closes.put(error),
  }
  const connection = connector.connect(address, events)
  return { connection, hellos, replies, closes, groups, open: () => hellos.count(1) }
}

/** A bare stream: sends any bytes, and reads only when told to. */
export function rawStream(address: string) {
  const client = new grpc.Client(address, grpc.credentials.createInsecure(), {
    ...channelOptions,
    'grpc.max_send_message_length': -1,
    'grpc-node.flow_control_window': 65_535,
  })
  const { path, requestSerialize, responseDeserialize } = streamMethods.connect
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
  const errors = new Mailbox<grpc.ServiceError>()
  call.on('error', (error: grpc.ServiceError) => errors.put(error))
  const close = (): void => {
    call.cancel()
    client.close()
  }
  return { call, errors, close }
}

/** A stream below grpc, which would read ahead by itself: takes no byte of an answer, ever. */
export function deafStream(address: string) {
  const session = http2.connect(`http://${address}`).on('error', () => {})
  const { path } = streamMethods.connect
  const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' }
  const stream = session.request(headers).on('error', () => {})
  const send = (frame: Buffer): Promise<void> =>
    new Promise((resolve) => {
      const head = Buffer.alloc(5)
      head.writeUInt32BE(frame.length, 1)
      stream.write(Buffer.concat([head, frame]), () => resolve())
    })
  return { send, close: () => session.destroy() }
}

/** The same call for every service: bytes in, bytes or error out. */
export function unaryCall(address: string, path: string, request: Buffer): Promise<Buffer> {
  const client = new grpc.Client(address, grpc.credentials.createInsecure(), channelOptions)
  const asIs = (bytes: Buffer): Buffer => bytes
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, asIs, asIs, request, (error, bytes) => {
      client.close()
      if (error !== null) reject(error)
      else resolve(bytes ?? Buffer.alloc(0))
    })
  })
}

const SESSION = 'AAAAAAAAAAAAAAAAAAAAAA' as never

/** A stored key of the raw namespace. */
export function key(text: string): never {
  return `\x00\x00\x00\x10${text}` as never
}

const toRange = { range: 2 as RangeId, generation: 1 as never, deadlineMs: 1_000, seen: 0 as Version }

export function put(id: number, value: Uint8Array = Buffer.from('v'), at: never = key('k')): Request {
  const origin = { session: SESSION, sequence: 1, firstSent: 0 as Version, lowest: 1 }
  const writes = [{ kind: 'put' as const, key: at, codec: 'bytes' as const, value }]
  return { kind: 'write', id, ...toRange, origin, conditions: [], writes, wantValue: false }
}

export function get(id: number, ...keys: never[]): Request {
  return { kind: 'get', id, ...toRange, keys: keys.length > 0 ? keys : [key('k')] }
}

export function scan(id: number, over: object = {}): Request {
  const span = { start: key('a'), end: key('b'), reverse: false, limit: 10, bytesMax: 1_000, at: null, keysOnly: false }
  return { kind: 'scan', id, ...toRange, ...span, ...over } as Request
}
