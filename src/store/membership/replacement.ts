import { type LogIndex, NO_INDEX, type NodeId, type RangeId, type ReplicaId, type Term } from '../../base/ids.js'
import { limits } from '../../base/limits.js'
import type { Logger } from '../../base/ports.js'
import type { AbsentMessage, PeerMessage, VacantMessage } from '../ports.js'
import type { Replica } from '../replica.js'
import { nextChange } from './next-change.js'
import { Vacancies } from './vacancies.js'

/** Who has not answered for this long may be gone. */
const QUIET_TICKS_MAX = 3 * limits.heartbeatTicks

export interface ReplacementParts {
  readonly replicas: ReadonlyMap<RangeId, Replica>
  send(to: NodeId, message: PeerMessage): void
  monotonicMs(): number
  touch(replica: Replica): void
  readonly logger: Logger
}

/** What a leader remembers of one range. Nothing of it is needed by the next one. */
interface Led {
  readonly term: Term
  readonly vacancies: Vacancies
  commitAtLook: number
}

/**
 * The leader's half of replacing replicas that are gone for ever (a wiped disk, a log that may have forgotten). An id that its
 * node does not know is never revived: it may have voted. The node says `absent`, is asked, says `vacant`; the range adds a
 * learner under a new id, promotes it, and lets the dead id go.
 *
 * A new id is made known to its node only once the entry that names it is applied here: before, another leader might cut that
 * entry and give the same id to another node.
 */
export class Replacement {
  readonly #parts: ReplacementParts
  readonly #led = new Map<RangeId, Led>()

  constructor(parts: ReplacementParts) {
    this.#parts = parts
  }

  /** Some range led here may have a change to make. */
  get isWaiting(): boolean {
    if (this.#led.size > 0) return true
    for (const replica of this.#parts.replicas.values()) if (replica.leads && !isSettled(replica)) return true
    return false
  }

  /** Who does not lead gives no ids. But if the node missed the birth of the range, it may make this very one. */
  absent(from: NodeId, { range, replica: id }: AbsentMessage): void {
    const replica = this.#naming(range, id, from)
    if (replica === null) return
    const nonce = replica.leads ? this.#ledOf(replica).vacancies.nonceFor(id) : null
    this.#parts.send(from, { type: 'place', replica: id, descriptor: replica.descriptor, nonce })
  }

  vacant(from: NodeId, { range, replica: id, nonce }: VacantMessage): void {
    const replica = this.#naming(range, id, from)
    if (replica?.leads !== true) return
    this.#ledOf(replica).vacancies.heard(id, { node: from, nonce, nowMs: this.#parts.monotonicMs() })
  }

  /** The range's replica here if it has applied that `id` is on `node`. */
  #naming(range: RangeId, id: ReplicaId, node: NodeId): Replica | null {
    const replica = this.#parts.replicas.get(range)
    if (replica === undefined) return null
    const named = replica.descriptor.replicas.some((each) => each.replica === id && each.node === node)
    return named ? replica : null
  }

  #ledOf(replica: Replica): Led {
    const known = this.#led.get(replica.range)
    if (known?.term === replica.raft.term) return known
    const led = { term: replica.raft.term, vacancies: new Vacancies(), commitAtLook: Number.POSITIVE_INFINITY }
    this.#led.set(replica.range, led)
    return led
  }

  /** To be called every half second or so: a learner counts as caught up when it has what was committed at the look before. */
  look(): void {
    for (const replica of this.#parts.replicas.values()) {
      if (replica.leads) this.#look(replica)
      else this.#led.delete(replica.range)
    }
    for (const range of this.#led.keys()) if (!this.#parts.replicas.has(range)) this.#led.delete(range)
  }

  #look(replica: Replica): void {
    // The usual case, and cheap: nothing was heard of anybody missing, and nothing is half done.
    if (!this.#led.has(replica.range) && isSettled(replica)) return
    const led = this.#ledOf(replica)
    const committed = led.commitAtLook
    led.commitAtLook = replica.raft.commit
    if (!replica.mayChangeReplicas) return
    const nowMs = this.#parts.monotonicMs()
    const { progress } = replica.raft.status()
    const change = nextChange({
      descriptor: replica.descriptor,
      isGone: (id) => led.vacancies.isGone(id, nowMs),
      answers: (id) => progress.some((each) => each.replica === id && hasAnswered(each)),
      isCaughtUp: (id) => progress.some((each) => each.replica === id && each.match >= committed),
    })
    if (change === null || !replica.proposeReplicas(change)) return
    if (change.placed !== null) led.vacancies.placed(change.placed)
    this.#parts.logger.log('info', 'replicas change', {
      range: replica.range,
      replicas: change.replicas.map(({ replica: id, node, role }) => `${id} on node ${node}: ${role}`),
    })
    this.#parts.touch(replica)
  }
}

/** Its match is of this leader's term, and counts from nothing. */
function hasAnswered({ match, quietTicks }: { match: LogIndex; quietTicks: number }): boolean {
  return match > NO_INDEX && quietTicks <= QUIET_TICKS_MAX
}

function isSettled({ descriptor }: Replica): boolean {
  return descriptor.replicas.every(({ role }) => role === 'voter')
}
