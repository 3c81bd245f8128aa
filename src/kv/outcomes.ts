import { assertNever } from '../base/assert.js'
import type { Outcome } from './types.js'

/** Outcomes that answer a repeat of the same request. */
export type Remembered = Exclude<Outcome, { kind: 'rangeMoved' | 'sessionExpired' | 'notNow' | 'invalid' }>

/**
 * As it is remembered, in tables, journals and snapshots: without the values that a failed condition brings back. They are for the one
 * answer; kept for minutes, a few hot keys with large values would be gigabytes. A repeat gets the versions.
 */
export function withoutValues(outcome: Remembered): Remembered {
  if (outcome.kind !== 'conditionFailed' || outcome.failed.every(({ value }) => value === null)) return outcome
  return { ...outcome, failed: outcome.failed.map((each) => ({ ...each, value: null })) }
}

/** Refusals are not remembered: nothing was done, and elsewhere or later the same request may be. */
export function isRemembered(outcome: Outcome): outcome is Remembered {
  switch (outcome.kind) {
    case 'written':
    case 'conditionFailed':
    case 'split':
    case 'done':
    case 'allocated':
      return true
    case 'rangeMoved':
    case 'sessionExpired':
    case 'notNow':
    case 'invalid':
      return false
    default:
      return assertNever(outcome)
  }
}
