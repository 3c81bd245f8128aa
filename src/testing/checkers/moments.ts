import type { SimNode } from '../node.js'
import { descriptorsOf } from '../wholeness.js'
import type { ClusterCheckers } from './cluster.js'
import { checkStored } from './stored.js'

/** What holds at any moment and needs all nodes at once. */
export function checkMoment(checkers: ClusterCheckers, nodes: readonly SimNode[]): void {
  for (const { id, store, serves } of nodes) {
    if (store === null || !serves) continue
    // Where there is no state, the descriptor is of the past.
    const here = [...store.replicas].filter((replica) => replica.hasState)
    checkers.spansOf(
      id,
      here.map((replica) => replica.descriptor),
    )
    checkers.queues.saw(id, store.queues())
  }
  checkers.durability.look()
}

/** What holds when all is healed and quiet: all replicas of a range agree, and the ranges partition the keys. */
export function checkRest(checkers: ClusterCheckers, nodes: readonly SimNode[]): void {
  checkMoment(checkers, nodes)
  for (const { id, store } of nodes) {
    for (const replica of store?.replicas ?? []) if (replica.hasState) checkers.remembers(id, replica)
  }
  checkers.partition([...descriptorsOf(nodes).values()])
}

/** Likewise, what each replica has stored. Returns how many of them are not read to the end yet. */
export function checkAllStored({ violations, records }: ClusterCheckers, nodes: readonly SimNode[]): () => number {
  let open = 0
  for (const { place, store, state } of nodes) {
    for (const replica of store?.replicas ?? []) {
      if (state === null || !replica.hasState) continue
      open++
      checkStored(place, { replica, state }, { model: records, violations }, () => void open--)
    }
  }
  return () => open
}
