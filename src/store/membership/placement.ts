import type { NodeId, RangeId, ReplicaId } from '../../base/ids.js'
import { type Random, randomBelow } from '../../base/ports.js'
import type { Message } from '../../raft/types.js'
import type { PeerMessage, PlaceMessage } from '../ports.js'
import type { Replica } from '../replica.js'

export interface PlacementParts {
  readonly replicas: ReadonlyMap<RangeId, Replica>
  readonly random: Random
  /** Lowest replica id of the range that may live here. */
  lowestAllowed(range: RangeId): ReplicaId
  /** Makes an empty replica; it is there once `replicas` has it. */
  create(range: RangeId, replica: ReplicaId): void
  /** Lets go of a replica that has no state and has promised nothing. */
  discard(replica: Replica): void
  send(to: NodeId, message: PeerMessage): void
}

/**
 * A node's half of replacing replicas that are gone. It says what it lacks, and makes an empty replica only for the nonce it gave
 * in this boot, once: a late or doubled `place` brings back nothing that lived here.
 */
export class Placement {
  readonly #parts: PlacementParts
  readonly #nonces = new Map<RangeId, number>()

  constructor(parts: PlacementParts) {
    this.#parts = parts
  }

  /** A leader speaks to a replica that is not here. */
  unknown(from: NodeId, { type, range, to }: Message): void {
    if (type !== 'append' && type !== 'heartbeat') return
    const here = this.#parts.replicas.get(range)
    // An id given later replaces this one; if this one holds anything it hears from the others that it is out.
    if (here !== undefined && (here.hasState || here.id > to)) return
    if (here !== undefined) this.#parts.discard(here)
    if (to < this.#parts.lowestAllowed(range)) return
    this.#parts.send(from, { type: 'absent', range, replica: to })
  }

  place(from: NodeId, { replica, descriptor, nonce }: PlaceMessage): void {
    const { replicas } = this.#parts
    const { range } = descriptor
    if (replicas.has(range) || replica < this.#parts.lowestAllowed(range)) return
    // A replica whose span overlaps may have a split ahead of it that makes this one.
    for (const other of replicas.values()) {
      if (other.hasState && other.overlaps(descriptor.span)) return
    }
    const own = this.#nonceOf(range)
    if (nonce !== own) {
      this.#parts.send(from, { type: 'vacant', range, replica, nonce: own })
      return
    }
    this.#nonces.delete(range)
    this.#parts.create(range, replica)
  }

  #nonceOf(range: RangeId): number {
    const known = this.#nonces.get(range)
    if (known !== undefined) return known
    const nonce = randomBelow(this.#parts.random, 2 ** 48)
    this.#nonces.set(range, nonce)
    return nonce
  }
}
