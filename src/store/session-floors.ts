import type { RangeId, Version } from '../base/ids.js'
import { NO_VERSION } from '../base/ids.js'
import { limits } from '../base/limits.js'
import { VERSION_TICKS_PER_MS } from '../base/version.js'
import type { Replica } from './replica.js'

const LOOK_EVERY_TICKS = 500
const FLOOR_COMMAND_BYTES = 64
/** A floor is moved only once it lets go of this much log time, so that it costs one small command now and then. */
const SLACK_MS = limits.sessionKeptMs / 10

/** Proposes, where this node leads, that a range lets go of session outcomes older than `sessionKeptMs` of log time. */
export class SessionFloors {
  readonly #replicas: ReadonlyMap<RangeId, Replica>
  readonly #touch: (replica: Replica) => void
  #ticks = 0

  constructor(replicas: ReadonlyMap<RangeId, Replica>, touch: (replica: Replica) => void) {
    this.#replicas = replicas
    this.#touch = touch
  }

  tick(now: Version): void {
    this.#ticks = (this.#ticks + 1) % LOOK_EVERY_TICKS
    if (this.#ticks !== 0) return
    const floor = (now - limits.sessionKeptMs * VERSION_TICKS_PER_MS) as Version
    for (const replica of this.#replicas.values()) {
      if (!replica.leads) continue
      const oldest = replica.machine.sessions.oldest
      if (oldest === null || oldest >= floor - SLACK_MS * VERSION_TICKS_PER_MS) continue
      replica.proposals.offer({
        make: (version) => ({ kind: 'sessionFloor', version, floor }),
        settle: () => {},
        bytes: FLOOR_COMMAND_BYTES,
        seen: NO_VERSION,
        expiresAt: Number.POSITIVE_INFINITY,
        endsEntry: false,
      })
      this.#touch(replica)
    }
  }
}
