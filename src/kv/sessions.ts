import { assert } from '../base/assert.js'
import type { SessionId, Version } from '../base/ids.js'
import { NO_VERSION } from '../base/ids.js'
import { isRemembered, type Remembered } from './outcomes.js'
import { Session } from './session.js'
import type { Origin, Outcome } from './types.js'

/** What a table holds of one session, for comparing and copying tables: sequences ascending. */
export interface SessionImage {
  readonly session: SessionId
  readonly lowest: number
  readonly outcomes: readonly { readonly sequence: number; readonly outcome: Outcome }[]
}

/**
 * What a range remembers so that a request is applied at most once (the idea is thesis 6.3).
 *
 * The table is a function of the outcomes it was told and of the floor, whatever happened between: of every outcome at
 * or above the floor, a session's lowest is the greatest that any of them named, and those with a sequence at or above
 * it are kept. That is why a table rebuilt from journal records equals one that never stopped; a refusal or a repeat is
 * in no journal and must therefore change nothing here.
 *
 * Why nothing runs twice: an outcome goes when its session names a higher lowest, and then its sequence is refused, or
 * when the floor passes it. The floor then is above the version of that outcome, hence above the version its client
 * had seen when it first sent the request, and such a request is refused as well. The same holds for the lowest itself.
 */
export class SessionTable {
  readonly #sessions: Map<SessionId, Session>
  #floor: Version
  #size = 0
  /** Marks the sessions that this table alone may change; others are shared with a clone and copied first. */
  #owner = {}

  constructor(floor: Version = NO_VERSION) {
    this.#floor = floor
    this.#sessions = new Map()
  }

  /** Outcomes remembered. */
  get size(): number {
    return this.#size
  }

  get floor(): Version {
    return this.#floor
  }

  /** Version of the oldest command that anything is remembered of, or null. Looks at every session: to be asked rarely. */
  get oldest(): Version | null {
    let oldest: Version | null = null
    for (const session of this.#sessions.values()) {
      if (oldest === null || session.oldest < oldest) oldest = session.oldest
    }
    return oldest
  }

  /**
   * The lowest floor above which at most `count` outcomes are left, or null: there are no more anyway. Looks at every outcome: to be
   * asked rarely.
   */
  floorToKeep(count: number): Version | null {
    assert(count >= 1, 'at least one outcome is kept', count)
    if (this.#size <= count) return null
    const versions = new Float64Array(this.#size)
    let at = 0
    for (const session of this.#sessions.values()) {
      for (const version of session.versions()) versions[at++] = version
    }
    assert(at === this.#size, 'as many outcomes as are counted', at, this.#size)
    // No two commands of a range have one version, and what lies at the floor itself stays.
    return versions.sort()[this.#size - count] as Version
  }

  /** The first outcome of this request, or null. The request need not be proposed if it is known. */
  known(origin: Origin): Remembered | null {
    return this.#sessions.get(origin.session)?.outcome(origin.sequence) ?? null
  }

  /** A request that is not known must not be executed: what it did, if it ran, may have been let go. */
  refuses(origin: Origin): boolean {
    if (origin.firstSent < this.#floor) return true
    const session = this.#sessions.get(origin.session)
    return session !== undefined && origin.sequence < session.lowest
  }

  /** Outcomes come in the order of their versions. What lies below the floor is passed over. */
  remember(origin: Origin, outcome: Outcome): void {
    assert(isRemembered(outcome), 'a refusal is not remembered', outcome)
    if (outcome.version < this.#floor) return
    const session = this.#own(origin.session)
    const before = session.size
    session.remember(origin, outcome)
    this.#size += session.size - before
  }

  /** Lets go of everything older than `floor`. A lower floor than before changes nothing. */
  raiseFloor(floor: Version): void {
    if (floor <= this.#floor) return
    this.#floor = floor
    for (const [id, session] of this.#sessions) {
      if (session.oldest >= floor) continue
      const owned = this.#own(id)
      const before = owned.size
      const anyLeft = owned.raiseFloor(floor)
      this.#size += owned.size - before
      if (!anyLeft) this.#sessions.delete(id)
    }
  }

  /** An equal table that goes its own way. Costs one map of sessions; each is copied when one of the two changes it. */
  clone(): SessionTable {
    const copy = new SessionTable(this.#floor)
    for (const [id, session] of this.#sessions) copy.#sessions.set(id, session)
    copy.#size = this.#size
    this.#owner = {}
    return copy
  }

  /** Everything held, sorted: equal tables have equal images, whatever way they came about. */
  image(): readonly SessionImage[] {
    const ids = [...this.#sessions.keys()].sort()
    return ids.map((session) => ({ session, ...this.#sessions.get(session)!.image() }))
  }

  #own(id: SessionId): Session {
    const found = this.#sessions.get(id)
    if (found?.owner === this.#owner) return found
    const own = found === undefined ? new Session(this.#owner) : found.copy(this.#owner)
    this.#sessions.set(id, own)
    return own
  }
}
