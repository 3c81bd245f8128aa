import type { Socket } from 'node:net'
import type { Scope } from '../command.js'
import { freePorts } from '../free-ports.js'
import type { NodePlace, NodeProcess } from '../processes.js'
import { ownerOf } from './connection-owner.js'
import { HoldingProxy, type Obstacle } from './holding-proxy.js'
import { Pace } from './pace.js'
import { calm, type Host, type Network, type NetworkOptions, type Trouble } from './types.js'

/**
 * All nodes on loopback, each behind two proxies, one for other nodes and one for clients. They hold back what is blocked without closing
 * anything: a reset would tell both sides at once that something is wrong, which a partition does not.
 */
export class ProxyNetwork implements Network {
  readonly kind = 'loopback, with a proxy before every node'
  readonly noBlocks = process.platform === 'linux' ? null : 'proxies tell nodes apart by /proc, which is of Linux'
  readonly noLoss = 'proxies see the bytes of a connection, not packets: none can be lost'
  readonly noDelay = null
  readonly #places: NodePlace[] = []
  readonly #proxies: HoldingProxy[] = []
  #nodes: readonly NodeProcess[] = []
  #trouble: Trouble = calm

  readonly #random: () => number

  private constructor(random: () => number) {
    this.#random = random
  }

  static async make({ scope, nodes, random }: NetworkOptions): Promise<ProxyNetwork> {
    const network = new ProxyNetwork(random)
    const ports = await freePorts(nodes * 3)
    const address = (at: number): string => `127.0.0.1:${ports[at]}`
    for (let at = 0; at < nodes; at++) {
      const place = { listen: address(at), peerListen: address(nodes + at), http: address(2 * nodes + at) }
      const peers = await network.#proxy(scope, { number: at + 1, target: place.peerListen })
      const clients = await network.#proxy(scope, { number: at + 1, target: place.listen, isForClients: true })
      network.#places.push({ ...place, advertise: clients.address, peerAdvertise: peers.address })
    }
    return network
  }

  place(number: number): NodePlace {
    return this.#places[number - 1]!
  }

  attach(nodes: readonly NodeProcess[]): void {
    this.#nodes = nodes
  }

  async impose(trouble: Trouble): Promise<void> {
    this.#trouble = trouble
    for (const proxy of this.#proxies) proxy.wake()
  }

  async #proxy(
    scope: Scope,
    { number, target, isForClients = false }: { number: number; target: string; isForClients?: boolean },
  ): Promise<HoldingProxy> {
    const proxy = await HoldingProxy.start({
      target,
      callerOf: async (socket) => (isForClients ? 'clients' : this.#callerOf(socket)),
      obstacle: (caller, direction) => this.#obstacles(direction === 'in' ? [caller, number] : [number, caller]),
    })
    scope.defer(`proxy of node ${number}`, () => proxy.close())
    this.#proxies.push(proxy)
    return proxy
  }

  /** Of a connection whose process is gone already it does not matter. */
  async #callerOf(socket: Socket): Promise<Host> {
    const running = this.#nodes.filter((node) => node.isUp)
    const ports = { from: socket.remotePort ?? 0, to: socket.localPort ?? 0 }
    const pid = await ownerOf(
      ports,
      running.map((node) => node.pid),
    )
    const at = this.#nodes.findIndex((node) => node.isUp && node.pid === pid)
    return at === -1 ? 'clients' : at + 1
  }

  /** Of one connection. */
  #obstacles([from, to]: readonly [Host, Host]): () => Obstacle {
    const pace = new Pace(this.#random, () => performance.now())
    return () => {
      const { blocks, delayMs, jitterMs } = this.#trouble
      return {
        isHeld: blocks.some((block) => block.from === from && block.to === to),
        delayMs: delayMs + pace.share * jitterMs,
      }
    }
  }
}
