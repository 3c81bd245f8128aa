import type { LogIndex, RangeId, SessionId } from '../../base/ids.js'
import type { JournalRecord } from '../../kv/types.js'
import type { Violations } from './violations.js'

/** A request is executed once: (session, sequence) has one place in one log, however often and wherever its copies arrive. */
export class SessionChecker {
  readonly #violations: Violations
  /** Per session and sequence: range and index. */
  readonly #executed = new Map<SessionId, Map<number, string>>()

  constructor(violations: Violations) {
    this.#violations = violations
  }

  /** The entry was applied for the first time. What its journal names was executed then, and not answered from memory. */
  applied({ range, index }: { range: RangeId; index: LogIndex }, journal: JournalRecord | null): void {
    if (journal === null) return
    for (const { origin } of journal.outcomes) {
      let sequences = this.#executed.get(origin.session)
      if (sequences === undefined) {
        sequences = new Map()
        this.#executed.set(origin.session, sequences)
      }
      const known = sequences.get(origin.sequence)
      const place = `entry ${index} of range ${range}`
      this.#violations.require(
        known === undefined,
        () => `request ${origin.sequence} of session ${origin.session} was executed by ${known} and by ${place}`,
      )
      sequences.set(origin.sequence, place)
    }
  }
}
