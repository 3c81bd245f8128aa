import type { Descriptor, NodeInfo } from '../base/descriptor.js'
import type { Key, NodeId, RangeId } from '../base/ids.js'
import { META_RANGE, NO_VERSION } from '../base/ids.js'
import { limits } from '../base/limits.js'
import type { Reply, ReplyError, Route, RoutesRequest } from '../kv/requests.js'
import { contains } from '../range/span.js'
import { isSole } from './lost-state.js'
import type { MetaIndex } from './meta-index.js'
import type { Replica } from './replica.js'
import { errorReply, failure } from './replies.js'

/** What this node can say about who serves what: its own replicas first, the meta index for the rest. Hints, never authority. */
export class Routes {
  readonly #replicas: ReadonlyMap<RangeId, Replica>
  readonly #index: MetaIndex
  readonly #nodes: ReadonlyMap<NodeId, NodeInfo>

  constructor(parts: {
    replicas: ReadonlyMap<RangeId, Replica>
    index: MetaIndex
    nodes: ReadonlyMap<NodeId, NodeInfo>
  }) {
    this.#replicas = parts.replicas
    this.#index = parts.index
    this.#nodes = parts.nodes
  }

  /** What a refusal says of the replica's range: nothing, if the replica was just placed here and has heard nothing of it. */
  of(replica: Replica): readonly Route[] {
    return replica.descriptor.generation === 0 ? [] : [ownRoute(replica)]
  }

  /** To a request that only the leader of this replica's range executes. */
  notLeader(replica: Replica): ReplyError {
    const { leaderNode, range } = replica
    const leader = leaderNode === null ? 'nobody known' : `node ${leaderNode}`
    return failure('NOT_LEADER', `range ${range} is led by ${leader}`, { routes: this.of(replica) })
  }

  /** One route per range that holds any of the keys. */
  forKeys(keys: readonly Key[]): readonly Route[] {
    const found = new Map<RangeId, Route>()
    for (const key of keys) {
      const route = this.#forKey(key)
      if (route !== null) found.set(route.descriptor.range, route)
    }
    return [...found.values()]
  }

  #forKey(key: Key): Route | null {
    for (const replica of this.#replicas.values()) {
      if (knowsItsRange(replica) && contains(replica.descriptor.span, key)) return ownRoute(replica)
    }
    const indexed = this.#index.from(key, 1)[0]
    return indexed === undefined ? null : this.#route(indexed)
  }

  #route(descriptor: Descriptor): Route {
    const replica = this.#replicas.get(descriptor.range)
    return replica !== undefined && knowsItsRange(replica)
      ? ownRoute(replica)
      : { descriptor, leader: replica?.leaderNode ?? null }
  }

  reply(request: RoutesRequest): Reply {
    const limit = Math.min(request.limit, limits.scanRowsMax)
    const routes = new Map<RangeId, Route>()
    for (const descriptor of this.#index.from(request.from, limit))
      routes.set(descriptor.range, this.#route(descriptor))
    for (const replica of this.#ownFrom(request.from, limit)) routes.set(replica.range, ownRoute(replica))
    // The last range has no end, so who knows any of them knows one here. Others do: the client asks on.
    if (routes.size === 0)
      return errorReply(request.id, failure('UNAVAILABLE', 'this node holds no replica and knows no range'))
    return {
      kind: 'routes',
      id: request.id,
      version: NO_VERSION,
      routes: [...routes.values()].sort(byStart).slice(0, limit),
      nodes: [...this.#nodes.values()],
    }
  }

  /** The index may lag behind a split that this node has applied already. */
  #ownFrom(from: Key, limit: number): readonly Replica[] {
    const covers = (replica: Replica) => {
      const { end } = replica.descriptor.span
      return knowsItsRange(replica) && (end === null || end > from)
    }
    return [...this.#replicas.values()]
      .filter(covers)
      .sort((a, b) => byStart(ownRoute(a), ownRoute(b)))
      .slice(0, limit)
  }

  /** Node believed to lead the meta range. */
  get metaLeader(): NodeId | null {
    return this.#replicas.get(META_RANGE)?.leaderNode ?? null
  }
}

/**
 * A replica without a state knows its range from before, or not at all: it was just placed here. But if nobody else has any, who asks
 * is to hear from it why the range is not served.
 */
function knowsItsRange(replica: Replica): boolean {
  return replica.hasState || isSole(replica)
}

function ownRoute({ descriptor, leaderNode }: Replica): Route {
  return { descriptor, leader: leaderNode }
}

function byStart(a: Route, b: Route): number {
  const [x, y] = [a.descriptor.span.start, b.descriptor.span.start]
  return x < y ? -1 : x > y ? 1 : 0
}
