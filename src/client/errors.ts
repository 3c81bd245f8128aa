import { type ErrorCode, errorCatalogue, HoldfastError } from '../base/errors.js'
import type { Key, RangeId } from '../base/ids.js'
import type { ReplyError } from '../kv/requests.js'
import type { FailedCondition } from '../kv/types.js'
import { storedKeyToJson } from './key-json.js'

/** CONDITION_FAILED as it came from the range: keys stored, values encoded. The SDK turns it into a ConditionFailed. */
export class ConditionRefusal extends HoldfastError {
  override readonly name = 'ConditionRefusal'
  readonly failed: readonly FailedCondition[]

  constructor(message: string, failed: readonly FailedCondition[]) {
    super('CONDITION_FAILED', message)
    this.failed = failed
  }
}

/** A refusal as it came from a node. A read leaves nothing behind, whatever happened to it. */
export function errorOf(refusal: ReplyError, call: { readonly mutation: boolean }): HoldfastError {
  const { code, message, retryAfterMs } = refusal
  if (code === 'CONDITION_FAILED') return new ConditionRefusal(message, refusal.failed)
  return new HoldfastError(code, message, {
    ...(retryAfterMs === null ? {} : { retryAfterMs }),
    ...(call.mutation ? {} : { mayHaveBeenApplied: false }),
  })
}

/** The keys of one batch must lie in one range. */
export function crossesRanges(first: Key, other: Key): HoldfastError {
  const keys = `${JSON.stringify(storedKeyToJson(first))} and ${JSON.stringify(storedKeyToJson(other))}`
  return new HoldfastError('CROSSES_RANGES', `the keys ${keys} lie in different ranges`)
}

export function unknownRange(range: RangeId): HoldfastError {
  return new HoldfastError('INVALID_ARGUMENT', `there is no range ${range}`)
}

/** It may lie on nodes that do not answer. `nodes`: who was asked, and why some failed. */
export function unfoundRange(range: RangeId, nodes: string): HoldfastError {
  return new HoldfastError('UNAVAILABLE', `no node that answers knows range ${range}: ${nodes}`)
}

/** How far a call has got when it fails. */
export interface Progress {
  /** A write, a split, a lead handed on: something that leaves a trace. */
  readonly mutation: boolean
  /** Sends that nobody answered for certain: any of them may have been executed, or may still be. */
  readonly unanswered: number
}

/**
 * What the caller is told when the call ends with `error`. A definite error is passed on only if no send of a mutation
 * is left that may have been executed; otherwise the outcome is unknown, whatever the last answer said.
 * A failed condition is an outcome: the session remembers one per request, so an earlier send had none other.
 */
export function toldError(progress: Progress, error: HoldfastError): HoldfastError {
  if (!progress.mutation || progress.unanswered === 0 || error.code === 'CONDITION_FAILED') return error
  if (error.mayHaveBeenApplied) return error
  return new HoldfastError(
    'OUTCOME_UNKNOWN',
    `may have been applied: an earlier send was not answered; then: ${error.message}`,
    {
      cause: error,
    },
  )
}

/** An answer with this code says for certain that this send was not and will not be executed. */
export function isDefinite(code: ErrorCode): boolean {
  return errorCatalogue[code].mayHaveBeenApplied === 'no'
}

/** The SDK tries again by itself. OUTCOME_UNKNOWN from a node: the same request id brings the outcome to light. */
export function isRetried(code: ErrorCode): boolean {
  return errorCatalogue[code].retry === 'sdk' || code === 'OUTCOME_UNKNOWN'
}

/** A node answered with something else than was asked for. */
export function unexpected(answer: { readonly kind: string }, expected: string): HoldfastError {
  return new HoldfastError('INTERNAL', `a node answered with ${answer.kind} where ${expected} was due`)
}
