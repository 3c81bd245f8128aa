import type { Key } from '../base/ids.js'
import { limits } from '../base/limits.js'
import { contains } from '../range/span.js'
import type { GetBody } from './call.js'
import type { CachedRoute, RouteCache } from './route-cache.js'

export interface GetPart {
  readonly body: GetBody
  readonly route: CachedRoute
}

/** A get's keys by the range that holds them, in requests a node takes; or a key whose range is not known. */
export function partsByRange(
  body: GetBody,
  routes: RouteCache,
): { readonly parts: readonly GetPart[] } | { readonly unknown: Key } {
  const indexesByRoute = new Map<CachedRoute, number[]>()
  let last: CachedRoute | null = null
  for (const [index, key] of body.keys.entries()) {
    const route: CachedRoute | null = last !== null && contains(last.span, key) ? last : routes.find(key)
    if (route === null) return { unknown: key }
    const indexes = indexesByRoute.get(route)
    if (indexes === undefined) indexesByRoute.set(route, [index])
    else indexes.push(index)
    last = route
  }
  const parts: GetPart[] = []
  for (const [route, indexes] of indexesByRoute) {
    for (let from = 0; from < indexes.length; from += limits.batchOperationsMax) {
      parts.push({ body: pick(body, indexes.slice(from, from + limits.batchOperationsMax)), route })
    }
  }
  return { parts }
}

/** Two halves of a get whose rows were too large for one answer. */
export function halves(body: GetBody, route: CachedRoute): readonly GetPart[] {
  const middle = body.keys.length >>> 1
  const indexes = [...body.keys.keys()]
  return [indexes.slice(0, middle), indexes.slice(middle)].map((half) => ({ body: pick(body, half), route }))
}

/** Keeps the order; all of them: the get itself. */
function pick(body: GetBody, indexes: readonly number[]): GetBody {
  if (indexes.length === body.keys.length) return body
  const { keys, places, weak } = body
  return {
    kind: 'get',
    weak,
    keys: indexes.map((index) => keys[index]!),
    places: indexes.map((index) => (places === null ? index : places[index]!)),
  }
}
