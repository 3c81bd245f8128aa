import { assertNever } from '../base/assert.js'
import type { ErrorCode } from '../base/errors.js'
import type { Version } from '../base/ids.js'
import { NO_VERSION } from '../base/ids.js'
import type { Reply, ReplyError, Route } from '../kv/requests.js'
import type { Outcome } from '../kv/types.js'

/** How a proposal ended: an outcome of apply, or a failure before or instead of it. */
export type Settled = Outcome | { readonly kind: 'failed'; readonly error: ReplyError }

export function failure(
  code: ErrorCode,
  message: string,
  more: { retryAfterMs?: number; routes?: readonly Route[] } = {},
): ReplyError {
  return { code, message, retryAfterMs: more.retryAfterMs ?? null, routes: more.routes ?? [], failed: [] }
}

/** How long a client waits after OVERLOADED before it tries again. */
const RETRY_AFTER_MS = 20

export function overloaded(message: string): ReplyError {
  return failure('OVERLOADED', message, { retryAfterMs: RETRY_AFTER_MS })
}

export function failed(error: ReplyError): Settled {
  return { kind: 'failed', error }
}

export function errorReply(id: number, error: ReplyError, version: Version = NO_VERSION): Reply {
  return { kind: 'error', id, version, error }
}

/** `movedRoutes` is asked only when the range has moved. */
export function outcomeReply(id: number, settled: Settled, movedRoutes: () => readonly Route[]): Reply {
  switch (settled.kind) {
    case 'written':
      return { kind: 'written', id, version: settled.version, deleted: settled.deleted }
    case 'split':
      return { kind: 'split', id, version: settled.version, child: settled.child }
    case 'done':
    case 'allocated':
      return { kind: 'written', id, version: settled.version, deleted: [] }
    case 'conditionFailed': {
      const error = failure('CONDITION_FAILED', 'a condition did not hold: nothing was written')
      return errorReply(id, { ...error, failed: settled.failed }, settled.version)
    }
    case 'rangeMoved':
      return errorReply(
        id,
        failure('RANGE_MOVED', 'the range was split since the client looked', { routes: movedRoutes() }),
      )
    case 'sessionExpired':
      return errorReply(
        id,
        failure('SESSION_EXPIRED', 'the range has let go of what this session did before'),
        settled.version,
      )
    case 'notNow':
      return errorReply(id, failure('UNAVAILABLE', settled.reason))
    case 'invalid':
      return errorReply(id, failure('INVALID_ARGUMENT', settled.reason))
    case 'failed':
      return errorReply(id, settled.error)
    default:
      return assertNever(settled)
  }
}
