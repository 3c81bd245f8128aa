import type { SimNetwork } from './network.js'
import type { SimNode } from './node.js'
import type { Packet, PeerWire } from './peer-sessions.js'
import type { Scheduler } from './scheduler.js'
import type { Trace } from './trace.js'

interface WireParts {
  readonly scheduler: Scheduler
  readonly trace: Trace
  readonly network: SimNetwork
  node(id: number): SimNode
}

/** What nodes send each other, over the simulated network. */
export class PeerWires {
  readonly #parts: WireParts
  #sessions = 0

  constructor(parts: WireParts) {
    this.#parts = parts
  }

  of(from: SimNode): PeerWire {
    const { node } = this.#parts
    return {
      newSession: () => ++this.#sessions,
      send: (to, packet) => this.#deliver(from, node(to), packet),
      isAlive: (to, session) => this.#isConnected(from, node(to)) && node(to).answers(session),
    }
  }

  /** The network brings `other` the end of its connections to a node that is gone. */
  tellDown(other: SimNode, gone: SimNode): void {
    const { scheduler, network } = this.#parts
    scheduler.schedule(network.drawDelayMs(gone.place, other.place), () => {
      if (network.isOpen(gone.place, other.place)) other.connectionLost(gone.id)
    })
  }

  #isConnected(a: SimNode, b: SimNode): boolean {
    const { network } = this.#parts
    return network.isOpen(a.place, b.place) && network.isOpen(b.place, a.place)
  }

  #deliver(from: SimNode, to: SimNode, packet: Packet): void {
    // What is read and written for a hello is awaited.
    const settles = packet.kind === 'hello'
    const arrive = () => {
      this.#trace(to, from, packet)
      if (to.receive(from.id, packet) || packet.kind === 'reset') return
      this.#deliver(to, from, { kind: 'reset', session: packet.session })
    }
    this.#parts.network.datagram(from.place, to.place, arrive, settles)
  }

  #trace(to: SimNode, from: SimNode, packet: Packet): void {
    const { trace, scheduler } = this.#parts
    if (packet.kind !== 'frame') return trace.event(scheduler.nowMs, to.place, packet.kind, from.id, packet.session)
    const { messages } = packet.frame
    trace.event(scheduler.nowMs, to.place, 'frame', from.id, messages.length, messages[0]?.type ?? null)
  }
}
