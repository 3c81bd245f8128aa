import type { RangeId, ReplicaId, Term } from '../../base/ids.js'
import type { PeerMessage } from '../../store/ports.js'
import type { Violations } from './violations.js'

interface Known {
  term: Term
  /** Whom it has voted for in that term, itself included. */
  vote: ReplicaId | null
}

/**
 * What a replica promises by its votes (thesis 3.4, 3.8): its term never goes back and it votes once in each, over restarts too. Looks
 * at what is sent: what stands on its disk and is never told binds nobody.
 */
export class TermChecker {
  readonly #violations: Violations
  readonly #replicas = new Map<RangeId, Map<ReplicaId, Known>>()

  constructor(violations: Violations) {
    this.#violations = violations
  }

  sent(messages: readonly PeerMessage[]): void {
    for (const message of messages) {
      switch (message.type) {
        case 'vote':
          this.#votes(message, message.from)
          break
        case 'voteReply':
          if (message.granted) this.#votes(message, message.to)
          break
        case 'append':
        case 'heartbeat':
          this.#inTerm(message)
          break
        default:
      }
    }
  }

  #votes(message: { range: RangeId; from: ReplicaId; term: Term }, vote: ReplicaId): void {
    const known = this.#inTerm(message)
    const { range, from, term } = message
    this.#violations.require(
      known.vote === null || known.vote === vote,
      () => `replica ${from} of range ${range} voted for ${known.vote} and for ${vote} in term ${term}`,
    )
    known.vote = vote
  }

  #inTerm({ range, from, term }: { range: RangeId; from: ReplicaId; term: Term }): Known {
    let replicas = this.#replicas.get(range)
    if (replicas === undefined) {
      replicas = new Map()
      this.#replicas.set(range, replicas)
    }
    let known = replicas.get(from)
    if (known === undefined) {
      known = { term, vote: null }
      replicas.set(from, known)
    }
    const before = known.term
    this.#violations.require(
      term >= before,
      () => `replica ${from} of range ${range} went back from term ${before} to ${term}`,
    )
    if (term > before) {
      known.term = term
      known.vote = null
    }
    return known
  }
}
