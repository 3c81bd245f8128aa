import type { Holdfast } from '../src/client/index.js'
import { eventually, type ProcessCluster } from './processes.js'

/** Until every node says that it is ready and serves, and every replica has applied what its range had committed when it was first asked. */
export async function wholeAgain(cluster: ProcessCluster, db: Holdfast, withinMs: number): Promise<void> {
  const goals = new Map<number, number>()
  await eventually('all nodes up, all replicas caught up', withinMs, async () => {
    const dead = cluster.nodes.find((node) => node.ended !== null)
    if (dead !== undefined) throw new Error(`a node ended: ${(await dead.lastLines(1))[0]}`)
    const ready = await Promise.all(cluster.nodes.map((node) => node.isReady()))
    if (ready.includes(false)) throw new Error(`node ${ready.indexOf(false) + 1} of the cluster is not ready`)
    const { nodes, ranges } = await db.status({ deadlineMs: 2_000 })
    if (nodes.length < cluster.nodes.length || nodes.some((node) => !node.up)) throw new Error('a node is not up')
    for (const range of ranges) {
      if (range.leader === null) throw new Error(`range ${range.id} has no leader`)
      const goal = goals.get(range.id) ?? Math.max(...range.states.map(({ commit }) => commit))
      goals.set(range.id, goal)
      if (range.states.length < range.replicas.length) throw new Error(`range ${range.id} lacks a replica`)
      const behind = range.states.find(({ applied }) => applied < goal)
      if (behind !== undefined)
        throw new Error(`range ${range.id} on node ${behind.node}: ${behind.applied} of ${goal} applied`)
    }
    return true
  })
}

/** Replicas of one range that have applied the same must have the same digest. */
export async function differingDigests(db: Holdfast): Promise<string[]> {
  const { ranges } = await db.status()
  return ranges.flatMap(({ id, states }) => {
    const seen = new Map<number, { node: number; digest: number }>()
    return states.flatMap(({ node, applied, digest }) => {
      const other = seen.get(applied)
      seen.set(applied, { node, digest })
      if (other === undefined || other.digest === digest) return []
      return [`range ${id} at ${applied}: node ${other.node} has digest ${other.digest}, node ${node} has ${digest}`]
    })
  })
}
