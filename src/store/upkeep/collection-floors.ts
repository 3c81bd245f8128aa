import type { RangeId, Version } from '../../base/ids.js'
import { NO_VERSION } from '../../base/ids.js'
import { limits } from '../../base/limits.js'
import { VERSION_TICKS_PER_MS } from '../../base/version.js'
import type { Replica } from '../replica.js'

const FLOOR_COMMAND_BYTES = 64
/** A floor is moved only once it lets go of this part of what is kept, so that it costs one small command now and then. */
const SLACK = 1 / 10

/** Proposes, where this node leads, that a range lets go of versions replaced more than `historyKeptMs` of log time ago. */
export class CollectionFloors {
  readonly #replicas: ReadonlyMap<RangeId, Replica>
  readonly #touch: (replica: Replica) => void
  readonly #kept: number
  /** When something was last seen to have been written: a range at rest is let be once its floor is past that. */
  readonly #written = new Map<RangeId, { digest: number; at: Version }>()

  /** `historyKeptMs`: default limits.historyKeptMs. */
  constructor(
    replicas: ReadonlyMap<RangeId, Replica>,
    touch: (replica: Replica) => void,
    historyKeptMs: number = limits.historyKeptMs,
  ) {
    this.#replicas = replicas
    this.#touch = touch
    this.#kept = historyKeptMs * VERSION_TICKS_PER_MS
  }

  look(now: Version): void {
    const floor = (now - this.#kept) as Version
    for (const replica of this.#replicas.values()) {
      if (!replica.leads) this.#written.delete(replica.range)
      else if (this.#isDue(replica, { now, floor })) this.#raise(replica, floor)
    }
  }

  #isDue(replica: Replica, { now, floor }: { now: Version; floor: Version }): boolean {
    const { digest, collectionFloor } = replica.machine.bookkeeping
    const written = this.#written.get(replica.range)
    if (written?.digest !== digest) this.#written.set(replica.range, { digest, at: now })
    return floor - collectionFloor > this.#kept * SLACK && collectionFloor < (written?.at ?? now)
  }

  #raise(replica: Replica, floor: Version): void {
    replica.proposals.offer({
      make: (version) => ({ kind: 'collectionFloor', version, floor }),
      settle: () => {},
      bytes: FLOOR_COMMAND_BYTES,
      seen: NO_VERSION,
      expiresAt: Number.POSITIVE_INFINITY,
      endsEntry: false,
    })
    this.#touch(replica)
  }
}
