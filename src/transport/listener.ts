import net from 'node:net'
import grpc from '@grpc/grpc-js'
import type { Logger } from '../base/ports.js'
import { serverOptions } from './methods.js'

const CONNECTIONS_MAX = 4_096

/** A listening gRPC server. */
export interface Listener {
  readonly port: number
  /** Open just now. */
  readonly connections: number
  /** Ends the connection of `peer` (as grpc names it, host:port) at once: what still waits for it is thrown away. */
  cut(peer: string): void
  /** Takes no more connections, tells the present ones to go, and cuts those that have not gone after `graceMs`. */
  close(graceMs: number): Promise<void>
}

/**
 * Listens itself and hands the sockets to grpc: a socket that we hold can be cut off when its owner never reads, which
 * grpc-js has no way to do, and "port in use" comes as the error that it is. Rejects with the error of `listen`.
 */
export async function listen(options: {
  host: string
  port: number
  logger: Logger
  addServices: (server: grpc.Server) => void
}): Promise<Listener> {
  const server = new grpc.Server(serverOptions)
  options.addServices(server)
  const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure())
  const sockets = new Map<string, net.Socket>()
  const acceptor = net.createServer({ noDelay: true }, (socket) => {
    const name = `${socket.remoteAddress}:${socket.remotePort}`
    sockets.set(name, socket)
    socket.on('close', () => sockets.delete(name))
    socket.on('error', (error) => options.logger.log('debug', `connection of ${name} failed: ${error.message}`))
    injector.injectConnection(socket)
  })
  acceptor.maxConnections = CONNECTIONS_MAX
  await new Promise<void>((resolve, reject) => {
    acceptor.once('error', reject)
    acceptor.listen(options.port, options.host, () => {
      acceptor.off('error', reject)
      resolve()
    })
  })
  acceptor.on('error', (error) => options.logger.log('error', `listener failed: ${error.message}`))
  const address = acceptor.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    get connections() {
      return sockets.size
    },
    cut: (peer) => sockets.get(peer)?.destroy(),
    async close(graceMs) {
      const closed = new Promise<void>((resolve) => acceptor.close(() => resolve()))
      injector.drain(graceMs)
      const force = setTimeout(() => {
        for (const socket of sockets.values()) socket.destroy()
      }, graceMs)
      await closed
      clearTimeout(force)
      server.forceShutdown()
    },
  }
}
