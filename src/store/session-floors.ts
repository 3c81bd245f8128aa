import type { RangeId, Version } from '../base/ids.js'
import { NO_VERSION } from '../base/ids.js'
import { limits } from '../base/limits.js'
import { VERSION_TICKS_PER_MS } from '../base/version.js'
import type { Replica } from './replica.js'

const COUNTS_EVERY_TICKS = 25
/** A multiple of the other. */
const AGES_EVERY_TICKS = 500
const FLOOR_COMMAND_BYTES = 64
/** A floor is moved only once it lets go of this part of what is kept, so that it costs one small command now and then. */
const SLACK = 1 / 10
/** Of the outcomes that a range may have, those that are left once it had too many. */
const KEPT_OF_TOO_MANY = 0.75

/**
 * Proposes, where this node leads, that a range lets go of session outcomes: those older than `sessionKeptMs` of log time, and
 * the oldest ones where there are more than it may have. Never without a command: all replicas forget the same, and a request that
 * may be among what was forgotten is refused instead of run again.
 */
export class SessionFloors {
  readonly #replicas: ReadonlyMap<RangeId, Replica>
  readonly #touch: (replica: Replica) => void
  readonly #outcomesMax: number
  readonly #kept: number
  /** Their floor is on its way. */
  readonly #moving = new Set<Replica>()

  /** `outcomesMax`: per range, default limits.sessionOutcomesMax. `sessionKeptMs`: default limits.sessionKeptMs. */
  constructor(
    replicas: ReadonlyMap<RangeId, Replica>,
    touch: (replica: Replica) => void,
    kept: { readonly outcomesMax?: number | undefined; readonly sessionKeptMs?: number | undefined } = {},
  ) {
    const { outcomesMax = limits.sessionOutcomesMax, sessionKeptMs = limits.sessionKeptMs } = kept
    this.#replicas = replicas
    this.#touch = touch
    this.#outcomesMax = outcomesMax
    this.#kept = sessionKeptMs * VERSION_TICKS_PER_MS
  }

  isDue(tick: number): boolean {
    return tick % COUNTS_EVERY_TICKS === 0
  }

  /** `now`: log time. */
  move(tick: number, now: Version): void {
    this.#byCount()
    if (tick % AGES_EVERY_TICKS === 0) this.#byAge(now)
  }

  #byCount(): void {
    for (const replica of this.#replicas.values()) {
      const { sessions } = replica.machine
      if (!replica.leads || sessions.size <= this.#outcomesMax || this.#moving.has(replica)) continue
      const floor = sessions.floorToKeep(Math.ceil(this.#outcomesMax * KEPT_OF_TOO_MANY))
      if (floor !== null) this.#move(replica, floor)
    }
  }

  #byAge(now: Version): void {
    const floor = (now - this.#kept) as Version
    for (const replica of this.#replicas.values()) {
      if (!replica.leads || this.#moving.has(replica)) continue
      const oldest = replica.machine.sessions.oldest
      if (oldest !== null && oldest < floor - this.#kept * SLACK) this.#move(replica, floor)
    }
  }

  #move(replica: Replica, floor: Version): void {
    this.#moving.add(replica)
    const taken = replica.proposals.offer({
      make: (version) => ({ kind: 'sessionFloor', version, floor }),
      settle: () => void this.#moving.delete(replica),
      bytes: FLOOR_COMMAND_BYTES,
      seen: NO_VERSION,
      expiresAt: Number.POSITIVE_INFINITY,
      endsEntry: false,
    })
    if (taken) this.#touch(replica)
    else this.#moving.delete(replica)
  }
}
