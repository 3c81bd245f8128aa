import { assertNever } from '../base/assert.js'
import type { Outcome } from './types.js'

/** Outcomes that answer a repeat of the same request. */
export type Remembered = Exclude<Outcome, { kind: 'rangeMoved' | 'sessionExpired' | 'notNow' | 'invalid' }>

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
