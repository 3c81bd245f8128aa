import type { Call } from './call.js'
import type { NodeLink } from './link.js'
import type { Links } from './links.js'
import type { CachedRoute } from './route-cache.js'

/**
 * The link for a call's next try: the leader if one is known and answers, else the voters in turn, first those that
 * answer and did not just refuse, at last any that could still be asked. Null: none, wait a little.
 */
export function pickLink(call: Call, route: CachedRoute, links: Links, nowMs: number): NodeLink | null {
  const leader = route.leader === null ? undefined : links.forNode(route.leader)
  if (leader !== undefined && leader !== call.refusedBy && leader.isUsable(nowMs)) return leader
  const voters = votersInTurn(call, route, links)
  return (
    voters.find((link) => link !== call.refusedBy && link.isUsable(nowMs)) ??
    voters.find((link) => link.isUsable(nowMs)) ??
    voters.find((link) => link.hasRoom && (link.state === 'open' || link.state === 'connecting')) ??
    null
  )
}

function votersInTurn(call: Call, route: CachedRoute, links: Links): NodeLink[] {
  const voters = route.descriptor.replicas.filter((replica) => replica.role !== 'learner')
  const found: NodeLink[] = []
  for (let offset = 0; offset < voters.length; offset++) {
    const link = links.forNode(voters[(call.tries + offset) % voters.length]!.node)
    if (link !== undefined) found.push(link)
  }
  return found
}

/**
 * For a read that any replica answers: this client's own choice for this range, so that ranges and clients spread over the
 * replicas and each finds its keys in that node's cache; the others in turn when that one fails.
 */
export function pickReplica(call: Call, route: CachedRoute, links: Links, nowMs: number): NodeLink | null {
  const { range, replicas } = route.descriptor
  const usable: NodeLink[] = []
  for (let offset = 0; offset < replicas.length; offset++) {
    const link = links.forNode(replicas[(links.preference + range + call.tries + offset) % replicas.length]!.node)
    if (link?.isUsable(nowMs)) usable.push(link)
  }
  return usable.find((link) => link !== call.refusedBy) ?? usable[0] ?? pickLink(call, route, links, nowMs)
}
