import type { HoldfastError } from '../base/errors.js'
import type { Key } from '../base/ids.js'
import { contains } from '../range/span.js'
import { anchorOf, type Call, type GetBody, type RangeBody, type TransferBody } from './call.js'
import { crossesRanges, unknownRange } from './errors.js'
import { type GetPart, partsByRange } from './parts.js'
import { type CachedRoute, keyBelow, type RouteCache } from './route-cache.js'

/** Where a call to a range goes, as far as the routes known tell. */
export type Plan =
  | { readonly kind: 'send'; readonly route: CachedRoute }
  /** A get goes on as several. */
  | { readonly kind: 'part'; readonly parts: readonly GetPart[] }
  /** The range of this key has to be found first. */
  | { readonly kind: 'find'; readonly key: Key }
  | { readonly kind: 'refuse'; readonly error: HoldfastError }

export function planOf(call: Call, body: RangeBody, routes: RouteCache): Plan {
  switch (body.kind) {
    case 'get':
      return planGet(body, routes)
    case 'scan':
      if (body.reverse) return sendOrFind(routes.findBelow(body.end), keyBelow(body.end))
      return sendOrFind(routes.find(body.start), body.start)
    case 'write':
      return planWrite(call, body, routes)
    case 'split':
      return sendOrFind(routes.find(body.at), body.at)
    case 'transfer':
      return planTransfer(body, routes)
  }
}

function planGet(body: GetBody, routes: RouteCache): Plan {
  const first = body.keys[0]!
  if (body.keys.length === 1) return sendOrFind(routes.find(first), first)
  const grouped = partsByRange(body, routes)
  return 'unknown' in grouped ? { kind: 'find', key: grouped.unknown } : { kind: 'part', parts: grouped.parts }
}

/**
 * Keys in several ranges are refused here only if the write is nowhere yet: a retry goes to the range of its first key,
 * which remembers the outcome, also if a split has parted the keys since.
 */
function planWrite(call: Call, body: Extract<RangeBody, { kind: 'write' }>, routes: RouteCache): Plan {
  const anchor = anchorOf(body)
  const route = routes.find(anchor)
  if (route === null || call.unanswered > 0 || body.writes.length + body.conditions.length === 1) {
    return sendOrFind(route, anchor)
  }
  const isElsewhere = ({ key }: { key: Key }): boolean => !contains(route.span, key) && routes.find(key) !== null
  const outside = body.writes.find(isElsewhere) ?? body.conditions.find(isElsewhere)
  if (outside === undefined) return { kind: 'send', route }
  return { kind: 'refuse', error: crossesRanges(anchor, outside.key) }
}

/**
 * Where another range is known, either that one is newer, and the one meant is no more; or a node that lags behind told
 * of it, as of a range before its split. Routes never go back, so learning the one meant decides which.
 */
function planTransfer({ found }: TransferBody, routes: RouteCache): Plan {
  const { range, span } = found.descriptor
  const isElse = (route: CachedRoute | null): boolean => route !== null && route.descriptor.range !== range
  if (isElse(routes.find(span.start))) routes.learn([found], null)
  const route = routes.find(span.start)
  return isElse(route) ? { kind: 'refuse', error: unknownRange(range) } : sendOrFind(route, span.start)
}

function sendOrFind(route: CachedRoute | null, key: Key): Plan {
  return route === null ? { kind: 'find', key } : { kind: 'send', route }
}
