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
    const { address } = call.current!.link
    const before = lastError === null ? '' : `; before that: ${lastError.message}`
    return new HoldfastError('DEADLINE', `${address} did not answer before the deadline${before}`, causeOf(lastError))
  }
  // What a link failed with stands among the nodes already; a node's refusal does not.
  const why = lastError === null || lastError.code === 'UNAVAILABLE' ? '' : `; last: ${lastError.message}`
  const message = `nobody could serve the call before its deadline: ${nodes}${why}`
  return new HoldfastError('UNAVAILABLE', message, causeOf(lastError))
}

function causeOf(error: HoldfastError | null): { cause?: HoldfastError } {
  return error === null ? {} : { cause: error }
}
