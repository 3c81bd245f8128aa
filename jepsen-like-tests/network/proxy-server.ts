import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

/** What a proxy listens with, on a free port of loopback, and the sockets on either side of it. */
export class ProxyServer {
  readonly #server: Server
  readonly #allowHalfOpen: boolean
  readonly #sockets = new Set<Socket>()

  private constructor(options: { allowHalfOpen: boolean; join: (socket: Socket) => void }) {
    this.#allowHalfOpen = options.allowHalfOpen
    this.#server = createServer({ allowHalfOpen: options.allowHalfOpen }, (socket) => {
      this.#keep(socket)
      options.join(socket)
    })
  }

  /** `join` is given each connection that comes in. `allowHalfOpen`: as node:net has it, on both sides. */
  static async start(options: { allowHalfOpen: boolean; join: (socket: Socket) => void }): Promise<ProxyServer> {
    const server = new ProxyServer(options)
    server.#server.listen(0, '127.0.0.1')
    await once(server.#server, 'listening')
    return server
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as { port: number }).port}`
  }

  /** A connection to host:port, what stands behind the proxy. */
  dial(target: string): Socket {
    const [host, port] = target.split(':') as [string, string]
    const socket = connect({ host, port: Number(port), allowHalfOpen: this.#allowHalfOpen })
    this.#keep(socket)
    return socket
  }

  /** Ends all of its connections, too. */
  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.setNoDelay(true)
    // Its end is told by 'close'.
    socket.on('error', () => {})
    socket.on('close', () => this.#sockets.delete(socket))
  }
}
