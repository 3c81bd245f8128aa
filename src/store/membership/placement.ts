import type { Descriptor } from '../../base/descriptor.js'
import type { NodeId, RangeId, ReplicaId } from '../../base/ids.js'
import { type Random, randomBelow } from '../../base/ports.js'
import type { Message } from '../../raft/types.js'
import type { PeerMessage, PlaceMessage } from '../ports.js'
import type { Replica } from '../replica.js'
import type { Missed } from './missed.js'

export interface PlacementParts {
  readonly replicas: ReadonlyMap<RangeId, Replica>
  readonly random: Random
  /** Lowest replica id of the range that may live here. */
  lowestAllowed(range: RangeId): ReplicaId
  /** Makes an empty replica; it is there once `replicas` has it. */
  create(range: RangeId, replica: ReplicaId): void
  /** Of a range whose birth was missed: makes it as one that has promised nothing, and votes. */
  createMissed(of: Descriptor, replica: ReplicaId): void
  readonly missed: Pick<Missed, 'mayBe' | 'has'>
  /** Lets go of a replica that has no state and has promised nothing, or is out of its range. */
  discard(replica: Replica): void
  send(to: NodeId, message: PeerMessage): void
}

/**
 * A node's half of replacing replicas that are gone. It says what it lacks, and makes an empty replica only for the nonce it gave
 * in this boot, once: a late or doubled `place` brings back nothing that lived here. Of a range whose birth it missed nothing lived here
 * (see Missed), so it asks for no proof.
 */
export class Placement {
  readonly #parts: PlacementParts
  readonly #nonces = new Map<RangeId, number>()
  /** In this boot. While one is on its way to our log it is not here, and not vacant either. */
  readonly #made = new Map<RangeId, ReplicaId>()

  constructor(parts: PlacementParts) {
    this.#parts = parts
  }

  /** Somebody speaks to a replica that is not here. */
  unknown(from: NodeId, { type, range, to }: Message): void {
    if (type === 'append' || type === 'heartbeat') return this.#unknownToLeader(from, range, to)
    // Without this one there may be too few to elect a leader.
    const isAsked = type === 'preVote' || type === 'vote'
    if (isAsked && this.#parts.missed.mayBe(range)) this.#parts.send(from, { type: 'absent', range, replica: to })
  }

  #unknownToLeader(from: NodeId, range: RangeId, to: ReplicaId): void {
    const here = this.#parts.replicas.get(range)
    if (here !== undefined && here.id > to) return
    // An id given later replaces this one; if this one holds anything, it goes only once a descriptor shows that it is out.
    if (here?.hasState === false) this.#parts.discard(here)
    if (to < this.#parts.lowestAllowed(range)) return
    this.#parts.send(from, { type: 'absent', range, replica: to })
  }

  place(from: NodeId, { replica, descriptor, nonce }: PlaceMessage): void {
    const { replicas } = this.#parts
    const { range } = descriptor
    const here = replicas.get(range)
    // A learner asks nobody for votes, so nobody else tells it.
    if (here !== undefined && isOut(here, descriptor)) this.#parts.discard(here)
    if (this.#made.get(range) === replica) return
    if (replicas.has(range) || replica < this.#parts.lowestAllowed(range)) return
    // A replica whose span overlaps may have a split ahead of it that makes this one; also one that lost its state, and is given it
    // again as of before the split.
    for (const other of replicas.values()) if (other.overlaps(descriptor.span)) return
    if (this.#parts.missed.has(descriptor)) {
      this.#made.set(range, replica)
      return this.#parts.createMissed(descriptor, replica)
    }
    const own = this.#nonceOf(range)
    if (nonce !== own) {
      this.#parts.send(from, { type: 'vacant', range, replica, nonce: own })
      return
    }
    this.#nonces.delete(range)
    this.#made.set(range, replica)
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

/** `descriptor` is what a leader has applied. Ids are given in order, and never again. */
function isOut(here: Replica, { replicas, nextReplica }: PlaceMessage['descriptor']): boolean {
  return here.id < nextReplica && !replicas.some(({ replica }) => replica === here.id)
}
