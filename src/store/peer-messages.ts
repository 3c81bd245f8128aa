import type { NodeId, RangeId, Version } from '../base/ids.js'
import type { Message } from '../raft/types.js'
import type { IdPool } from './id-pool.js'
import type { KnownNodes } from './known-nodes.js'
import type { Lifecycle } from './lifecycle.js'
import type { Placement } from './membership/placement.js'
import type { Replacement } from './membership/replacement.js'
import type { MetaDuties } from './meta-duties.js'
import type { AdvanceMessage, PeerMessage, RemovedMessage } from './ports.js'
import type { Replica } from './replica.js'
import type { SnapshotReceiver } from './snapshots/receiver.js'
import type { SnapshotSender } from './snapshots/sender.js'
import type { Digests } from './upkeep/digests.js'
import type { EntryRepair } from './upkeep/entry-repair.js'

export interface PeerMessageParts {
  readonly replicas: ReadonlyMap<RangeId, Replica>
  readonly nodes: KnownNodes
  readonly duties: MetaDuties
  readonly ids: IdPool
  readonly lifecycle: Lifecycle
  readonly placement: Placement
  readonly replacement: Replacement
  readonly sender: SnapshotSender
  readonly receiver: SnapshotReceiver
  readonly repair: EntryRepair
  readonly digests: Digests
  /** Has the log of a range led here reach a version. */
  advance(replica: Replica, version: Version): void
  send(to: NodeId, message: PeerMessage): void
  touch(replica: Replica): void
}

/** Hands what other nodes say to whom it concerns. */
export class PeerMessages {
  readonly #parts: PeerMessageParts

  constructor(parts: PeerMessageParts) {
    this.#parts = parts
  }

  take(from: NodeId, message: PeerMessage): void {
    const { duties, ids, nodes, placement, replacement, sender, receiver, repair, digests } = this.#parts
    switch (message.type) {
      case 'report':
        for (const node of message.nodes) nodes.seen(node)
        return duties.reported(message.descriptors, message.nodes)
      case 'allocate':
        return duties.allocateRanges(message.count, (first) =>
          this.#parts.send(from, { type: 'allocated', request: message.request, first }),
        )
      case 'allocated':
        return ids.allocated(message.request, message.first)
      case 'absent':
        return replacement.absent(from, message)
      case 'vacant':
        return replacement.vacant(from, message)
      case 'place':
        return placement.place(from, message)
      case 'removed':
        return this.#removed(message)
      case 'snapshotOffer':
        return receiver.offered(from, message)
      case 'snapshotPull':
        return sender.pulled(from, message)
      case 'snapshotChunk':
        return receiver.chunk(from, message)
      case 'snapshotRefused':
        receiver.refused(from, message)
        return sender.refused(from, message)
      case 'fetchEntry':
        return repair.asked(from, message)
      case 'fetchedEntry':
        return repair.answered(message)
      case 'digest':
        return digests.told(message)
      case 'advance':
        return this.#advance(message)
      default:
        return this.#step(from, message)
    }
  }

  #advance({ range, version }: AdvanceMessage): void {
    const replica = this.#parts.replicas.get(range)
    if (replica?.leads) this.#parts.advance(replica, version)
  }

  /** Whoever has applied that a replica is out may say so: ids are never used twice. */
  #removed({ range, replica: id }: RemovedMessage): void {
    const replica = this.#parts.replicas.get(range)
    if (replica?.id === id) this.#parts.lifecycle.remove(replica)
  }

  #step(from: NodeId, message: Message): void {
    const replica = this.#parts.replicas.get(message.range)
    if (replica === undefined || replica.id !== message.to) return this.#parts.placement.unknown(from, message)
    if (replica.book.hears(message.from, from)) {
      replica.takeTicks()
      replica.raft.step(message)
      return this.#parts.touch(replica)
    }
    // It can't disturb, and it is told, so that it ends (thesis 4.2.3).
    if (replica.book.isRemoved(message.from) && isAsking(message)) {
      this.#parts.send(from, { type: 'removed', range: message.range, replica: message.from })
    }
  }
}

function isAsking({ type }: Message): boolean {
  return type === 'preVote' || type === 'vote' || type === 'append' || type === 'heartbeat'
}
