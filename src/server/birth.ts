import type { Descriptor, NodeInfo, ReplicaDescriptor } from '../base/descriptor.js'
import { HoldfastError } from '../base/errors.js'
import type { ClusterId, Generation, Key, NodeId, RangeId, ReplicaId } from '../base/ids.js'
import { META_RANGE } from '../base/ids.js'
import { DATA_SPAN, META_SPAN } from '../base/keyspace.js'
import { contains } from '../range/span.js'
import type { BirthDocument, NodeIdentification } from '../transport/peer-types.js'

export const DEFAULT_REPLICAS = 3
export const REPLICAS_MAX = 7

export interface BirthOptions {
  /** Replicas of every range; default 3, or as many as there are nodes. */
  readonly replicas: number | null
  /** Where the data is cut into ranges from the start. */
  readonly splitAt: readonly Key[]
}

/**
 * Decides once what a cluster begins with. Every node makes its own replicas from this document, so it must never be made twice
 * for the same nodes: whoever makes it writes it down before anyone else hears of it.
 */
export function drawBirth(
  cluster: ClusterId,
  members: readonly NodeIdentification[],
  options: BirthOptions,
): BirthDocument {
  const nodes: NodeInfo[] = members.map(({ clientAddress, peerAddress, pid }, at) => ({
    node: (at + 1) as NodeId,
    clientAddress,
    peerAddress,
    pid,
  }))
  const tokens = members.map(({ token }, at) => ({ node: (at + 1) as NodeId, token }))
  return { cluster, nodes, tokens, ranges: drawRanges(tokens, options) }
}

/**
 * Of the same members the same ones hold the replicas, whoever was told `init`: of two births at the same moment one at most gets a
 * majority of them, for a node takes one birth only.
 */
function drawRanges(nodes: BirthDocument['tokens'], options: BirthOptions): Descriptor[] {
  const count = options.replicas ?? Math.min(DEFAULT_REPLICAS, nodes.length)
  if (!Number.isInteger(count) || count < 1 || count > nodes.length || count > REPLICAS_MAX) {
    const most = Math.min(nodes.length, REPLICAS_MAX)
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      `replicas: expected 1 to ${most} on ${nodes.length} nodes, got ${options.replicas}`,
    )
  }
  const byToken = [...nodes].sort((a, b) => (a.token < b.token ? -1 : 1))
  const holders = byToken.slice(0, count).sort((a, b) => a.node - b.node)
  const replicas: ReplicaDescriptor[] = holders.map(({ node }, at) => ({
    replica: (at + 1) as ReplicaId,
    node,
    role: 'voter',
  }))
  const nextReplica = (count + 1) as ReplicaId
  const generation = 1 as Generation
  const starts = [DATA_SPAN.start, ...sortedBoundaries(options.splitAt)]
  const data = starts.map(
    (start, at): Descriptor => ({
      range: (META_RANGE + 1 + at) as RangeId,
      span: { start, end: starts[at + 1] ?? DATA_SPAN.end },
      generation,
      epoch: 0,
      replicas,
      nextReplica,
    }),
  )
  return [{ range: META_RANGE, span: META_SPAN, generation, epoch: 0, replicas, nextReplica }, ...data]
}

function sortedBoundaries(keys: readonly Key[]): Key[] {
  const sorted = [...new Set(keys)].sort()
  for (const key of sorted) {
    if (!contains(DATA_SPAN, key) || key === DATA_SPAN.start) {
      throw new HoldfastError('INVALID_ARGUMENT', `split-at: ${JSON.stringify(key)} lies outside the data key space`)
    }
  }
  return sorted
}
