import type { Descriptor, NodeInfo, Span } from '../base/descriptor.js'
import type { Generation, Key, NodeId, RangeId, ReplicaId } from '../base/ids.js'
import { META_RANGE } from '../base/ids.js'
import { DATA_SPAN, META_SPAN } from '../base/keyspace.js'
import type { Birth } from '../store/factory.js'

/** What a simulated cluster begins with: `nodes` nodes, the meta range, and the data ranges cut apart at `splitAt`. */
export function birthOf({ nodes, splitAt }: { nodes: number; splitAt: readonly Key[] }): Birth {
  const infos = Array.from({ length: nodes }, (_, at) => infoOf(at + 1))
  return { nodes: infos, ranges: birthRanges(infos, splitAt) }
}

function infoOf(id: number): NodeInfo {
  return { node: id as NodeId, clientAddress: `node${id}:7400`, peerAddress: `node${id}:7500`, pid: id }
}

/** The meta range and the data ranges, each with a replica on every node. */
function birthRanges(nodes: readonly NodeInfo[], splitAt: readonly Key[]): Descriptor[] {
  const starts = [DATA_SPAN.start, ...splitAt]
  const spans: Span[] = [META_SPAN, ...starts.map((start, at) => ({ start, end: starts[at + 1] ?? DATA_SPAN.end }))]
  return spans.map((span, at) => ({
    range: (META_RANGE + at) as RangeId,
    span,
    generation: 1 as Generation,
    epoch: 0,
    replicas: nodes.map(({ node }, place) => ({ replica: (place + 1) as ReplicaId, node, role: 'voter' })),
    nextReplica: (nodes.length + 1) as ReplicaId,
  }))
}
