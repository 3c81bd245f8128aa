import type { Socket } from 'node:net'
import { ProxyServer } from '../network/proxy-server.js'
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
  #server!: ProxyServer

  private constructor(options: ReplyProxyOptions) {
    this.#options = options
  }

  static async start(options: ReplyProxyOptions): Promise<ReplyProxy> {
    const proxy = new ReplyProxy(options)
    proxy.#server = await ProxyServer.start({ allowHalfOpen: false, join: (client) => proxy.#join(client) })
    return proxy
  }

  /** What clients dial. */
  get address(): string {
    return this.#server.address
  }

  close(): Promise<void> {
    return this.#server.close()
  }

  #join(client: Socket): void {
    const node = this.#server.dial(this.#options.target)
    const cut = (): void => {
      client.destroy()
      node.destroy()
    }
    client.on('close', cut)
    node.on('close', cut)
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
