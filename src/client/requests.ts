import { assert } from '../base/assert.js'
import type { Span } from '../base/descriptor.js'
import type { Key, SessionId, Version } from '../base/ids.js'
import type { Request } from '../kv/requests.js'
import type { Origin } from '../kv/types.js'
import { intersection } from '../range/span.js'
import type { Call, PageAsked } from './call.js'

export interface Stamp {
  readonly id: number
  readonly deadlineMs: number
  readonly seen: Version
  readonly session: SessionId
  /** Lowest sequence still waited for. */
  readonly lowest: number
}

/** The call as one message to where its route leads. */
export function requestOf(call: Call, stamp: Stamp): Request {
  const { id, deadlineMs, seen } = stamp
  const { body, route } = call
  if (body.kind === 'routes') return { kind: 'routes', id, deadlineMs, from: body.from, limit: body.limit }
  if (body.kind === 'status') return { kind: 'status', id, deadlineMs }
  assert(route !== null && body.kind !== 'hello', 'a call to a range has a route')
  const { range, generation } = route.descriptor
  switch (body.kind) {
    case 'get':
      return { kind: 'get', id, range, generation, deadlineMs, seen, keys: body.keys, weak: body.weak }
    case 'scan': {
      const { start, end } = pageSpan(body, route.span)
      const { reverse, limit, bytesMax, keysOnly, weak } = body
      const at = body.at ?? null
      return {
        kind: 'scan',
        id,
        range,
        generation,
        deadlineMs,
        seen,
        start,
        end,
        reverse,
        limit,
        bytesMax,
        keysOnly,
        at,
        weak,
      }
    }
    case 'write': {
      const origin = originOf(call, stamp)
      const { conditions, writes, wantValue } = body
      return { kind: 'write', id, range, generation, deadlineMs, seen, origin, conditions, writes, wantValue }
    }
    case 'split':
      return { kind: 'split', id, range, generation, deadlineMs, seen, origin: originOf(call, stamp), at: body.at }
    case 'transfer':
      return { kind: 'transfer', id, range, generation, deadlineMs, seen, to: body.to }
  }
}

/** The part of a page's span that one range can serve. */
export function pageSpan(asked: PageAsked, range: Span): { start: Key; end: Key | null } {
  const part = intersection({ start: asked.start, end: asked.end }, range)
  assert(part !== null, 'a page is asked of a range that holds a part of it', asked, range)
  return part
}

function originOf(call: Call, stamp: Stamp): Origin {
  assert(call.sequence >= stamp.lowest, 'a request that leaves is still waited for', call.sequence, stamp.lowest)
  return { session: stamp.session, sequence: call.sequence, firstSent: call.firstSent, lowest: stamp.lowest }
}
