import type { SessionId } from '../base/ids.js'
import { ClientCore } from '../client/core.js'
import { ClientTally } from './client-tally.js'
import { SimConnector, type SimListener } from './connector.js'
import type { Place, SimNetwork } from './network.js'
import type { SimNode } from './node.js'
import { describeBug, SimProcess } from './process.js'
import type { SeededRandom } from './random.js'
import type { Scheduler } from './scheduler.js'
import { TellingCore, type Told } from './telling-core.js'

interface Parts {
  readonly scheduler: Scheduler
  readonly network: SimNetwork
  readonly random: SeededRandom
  readonly nodes: () => readonly SimNode[]
  readonly freeze: boolean
  readonly silenceMs: number
  report(violation: string): void
}

/** The client processes of a simulated cluster. */
export class SimClients {
  readonly #parts: Parts
  readonly #places: Place[] = []
  readonly #connectors: SimConnector[] = []
  /** Of all of them together. */
  readonly tally = new ClientTally()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  get places(): readonly Place[] {
    return this.#places
  }

  /** A client process of its own, which knows all nodes. `told`: called with each write that it is told is written. */
  make(told?: Told): { core: ClientCore; process: SimProcess } {
    const place = `client ${this.#places.length + 1}`
    this.#places.push(place)
    const random = this.#parts.random.fork(place)
    const process = this.#process(place)
    const options = {
      connector: this.#connector(place, process),
      endpoints: this.#parts.nodes().map((node) => node.info.clientAddress),
      clock: process.clock,
      random,
      defaultDeadlineMs: 5_000,
      newSessionId: () => sessionId(random),
    }
    return { core: told === undefined ? new ClientCore(options) : new TellingCore(options, told), process }
  }

  listenerEnded(listener: SimListener): void {
    for (const connector of this.#connectors) connector.listenerEnded(listener)
  }

  /** All connections to the node break at once. */
  reset(listener: SimListener): void {
    for (const connector of this.#connectors) connector.reset(listener)
  }

  /** The node's end of all connections is gone, and nobody tells. */
  silenceLater(listener: SimListener): void {
    for (const connector of this.#connectors) connector.silenceLater(listener)
  }

  listenerSilent(listener: SimListener): void {
    for (const connector of this.#connectors) connector.listenerSilent(listener)
  }

  #process(place: Place): SimProcess {
    const { scheduler, report } = this.#parts
    return new SimProcess({
      scheduler,
      settles: true,
      onFatal: (reason) => report(`${place} ended itself: ${reason}`),
      onBug: (error) => report(`${place} failed: ${describeBug(error)}`),
    })
  }

  #connector(place: Place, process: SimProcess): SimConnector {
    const { scheduler, network, freeze, silenceMs, nodes } = this.#parts
    const listener = (address: string) => nodes().find((node) => node.info.clientAddress === address)?.listener ?? null
    const connector = new SimConnector({
      ...{ scheduler, network, place, process, listener, freeze, silenceMs },
      tally: this.tally,
    })
    this.#connectors.push(connector)
    return connector
  }
}

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

function sessionId(random: SeededRandom): SessionId {
  return Array.from({ length: 22 }, () => BASE64URL[random.below(64)]).join('') as SessionId
}
