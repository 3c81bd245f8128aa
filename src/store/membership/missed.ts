import type { Descriptor } from '../../base/descriptor.js'
import type { RangeId, ReplicaId } from '../../base/ids.js'
import { overlaps } from '../../range/span.js'
import type { NodeLog, Vacated } from '../../storage/types.js'
import type { Replica } from '../replica.js'

/** What a replica holds that is taken from one state of its range to a later one, if it misses splits that way, or null. */
export function vacatedBy(id: ReplicaId, { before, after }: { before: Descriptor; after: Descriptor }): Vacated | null {
  const isMember = before.replicas.some(({ replica }) => replica === id)
  if (!isMember || after.generation === before.generation) return null
  return { span: before.span, generation: before.generation }
}

/**
 * Tells of which ranges this node has missed the birth, so that it may make their replica as the split would have.
 *
 * A split makes the child's voters where it is applied. A node that is taken past it by a snapshot of the parent never applies it, and
 * would leave the child with a voter less for ever: nobody but a majority of the others could give it a new id. An empty voter
 * under the id that the split named is only right if nothing was ever promised under it (decision 0012). That is so, whatever the id:
 *
 * 1. The range was born after our log began. Before the snapshot the parent's replica here was a member of its range, as of a state
 *    that it had reached in this log, and held these keys under a lower generation (`vacated`). So the split stands in the
 *    parent's log behind the entry that gave this replica its id, which was given to this node no earlier than its log began: who
 *    loses the log loses `vacated` with it, and comes back under ids that are members only of later states. That it was a member
 *    matters: a new replica may be given a state that is older than its own id, and even older than the loss of the log.
 * 2. All that this node promised since then stands in that log: it knows each range that a vote or an acknowledgement was ever given
 *    for, until a tombstone takes the place of what it knew. Of this range it knows nothing.
 *
 * Where either can't be shown, the range replaces the id by a new one, as after the loss of a disk.
 *
 * It votes for nobody within one election timeout, as the split's own voters do: the parent's leader may still answer for these keys.
 */
export class Missed {
  readonly #replicas: ReadonlyMap<RangeId, Replica>
  readonly #log: Pick<NodeLog, 'recovered'>
  readonly #lowestAllowed: (range: RangeId) => ReplicaId

  constructor(parts: {
    readonly replicas: ReadonlyMap<RangeId, Replica>
    readonly log: Pick<NodeLog, 'recovered'>
    lowestAllowed(range: RangeId): ReplicaId
  }) {
    this.#replicas = parts.replicas
    this.#log = parts.log
    this.#lowestAllowed = (range) => parts.lowestAllowed(range)
  }

  /** Some range's birth was missed, and it may have been this one's. */
  mayBe(range: RangeId): boolean {
    if (this.#hasLived(range)) return false
    for (const { vacated } of this.#replicas.values()) if (vacated !== null) return true
    return false
  }

  /** No replica of the range that the descriptor is of ever lived here, under any id. */
  has({ range, span, generation }: Descriptor): boolean {
    if (this.#hasLived(range)) return false
    for (const { vacated, descriptor } of this.#replicas.values()) {
      if (vacated === null || generation <= vacated.generation) continue
      if (overlaps(vacated.span, span) && !overlaps(descriptor.span, span)) return true
    }
    return false
  }

  /** A replica that is gone left a tombstone. */
  #hasLived(range: RangeId): boolean {
    return this.#replicas.has(range) || this.#log.recovered.has(range) || this.#lowestAllowed(range) > 0
  }
}
