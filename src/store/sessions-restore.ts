import type { RangeMachine } from '../kv/machine.js'
import type { StateStore } from '../storage/types.js'
import { sessionJournal } from './snapshots/plan.js'

/**
 * Brings a machine's session table up to its bookkeeping, from the journal in the state store. `done(false)`: part of the journal is
 * damaged, and the table with it: whoever asks must not apply on top of that.
 */
export function restoreSessions(state: StateStore, machine: RangeMachine, done: (whole: boolean) => void): void {
  const pieces = [...sessionJournal(machine.bookkeeping)]
  const next = (): void => {
    const piece = pieces.shift()
    if (piece === undefined) return done(true)
    state.journal(
      piece,
      (record) => machine.restore(record),
      (whole) => (whole ? next() : done(false)),
    )
  }
  next()
}
