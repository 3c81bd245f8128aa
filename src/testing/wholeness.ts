import type { Descriptor } from '../base/descriptor.js'
import type { LogIndex, RangeId } from '../base/ids.js'
import type { SimNode } from './node.js'

/** The newest descriptor of each range that any running node has applied. */
export function descriptorsOf(nodes: readonly SimNode[]): Map<RangeId, Descriptor> {
  const descriptors = new Map<RangeId, Descriptor>()
  for (const node of nodes) {
    for (const { range, descriptor, hasState } of node.store?.replicas ?? []) {
      const known = descriptors.get(range)
      if (hasState && (known === undefined || isNewer(descriptor, known))) descriptors.set(range, descriptor)
    }
  }
  return descriptors
}

function isNewer(a: Descriptor, b: Descriptor): boolean {
  return a.generation > b.generation || (a.generation === b.generation && a.epoch > b.epoch)
}

/** What keeps a replica of some range from being a voter, there, and holding all that it ever promised. Null: nothing. */
export function lackOf(nodes: readonly SimNode[]): string | null {
  for (const { place, lack } of nodes) if (lack !== null) return `${place} ${lack}`
  for (const [range, { replicas }] of descriptorsOf(nodes)) {
    for (const { replica, node, role } of replicas) {
      const here = nodes[node - 1]!.store!.replica(range)?.id
      if (role !== 'voter') return `replica ${replica} of range ${range} on node ${node} is ${role}`
      if (here !== replica) return `node ${node} has replica ${here} of range ${range} and not ${replica}`
    }
  }
  return null
}

/** What keeps the cluster from rest: a range without a leader, or a replica that has not applied all there is. Null: nothing. */
export function unrestOf(nodes: readonly SimNode[]): string | null {
  const last = new Map<RangeId, LogIndex>()
  for (const { place, serves, store } of nodes) {
    if (!serves) return `${place} does not serve`
    for (const { range, raft, applied } of store!.replicas) {
      const known = last.get(range) ?? applied
      last.set(range, known)
      if (raft.leader === null) return `${place} knows no leader of range ${range}`
      if (applied !== raft.lastIndex || applied !== known) {
        return `${place} applied ${applied} of ${raft.lastIndex} of range ${range}, another ${known}`
      }
    }
  }
  return null
}
