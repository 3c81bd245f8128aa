import type { Socket } from 'node:net'
import { ProxyServer } from './proxy-server.js'
import type { Host } from './types.js'

/** What is in the way of bytes in one direction just now. */
export interface Obstacle {
  /** Nothing gets through; it is delivered later. */
  readonly isHeld: boolean
  /** A piece that arrives now waits so long. */
  readonly delayMs: number
}

export interface HoldingProxyOptions {
  /** host:port that it stands before. */
  readonly target: string
  /** Who has connected; asked before anything is let through. */
  readonly callerOf: (socket: Socket) => Promise<Host>
  /** Asked once for each direction of a connection; what it returns, for each piece. `in`: what the caller sends. */
  readonly obstacle: (caller: Host, direction: 'in' | 'out') => () => Obstacle
}

/** Held beyond this, no more is read: the sender's own buffers fill up then. */
const HELD_BYTES_MAX = 1024 * 1024

/**
 * Holds back bytes and ends of connections, and closes nothing by itself: who is cut off by it hears nothing, as in a partition, and
 * what was under way arrives when the partition is over, as TCP would send it again. New connections are taken in and held, too.
 */
export class HoldingProxy {
  readonly #options: HoldingProxyOptions
  #server!: ProxyServer
  readonly #lanes = new Set<Lane>()

  private constructor(options: HoldingProxyOptions) {
    this.#options = options
  }

  static async start(options: HoldingProxyOptions): Promise<HoldingProxy> {
    const proxy = new HoldingProxy(options)
    proxy.#server = await ProxyServer.start({ allowHalfOpen: true, join: (socket) => void proxy.#join(socket) })
    return proxy
  }

  get address(): string {
    return this.#server.address
  }

  /** The obstacles have changed. */
  wake(): void {
    for (const lane of this.#lanes) lane.pump()
  }

  close(): Promise<void> {
    return this.#server.close()
  }

  async #join(socket: Socket): Promise<void> {
    // Nobody listens for its bytes yet: they stay in it.
    const caller = await this.#options.callerOf(socket)
    if (socket.destroyed) return
    const node = this.#server.dial(this.#options.target)
    this.#lane(socket, node, this.#options.obstacle(caller, 'in'))
    this.#lane(node, socket, this.#options.obstacle(caller, 'out'))
  }

  #lane(from: Socket, to: Socket, obstacle: () => Obstacle): void {
    const lane: Lane = new Lane({ from, to, obstacle, onDone: () => this.#lanes.delete(lane) })
    this.#lanes.add(lane)
  }
}

/** One direction of one connection. */
class Lane {
  readonly #from: Socket
  readonly #to: Socket
  readonly #obstacle: () => Obstacle
  /** null: the connection ended there. */
  readonly #queue: { readonly bytes: Buffer | null; readonly dueMs: number }[] = []
  #queuedBytes = 0
  #timer: NodeJS.Timeout | null = null
  readonly #onDone: () => void

  constructor(options: { from: Socket; to: Socket; obstacle: () => Obstacle; onDone: () => void }) {
    const { from, to } = options
    this.#from = from
    this.#to = to
    this.#obstacle = options.obstacle
    this.#onDone = options.onDone
    from.on('data', (bytes: Buffer) => this.#arrive(bytes))
    from.on('close', () => this.#arrive(null))
    from.on('end', () => this.#arrive(null))
    to.on('drain', () => this.pump())
    to.on('close', () => this.#forget())
  }

  /** Delivers what may be delivered. */
  pump(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    if (this.#obstacle().isHeld) return
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const waitMs = next.dueMs - performance.now()
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.pump(), waitMs)
        return
      }
      this.#queue.shift()
      if (next.bytes === null) {
        // Both ways: what one side no longer sends, these protocols no longer read either.
        this.#to.destroySoon()
        this.#onDone()
        return
      }
      this.#queuedBytes -= next.bytes.length
      if (!this.#to.write(next.bytes)) break
    }
    if (this.#queuedBytes < HELD_BYTES_MAX && !this.#to.writableNeedDrain) this.#from.resume()
  }

  #arrive(bytes: Buffer | null): void {
    if (this.#to.destroyed) return this.#forget()
    // In order, however the delays differ: only what is sent on another connection may overtake it.
    const dueMs = Math.max(performance.now() + this.#obstacle().delayMs, this.#queue.at(-1)?.dueMs ?? 0)
    this.#queue.push({ bytes, dueMs })
    this.#queuedBytes += bytes?.length ?? 0
    if (this.#queuedBytes >= HELD_BYTES_MAX || this.#to.writableNeedDrain) this.#from.pause()
    this.pump()
  }

  /** Nobody is left to deliver to. The sender learns of that by the other direction, through what is in the way there. */
  #forget(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#queue.length = 0
    this.#queuedBytes = 0
    this.#from.resume()
    if (this.#from.destroyed) this.#onDone()
  }
}
