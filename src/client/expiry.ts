import { HoldfastError } from '../base/errors.js'
import type { Call } from './call.js'

/** What a call whose deadline passed ends with, as far as it is certain. `nodes`: who was tried and why each failed. */
export function deadlineError(call: Call, nodes: string): HoldfastError {
  const { lastError, state } = call
  if (state === 'waiting') {
    return new HoldfastError(
      'OVERLOADED',
      'the deadline passed while the call waited for its turn: too many are in flight',
    )
  }
  if (lastError?.code === 'OVERLOADED') {
    const { retryAfterMs } = lastError
    return new HoldfastError('OVERLOADED', `refused until the deadline: ${lastError.message}`, {
      cause: lastError,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    })
  }
  if (call.body.kind === 'hello') return new HoldfastError('UNAVAILABLE', `no endpoint answered: ${nodes}`)
  if (state === 'sent') {
    return new HoldfastError('DEADLINE', `${call.current!.link.address} did not answer before the deadline`)
  }
  // What a link failed with stands among the nodes already; a node's refusal does not.
  const why = lastError === null || lastError.code === 'UNAVAILABLE' ? '' : `; last: ${lastError.message}`
  const details = lastError === null ? {} : { cause: lastError }
  return new HoldfastError('UNAVAILABLE', `nobody could serve the call before its deadline: ${nodes}${why}`, details)
}
