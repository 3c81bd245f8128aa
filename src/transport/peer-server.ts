import type grpc from '@grpc/grpc-js'
import type { Logger } from '../base/ports.js'
import { listen } from './listener.js'
import { type Method, peerMethods } from './methods.js'
import { type Begun, PeerSession } from './peer-session.js'
import type { PeerHandler } from './peer-types.js'
import { ProblemLog } from './problem-log.js'
import { holdfastErrorOf, statusOf } from './statuses.js'
import { decodeBirth, decodeJoin, encodeIdentification, encodeJoinAnswer } from './wire/peer-calls.js'

/** A session whose dialler was silent for this many ticks is ended: 10 s, forty missed heartbeats. */
const WATCH_EVERY_MS = 1_000
const SILENT_TICKS_MAX = 10

export interface PeerServer {
  /** The port that was bound: of use where 0 was asked for. */
  readonly port: number
  /** Ends all sessions, and cuts the connections that are left after `graceMs`. */
  close(graceMs: number): Promise<void>
  /** Connections from other nodes. */
  readonly connections: number
}

/** Listens for other nodes: sessions, joining, birth, identification. Rejects when the port can't be bound. */
export async function startPeerServer(options: {
  host: string
  port: number
  handler: PeerHandler
  logger: Logger
}): Promise<PeerServer> {
  const { handler, logger } = options
  const problems = new ProblemLog(logger)
  const sessions = new Set<PeerSession>()

  const session = (call: grpc.ServerDuplexStream<Buffer, Buffer>): void => {
    const report = (from: string, problem: string | null): void => {
      problems.maybeLog(`session from ${from}`, problem)
    }
    const onBegun = (begun: Begun): void => {
      for (const open of [...sessions]) open.maybeYield(begun)
    }
    const onClosed = (closed: PeerSession): void => {
      sessions.delete(closed)
    }
    sessions.add(new PeerSession({ call, handler, report, onBegun, onClosed }))
  }

  const listener = await listen({
    ...options,
    addServices(server) {
      const services: Record<keyof typeof peerMethods, Method> = peerMethods
      server.addService(services, {
        session,
        join: unary(async (bytes) => encodeJoinAnswer(await handler.join(decodeJoin(bytes)))),
        birth: unary(async (bytes) => {
          await handler.birth(decodeBirth(bytes))
          return Buffer.alloc(0)
        }),
        identify: unary(async () => encodeIdentification(handler.identify())),
      })
    },
  })
  const watch = setInterval(() => {
    for (const open of sessions) open.watch(SILENT_TICKS_MAX)
  }, WATCH_EVERY_MS)
  watch.unref()

  return {
    port: listener.port,
    get connections() {
      return listener.connections
    },
    async close(graceMs) {
      clearInterval(watch)
      for (const open of [...sessions]) open.stop()
      await listener.close(graceMs)
    },
  }
}

function unary(serve: (bytes: Buffer) => Promise<Buffer>): grpc.handleUnaryCall<Buffer, Buffer> {
  return (call, answer) => {
    serve(call.request).then(
      (bytes) => answer(null, bytes),
      (error: unknown) => answer(statusOf(holdfastErrorOf(error))),
    )
  }
}
