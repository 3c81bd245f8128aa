import type { ClusterStatus } from '../../src/client/index.js'

/** Which ranges are new, and which have another leader: one line each. */
export function rangeChanges(before: ClusterStatus, after: ClusterStatus): string[] {
  const known = new Map(before.ranges.map((range) => [range.id, range]))
  return after.ranges.flatMap((range) => {
    const old = known.get(range.id)
    if (old === undefined) return [`range ${range.id} is new, led by ${leaderName(range.leader)}`]
    // Between two leaders there is a moment without one: told once, when it has ended.
    if (old.leader === range.leader || range.leader === null) return []
    return [`range ${range.id} is now led by ${leaderName(range.leader)} (before: ${leaderName(old.leader)})`]
  })
}

function leaderName(leader: number | null): string {
  return leader === null ? 'nobody' : `node ${leader}`
}

/** The later picture, but with the last known leader where there is none for the moment. */
export function remembered(before: ClusterStatus, after: ClusterStatus): ClusterStatus {
  const known = new Map(before.ranges.map((range) => [range.id, range.leader]))
  return {
    ...after,
    ranges: after.ranges.map((range) => ({ ...range, leader: range.leader ?? known.get(range.id) ?? null })),
  }
}

/** Every node answers and every range has a leader. */
export function isServing(status: ClusterStatus, nodes: number): boolean {
  return (
    status.nodes.length >= nodes &&
    status.ranges.length > 0 &&
    status.nodes.every((node) => node.up) &&
    status.ranges.every((range) => range.leader !== null)
  )
}
