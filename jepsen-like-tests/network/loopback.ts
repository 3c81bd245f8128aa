import { freePorts, type NodePlace } from '../processes.js'
import type { Network } from './types.js'

const UNDIVIDED = 'all nodes share one network: without network namespaces nothing can come between them'

/** All nodes on loopback. Nothing can be wrong with it. */
export class LoopbackNetwork implements Network {
  readonly kind = 'loopback'
  readonly noBlocks = UNDIVIDED
  readonly noLoss = UNDIVIDED
  readonly noDelay = UNDIVIDED
  readonly #places: readonly NodePlace[]

  private constructor(places: readonly NodePlace[]) {
    this.#places = places
  }

  static async make(nodes: number): Promise<LoopbackNetwork> {
    const ports = await freePorts(nodes * 3)
    const address = (at: number): string => `127.0.0.1:${ports[at]}`
    return new LoopbackNetwork(
      Array.from({ length: nodes }, (_, at) => ({
        listen: address(at),
        peerListen: address(nodes + at),
        http: address(2 * nodes + at),
      })),
    )
  }

  place(number: number): NodePlace {
    return this.#places[number - 1]!
  }

  async impose(): Promise<void> {}
}
