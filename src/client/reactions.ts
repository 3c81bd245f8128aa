import type { ReplyError } from '../kv/requests.js'
import type { Call, Send } from './call.js'
import { isDefinite, isRetried } from './errors.js'
import { type GetPart, halves } from './parts.js'

/** What a refusal leads to. */
export type Reaction =
  /** The call ends with it. */
  | { readonly kind: 'fail' }
  /** The rows do not fit into one answer: ask in halves. */
  | { readonly kind: 'part'; readonly parts: readonly GetPart[] }
  /** No send can have been executed: try again as a request of its own. */
  | { readonly kind: 'restamp' }
  /** Another send of the same call is under way: that one counts. */
  | { readonly kind: 'wait' }
  /** At once, because the answer tells where to go. */
  | { readonly kind: 'again' }
  | { readonly kind: 'pause'; readonly atLeastMs: number }

/** `namesLeader`: the refusal names another node as leader, and that node answers. Counts the send as answered. */
export function react(send: Send, refusal: ReplyError, namesLeader: () => boolean): Reaction {
  const { call } = send
  const { code } = refusal
  if (isDefinite(code)) call.unanswered--
  if (code === 'SESSION_EXPIRED') return { kind: call.mutation && call.unanswered === 0 ? 'restamp' : 'fail' }
  // The range took no writes meanwhile: whether that is worth another try is the caller's to say.
  if (code === 'OUTCOME_UNKNOWN' && call.body.kind === 'transfer') return { kind: 'fail' }
  if (!isRetried(code)) return maybeHalve(call, refusal) ?? { kind: 'fail' }
  if (send !== call.current) return { kind: 'wait' }
  if (code === 'RANGE_MOVED' || (code === 'NOT_LEADER' && namesLeader())) return { kind: 'again' }
  return { kind: 'pause', atLeastMs: refusal.retryAfterMs ?? 0 }
}

/** Whether another node may do better: the refuser is not asked again next. */
export function blames({ code }: ReplyError): boolean {
  return code === 'NOT_LEADER' || code === 'RANGE_MOVED' || code === 'UNAVAILABLE'
}

function maybeHalve({ body, route }: Call, { code }: ReplyError): Reaction | null {
  if (code !== 'TOO_LARGE' || body.kind !== 'get' || body.keys.length === 1 || route === null) return null
  return { kind: 'part', parts: halves(body, route) }
}
