import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { ReplyMessages } from './reply-messages.js'

export interface ReplyProxyOptions {
  /** host:port of the node's client listener. */
  readonly target: string
  /** Of each reply message: is it lost? */
  readonly drops: () => boolean
}

/**
 * Stands before a node's client port and loses replies: the node has done what was asked and has answered, the client never hears
 * of it. A message can't be left out of an HTTP/2 connection unnoticed, so the whole connection is cut where the message begins; what
 * the node sends behind it is lost as well. The first message of a stream, its greeting, always comes through.
 */
export class ReplyProxy {
  /** Reply messages of the node, lost ones included. */
  replies = 0
  dropped = 0
  readonly #options: ReplyProxyOptions
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(options: ReplyProxyOptions) {
    this.#options = options
    this.#server = createServer((client) => this.#join(client))
  }

  static async start(options: ReplyProxyOptions): Promise<ReplyProxy> {
    const proxy = new ReplyProxy(options)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  /** What clients dial. */
  get address(): string {
    return `127.0.0.1:${(this.#server.address() as { port: number }).port}`
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #join(client: Socket): void {
    const [host, port] = this.#options.target.split(':') as [string, string]
    const node = connect({ host, port: Number(port) })
    const sockets = [client, node]
    const cut = (): void => {
      for (const socket of sockets) {
        socket.destroy()
        this.#sockets.delete(socket)
      }
    }
    for (const socket of sockets) {
      this.#sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', cut)
      socket.on('close', cut)
    }
    client.pipe(node)
    const messages = new ReplyMessages()
    node.on('data', (bytes: Buffer) => {
      const at = messages.read(bytes, ({ number }) => number > 1 && this.#isLost())
      if (at !== null) return cut()
      if (!client.write(bytes)) {
        node.pause()
        client.once('drain', () => node.resume())
      }
    })
  }

  #isLost(): boolean {
    this.replies++
    if (!this.#options.drops()) return false
    this.dropped++
    return true
  }
}
