import type { NodeId, RangeId, ReplicaId, Term } from '../../base/ids.js'
import type { PeerMessage } from '../../store/ports.js'
import type { Violations } from './violations.js'

/**
 * At most one leader per range and term (thesis 3.2, election safety): only a leader sends appends and heartbeats, so
 * everything sent is looked at.
 */
export class LeaderChecker {
  readonly #violations: Violations
  readonly #onNewLeader: (leader: { node: NodeId; range: RangeId; term: Term }) => void
  readonly #leaders = new Map<RangeId, Map<Term, ReplicaId>>()
  #changes = 0

  constructor(
    violations: Violations,
    onNewLeader: (leader: { node: NodeId; range: RangeId; term: Term }) => void = () => {},
  ) {
    this.#violations = violations
    this.#onNewLeader = onNewLeader
  }

  /** Terms that got a leader after their range had had one. */
  get changes(): number {
    return this.#changes
  }

  sent(node: NodeId, messages: readonly PeerMessage[]): void {
    for (const message of messages) {
      if (message.type !== 'append' && message.type !== 'heartbeat') continue
      this.#leads(node, message)
    }
  }

  #leads(node: NodeId, { range, term, from }: { range: RangeId; term: Term; from: ReplicaId }): void {
    let terms = this.#leaders.get(range)
    if (terms === undefined) {
      terms = new Map()
      this.#leaders.set(range, terms)
    }
    const known = terms.get(term)
    if (known === from) return
    this.#violations.require(
      known === undefined,
      () => `two leaders of range ${range} in term ${term}: replicas ${known} and ${from} (node ${node})`,
    )
    if (terms.size > 0) this.#changes++
    terms.set(term, from)
    this.#onNewLeader({ node, range, term })
  }
}
