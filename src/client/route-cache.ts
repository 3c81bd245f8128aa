import type { Descriptor, Span } from '../base/descriptor.js'
import type { Key, NodeId } from '../base/ids.js'
import type { Route } from '../kv/requests.js'
import { isNewer, RangeMap } from '../range/range-map.js'
import { compareEnds } from '../range/span.js'

/** A route as this client knows it. The leader is a hint of its own, newer than the descriptor. */
export interface CachedRoute {
  readonly descriptor: Descriptor
  /** The part of the descriptor's span for which nothing newer is known. */
  readonly span: Span
  leader: NodeId | null
}

/** What this client knows of the ranges: never overlapping, with gaps where it knows nothing. A hint: errors correct it. */
export class RouteCache {
  readonly #routes = new RangeMap<CachedRoute>(({ descriptor, span }) => ({ ...descriptor, span }))

  /** The route whose span holds `key`. */
  find(key: Key): CachedRoute | null {
    return this.#routes.find(key)
  }

  /** The route that holds the last keys below `end`. */
  findBelow(end: Key | null): CachedRoute | null {
    const last = this.#routes.overlapping({ start: keyBelow(end), end }).at(-1)
    return last !== undefined && compareEnds(last.span.end, end) >= 0 ? last : null
  }

  /**
   * Takes what `from` (null: nobody known) told, key by key: it stands where what is known is older, or nothing is; newer ones
   * keep their parts. An old route is worth having, too: who is asked there tells the new one. (A node whose index lags would
   * otherwise keep a client waiting that knows one half of a split already.)
   */
  learn(routes: readonly Route[], from: NodeId | null): void {
    for (const { descriptor, leader } of routes) {
      const { span } = descriptor
      for (const known of this.#routes.overlapping(span)) {
        if (isSame(known.descriptor, descriptor)) maybeTakeLeader(known, leader, from)
        else if (!isNewer(known.descriptor, descriptor)) this.#routes.remove(known)
      }
      for (const gap of this.#routes.gaps(span)) this.#routes.insert({ descriptor, span: gap, leader })
    }
  }

  /** It is still what is known of its part of the key space. */
  has(route: CachedRoute): boolean {
    return this.#routes.find(route.span.start) === route
  }

  forget(route: CachedRoute): void {
    this.#routes.remove(route)
  }
}

/**
 * A key below `end`, close enough that few ranges lie between. Exactly the one before it does not exist where `end`
 * does not end in a zero byte: there are always longer keys.
 */
export function keyBelow(end: Key | null): Key {
  if (end === null) return '\xff\xff\xff\xff' as Key
  const last = end.charCodeAt(end.length - 1)
  const head = end.slice(0, -1)
  return (last === 0 ? head : `${head}${String.fromCharCode(last - 1)}\xff\xff\xff\xff\xff\xff\xff\xff`) as Key
}

function isSame(a: Descriptor, b: Descriptor): boolean {
  return a.range === b.range && a.generation === b.generation && a.epoch === b.epoch
}

/** A node that does not lead may know nobody else: then its own lead is over. It never makes us forget another's. */
function maybeTakeLeader(known: CachedRoute, leader: NodeId | null, from: NodeId | null): void {
  if (leader !== null) known.leader = leader
  else if (known.leader === from) known.leader = null
}
