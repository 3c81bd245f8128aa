import type { NodeInfo } from '../base/descriptor.js'
import type { HoldfastError } from '../base/errors.js'
import type { NodeId } from '../base/ids.js'
import type { Clock, Logger, Random } from '../base/ports.js'
import type { PeerMessage, PeerTransport } from '../store/ports.js'
import { Peer } from './peer.js'
import type { PeerIdentity } from './peer-types.js'
import { ProblemLog } from './problem-log.js'

/** Sends to other nodes: three connections to each (control, appends, snapshots), dialled again for ever, watched by heartbeats. */
export class GrpcPeers implements PeerTransport {
  readonly identity: PeerIdentity
  /** Called when the session with a node ended: what was sent last may be lost. */
  onDown: (node: NodeId) => void
  /** A peer refuses this node because it has seen a boot that this node's history lacks: it may have forgotten what it promised. */
  readonly #onKeptOut: (error: HoldfastError) => void
  /** Up to which batch our log is synced. */
  readonly #lastBatch: () => number
  readonly #clock: Clock
  readonly #random: Random
  readonly #problems: ProblemLog
  readonly #peers = new Map<NodeId, Peer>()
  #isClosed = false

  constructor(options: {
    identity: PeerIdentity
    lastBatch: () => number
    clock: Clock
    logger: Logger
    random: Random
    onDown?: (node: NodeId) => void
    onKeptOut?: (error: HoldfastError) => void
  }) {
    this.identity = options.identity
    this.onDown = options.onDown ?? (() => {})
    this.#onKeptOut = options.onKeptOut ?? (() => {})
    this.#lastBatch = options.lastBatch
    this.#clock = options.clock
    this.#random = options.random
    this.#problems = new ProblemLog(options.logger)
  }

  /** Where a node is; dials it at once. A new address replaces the old one, the node itself is passed over. After the close: nothing. */
  setPeer(info: NodeInfo): void {
    if (this.#isClosed || info.node === this.identity.node) return
    if (this.#peers.get(info.node)?.info.peerAddress === info.peerAddress) return
    this.removePeer(info.node)
    const peer = new Peer({
      info,
      identity: this.identity,
      lastBatch: this.#lastBatch,
      clock: this.#clock,
      random: this.#random,
      problems: this.#problems,
      onDown: () => this.onDown(info.node),
      onKeptOut: this.#onKeptOut,
    })
    this.#peers.set(info.node, peer)
  }

  removePeer(node: NodeId): void {
    this.#peers.get(node)?.close()
    this.#peers.delete(node)
  }

  /** Drops what can't leave at once: unknown node, no session, or too many unsent bytes. Raft repeats what matters. */
  send(to: NodeId, messages: readonly PeerMessage[]): void {
    if (messages.length > 0) this.#peers.get(to)?.send(messages)
  }

  isConnected(node: NodeId): boolean {
    return this.#peers.get(node)?.isConnected ?? false
  }

  /** Connections to other nodes that are up, and the bytes given to them that have not left yet. */
  figures(): { readonly connections: number; readonly unsentBytes: number } {
    let connections = 0
    let unsentBytes = 0
    for (const peer of this.#peers.values()) {
      connections += peer.connections
      unsentBytes += peer.unsentBytes
    }
    return { connections, unsentBytes }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const node of [...this.#peers.keys()]) this.removePeer(node)
  }
}
