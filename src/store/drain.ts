import type { RangeId, ReplicaId } from '../base/ids.js'
import type { Replica } from './replica.js'

/** After this long whatever is still led here is led no more than the node lives. */
const GIVE_UP_MS = 5_000

/** Hands every lead of this node to the replica that needs least to catch up (thesis 3.10). */
export class Drain {
  readonly #replicas: ReadonlyMap<RangeId, Replica>
  readonly #touch: (replica: Replica) => void
  readonly #untilMs: number
  readonly #done: () => void
  /** Tries per range: a replica that does not take the lead may be dead, so the next one is asked. */
  readonly #tries = new Map<RangeId, number>()
  #over = false

  constructor(parts: {
    replicas: ReadonlyMap<RangeId, Replica>
    touch(replica: Replica): void
    nowMs: number
    done(): void
  }) {
    this.#replicas = parts.replicas
    this.#touch = parts.touch
    this.#untilMs = parts.nowMs + GIVE_UP_MS
    this.#done = parts.done
  }

  /** A split's child, or a replica made meanwhile, is to lead nothing either. */
  look(nowMs: number): void {
    if (this.#over) return
    let waits = false
    for (const replica of this.#replicas.values()) {
      // Only once it leads no more: a leader that may not campaign gives up at once, and nobody was asked to follow it.
      if (!replica.leads) replica.setDraining()
      if (!replica.leads) continue
      const heirs = heirsOf(replica)
      if (heirs.length === 0) continue
      waits = true
      if (replica.raft.isTransferring) continue
      const tries = this.#tries.get(replica.range) ?? 0
      this.#tries.set(replica.range, tries + 1)
      replica.takeTicks()
      if (replica.raft.transferLead(heirs[tries % heirs.length]!)) this.#touch(replica)
    }
    if (waits && nowMs < this.#untilMs) return
    this.#over = true
    this.#done()
  }
}

/** The other voters, those that have most of the log first. */
export function heirsOf(replica: Replica): readonly ReplicaId[] {
  const { progress, configuration } = replica.raft.status()
  return progress
    .filter((each) => configuration.voters.includes(each.replica) && !each.forgotten)
    .sort((a, b) => b.match - a.match)
    .map((each) => each.replica)
}
