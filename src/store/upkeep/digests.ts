import type { LogIndex, NodeId, RangeId, ReplicaId, Version } from '../../base/ids.js'
import { NO_VERSION } from '../../base/ids.js'
import { limits } from '../../base/limits.js'
import { VERSION_TICKS_PER_MS } from '../../base/version.js'
import type { DigestMessage, PeerMessage } from '../ports.js'
import type { Replica } from '../replica.js'

const DIGEST_COMMAND_BYTES = 64

export interface DigestParts {
  readonly replicas: ReadonlyMap<RangeId, Replica>
  send(to: NodeId, message: PeerMessage): void
  touch(replica: Replica): void
  /** This replica wrote something else than the others did. */
  onDivergence(replica: Replica, what: string): void
}

/** What the replicas of a range said about one entry. */
interface Comparison {
  readonly index: LogIndex
  readonly digests: Map<ReplicaId, number>
}

/**
 * Finds replicas that have parted from the others. The leader puts a `digest` command into the log now and then; every replica
 * tells all others what it had written as of that very entry, and one that a majority of the voters contradicts knows that it is
 * the one in the wrong. No leader judges: it may be the one.
 */
export class Digests {
  readonly #parts: DigestParts
  readonly #comparisons = new Map<RangeId, Comparison>()
  /** Of ranges led here: the digest last compared, and when. */
  readonly #compared = new Map<RangeId, { readonly digest: number; readonly at: Version }>()

  constructor(parts: DigestParts) {
    this.#parts = parts
  }

  look(now: Version): void {
    for (const replica of this.#parts.replicas.values()) if (replica.leads) this.#maybeAsk(replica, now)
  }

  #maybeAsk(replica: Replica, now: Version): void {
    const { digest } = replica.machine.bookkeeping
    const compared = this.#compared.get(replica.range)
    if (compared === undefined) {
      this.#compared.set(replica.range, { digest: -1, at: now })
      return
    }
    if (compared.digest === digest || now - compared.at < limits.digestEveryMs * VERSION_TICKS_PER_MS) return
    this.#compared.set(replica.range, { digest, at: now })
    this.ask(replica)
  }

  /** Has the replicas of a range that is led here compared. */
  ask(replica: Replica): void {
    replica.proposals.offer({
      make: (version) => ({ kind: 'digest', version }),
      settle: () => {},
      bytes: DIGEST_COMMAND_BYTES,
      seen: NO_VERSION,
      expiresAt: Number.POSITIVE_INFINITY,
      endsEntry: false,
    })
    this.#parts.touch(replica)
  }

  /** A `digest` command was applied here. */
  applied(replica: Replica, digest: number): void {
    const { range, id: from, applied: index, descriptor } = replica
    for (const { replica: to, node } of descriptor.replicas) {
      if (to !== from) this.#parts.send(node, { type: 'digest', range, from, to, index, digest })
    }
    this.#note({ range, from, index, digest })
    this.#judge(replica)
  }

  told(message: DigestMessage): void {
    this.#note(message)
    const replica = this.#parts.replicas.get(message.range)
    if (replica?.hasState === true) this.#judge(replica)
  }

  #note({ range, from, index, digest }: Pick<DigestMessage, 'range' | 'from' | 'index' | 'digest'>): void {
    let comparison = this.#comparisons.get(range)
    if (comparison === undefined || comparison.index < index) {
      comparison = { index, digests: new Map() }
      this.#comparisons.set(range, comparison)
    }
    if (comparison.index === index) comparison.digests.set(from, digest)
  }

  #judge(replica: Replica): void {
    const comparison = this.#comparisons.get(replica.range)
    const own = comparison?.digests.get(replica.id)
    if (comparison === undefined || own === undefined) return
    const voters = replica.descriptor.replicas.filter(({ role }) => role === 'voter')
    const others = new Map<number, number>()
    for (const { replica: id } of voters) {
      const digest = comparison.digests.get(id)
      if (digest !== undefined && digest !== own) others.set(digest, (others.get(digest) ?? 0) + 1)
    }
    if (![...others.values()].some((count) => count * 2 > voters.length)) return
    this.#comparisons.delete(replica.range)
    this.#parts.onDivergence(replica, `it wrote something else than the others by entry ${comparison.index}`)
  }

  /** The replica is gone or starts from another state. */
  drop(range: RangeId): void {
    this.#comparisons.delete(range)
    this.#compared.delete(range)
  }
}
