import type { Descriptor, ReplicaDescriptor } from '../base/descriptor.js'
import type { NodeId, ReplicaId } from '../base/ids.js'

/**
 * On which node a range's replicas are, as one replica knows it: the applied descriptor first, then configuration entries that
 * stand in the log and are not applied yet, then what messages told. The last is what lets a replica that slept through a change
 * hear a leader it has never heard of (thesis 4.1: messages are taken from senders outside of one's configuration).
 */
export class AddressBook {
  readonly #descriptor: () => Descriptor
  readonly #logged = new Map<ReplicaId, NodeId>()
  readonly #heard = new Map<ReplicaId, NodeId>()

  constructor(descriptor: () => Descriptor) {
    this.#descriptor = descriptor
  }

  nodeOf(replica: ReplicaId): NodeId | null {
    const applied = this.#descriptor().replicas.find((each) => each.replica === replica)
    return applied?.node ?? this.#logged.get(replica) ?? this.#heard.get(replica) ?? null
  }

  /** Given once, and not in the applied descriptor: out of the range for ever, since ids are never used twice. */
  isRemoved(replica: ReplicaId): boolean {
    const { replicas, nextReplica } = this.#descriptor()
    return replica < nextReplica && !replicas.some((each) => each.replica === replica)
  }

  /** A configuration entry entered the log. If it is cut off again what it said stays until an applied descriptor knows better. */
  logged(replicas: readonly ReplicaDescriptor[]): void {
    for (const { replica, node } of replicas) this.#logged.set(replica, node)
  }

  /** A message says that `replica` is on `node`. False: it is known to be elsewhere, or out; the message is not to be taken. */
  hears(replica: ReplicaId, node: NodeId): boolean {
    const known = this.nodeOf(replica)
    if (known !== null) return known === node
    if (this.isRemoved(replica)) return false
    this.#heard.set(replica, node)
    return true
  }

  /** The applied descriptor changed: lets go of what it settles. */
  applied(): void {
    const { nextReplica } = this.#descriptor()
    for (const book of [this.#logged, this.#heard]) {
      for (const replica of book.keys()) if (replica < nextReplica) book.delete(replica)
    }
  }
}
