import type grpc from '@grpc/grpc-js'
import { ReflectionService } from '@grpc/reflection'
import { HealthImplementation } from 'grpc-health-check'
import type { NodeInfo } from '../base/descriptor.js'
import { HoldfastError } from '../base/errors.js'
import { type Logger, type Metrics, silentMetrics } from '../base/ports.js'
import type { ReplySink, Request, ServerHello } from '../kv/requests.js'
import { ClientLoad } from './client-load.js'
import { ClientSession } from './client-session.js'
import { listen } from './listener.js'
import { streamMethods } from './methods.js'
import { loadDefinitions } from './proto-files.js'
import { statusOf } from './statuses.js'
import type { UnaryHandler } from './unary.js'
import { UnaryService } from './unary-service.js'
import type { InitRequest } from './wire/unary-admin.js'

export type { InitRequest }

/** A client that was silent for this many ticks is dropped: one minute. */
const WATCH_EVERY_MS = 5_000
const SILENT_TICKS_MAX = 12

const SERVICES = ['', 'holdfast.v1.KeyValue', 'holdfast.v1.Admin', 'holdfast.v1.Stream']

/** What the client port asks of the node. Everything given to it was checked in size and shape. */
export interface ClientHandler {
  /** null: this node belongs to no cluster yet; streams are refused with UNAVAILABLE. */
  hello(): ServerHello | null
  /** Requests of one message. The sink is the same object for all of a stream. */
  submit(requests: readonly Request[], sink: ReplySink): void
  /** The stream is gone: nobody reads replies for this sink any more. */
  closed(sink: ReplySink): void
  /** `cluster`: 32 hex digits. */
  init(request: InitRequest): Promise<{ readonly cluster: string; readonly nodes: readonly NodeInfo[] }>
  readonly unary: UnaryHandler
}

export interface ClientServer {
  /** The port that was bound: of use where 0 was asked for. */
  readonly port: number
  /**
   * Refuses new requests (UNAVAILABLE, certainly not applied), lets each stream go once its open requests are answered, and
   * cuts what is left after `graceMs`.
   */
  close(graceMs: number): Promise<void>
  figures(): ClientFigures
}

/** What clients have under way at this moment. */
export interface ClientFigures {
  readonly connections: number
  readonly requests: number
  readonly requestBytes: number
  readonly replyBytes: number
}

/** Listens for clients: the SDK's stream, unary calls, health, reflection. Rejects when the port can't be bound. */
export async function startClientServer(options: {
  host: string
  port: number
  handler: ClientHandler
  logger: Logger
  metrics?: Metrics
}): Promise<ClientServer> {
  const { handler, logger, metrics = silentMetrics } = options
  const sessions = new Set<ClientSession>()
  const load = new ClientLoad()
  const unary = new UnaryService(logger)
  const health = new HealthImplementation(Object.fromEntries(SERVICES.map((name) => [name, 'SERVING'])))
  let isStopping = false

  const connect = (call: grpc.ServerDuplexStream<Buffer, Buffer>): void => {
    const hello = handler.hello()
    const refusal = isStopping ? 'the node is stopping' : hello === null ? NOT_INITIALISED : null
    if (hello === null || refusal !== null) {
      call.emit('error', statusOf(new HoldfastError('UNAVAILABLE', refusal ?? NOT_INITIALISED)))
      return
    }
    const onGone = (session: ClientSession): void => {
      sessions.delete(session)
    }
    const onOverfull = (): void => largest(sessions)?.cutOff()
    const cut = (peer: string): void => listener.cut(peer)
    const parts = { call, hello, handler, logger, metrics, load }
    sessions.add(new ClientSession({ ...parts, cut, onGone, onOverfull }))
  }

  const listener = await listen({
    ...options,
    addServices(server) {
      server.addService(streamMethods, { connect })
      unary.addTo(server, handler.unary, (request) => handler.init(request))
      health.addToServer(server)
      new ReflectionService(loadDefinitions('holdfast/v1/holdfast.proto')).addToServer(server)
    },
  })
  const watch = setInterval(() => {
    for (const session of sessions) session.watch(SILENT_TICKS_MAX)
  }, WATCH_EVERY_MS)
  watch.unref()

  return {
    port: listener.port,
    figures: () => ({
      connections: listener.connections,
      requests: load.requests + unary.load.calls,
      requestBytes: load.requestBytes + unary.load.bytes,
      replyBytes: load.replyBytes,
    }),
    async close(graceMs) {
      isStopping = true
      clearInterval(watch)
      for (const name of SERVICES) health.setStatus(name, 'NOT_SERVING')
      for (const session of [...sessions]) session.stop()
      await listener.close(graceMs)
    },
  }
}

const NOT_INITIALISED = 'this node belongs to no cluster yet: run `holdfast init` once, when all its nodes are up'

/** Who makes the node hold most. */
function largest(sessions: Iterable<ClientSession>): ClientSession | undefined {
  let found: ClientSession | undefined
  for (const session of sessions) {
    if (found === undefined || session.waitingBytes > found.waitingBytes) found = session
  }
  return found
}
