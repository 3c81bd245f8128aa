import type { LogIndex, RangeId, Version } from '../../base/ids.js'
import { VERSION_TICKS_PER_MS } from '../../base/version.js'
import type { Violations } from './violations.js'

/** How long a cluster was told to keep things, in milliseconds of log time. */
export interface KeptFor {
  readonly historyMs: number
  /** Null: outcomes may go earlier, where there are more than a range may have. */
  readonly sessionsMs: number | null
}

/** No range lets go of history, or of outcomes of requests, before it may: both floors stay that far behind its clock. */
export class FloorChecker {
  readonly #violations: Violations
  readonly #kept: KeptFor

  constructor(violations: Violations, kept: KeptFor) {
    this.#violations = violations
    this.#kept = kept
  }

  applied(
    { range, index, clock }: { range: RangeId; index: LogIndex; clock: Version },
    floors: { readonly history: Version; readonly sessions: Version },
  ): void {
    const { historyMs, sessionsMs } = this.#kept
    for (const [what, floor, keptMs] of [
      ['history', floors.history, historyMs],
      ['outcomes', floors.sessions, sessionsMs ?? 0],
    ] as const) {
      this.#violations.require(
        floor <= Math.max(0, clock - keptMs * VERSION_TICKS_PER_MS),
        () => `range ${range} lets go of ${what} below ${floor} at entry ${index}, with its clock at ${clock}`,
      )
    }
  }
}
