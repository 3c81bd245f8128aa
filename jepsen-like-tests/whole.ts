import type { Holdfast } from '../src/client/index.js'
import { messageOf } from './command.js'
import type { ProcessCluster } from './processes.js'

const EVERY_MS = 50
const ASK_MS = 5_000

/**
 * Until every node says that it is ready, and every replica has applied what its range had committed when it was first asked.
 * Rejects, with what was missing and what the nodes said last, when nothing has moved on for `withinMs`: a slow machine is not a
 * stuck cluster. A node that ends meanwhile is told at once, unless `lookAfter` starts it again.
 */
export async function wholeAgain(
  cluster: ProcessCluster,
  db: Holdfast,
  withinMs: number,
  lookAfter: () => void = () => {},
): Promise<void> {
  const goals = new Map<number, number>()
  let missing = ''
  for (let movedAt = performance.now(); performance.now() - movedAt < withinMs; ) {
    lookAfter()
    const dead = cluster.nodes.findIndex((node) => node.ended !== null)
    if (dead !== -1) throw new Error(`node ${dead + 1} of the cluster ended`)
    const now = await whatIsMissing(cluster, db, goals).catch((error: unknown) => messageOf(error))
    if (now === null) return
    if (now !== missing) movedAt = performance.now()
    missing = now
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
  }
  const said = await Promise.all(
    cluster.nodes.map(async (node, at) => `  node ${at + 1}: ${(await node.lastLines(3)).join('\n    ')}`),
  )
  throw new Error(`${missing}; nothing moved on for ${withinMs} ms\n${said.join('\n')}`)
}

/** null: nothing. */
async function whatIsMissing(
  cluster: ProcessCluster,
  db: Holdfast,
  goals: Map<number, number>,
): Promise<string | null> {
  const ready = await Promise.all(cluster.nodes.map((node) => node.isReady()))
  const notReady = ready.indexOf(false)
  const { nodes, ranges } = await db.status({ deadlineMs: ASK_MS })
  for (const { id, leader, replicas, states } of ranges) {
    if (leader === null) return `range ${id} has no leader`
    const goal = goals.get(id) ?? Math.max(...states.map(({ commit }) => commit))
    goals.set(id, goal)
    const empty = states.find(({ hasState }) => !hasState)
    if (empty !== undefined) return `range ${id} on node ${empty.node} has no state yet`
    const behind = states.find(({ applied }) => applied < goal)
    if (behind !== undefined) return `range ${id} on node ${behind.node}: ${behind.applied} of ${goal} applied`
    if (states.length < replicas.length) return `range ${id} has ${states.length} of ${replicas.length} replicas`
  }
  if (nodes.length < cluster.nodes.length || nodes.some((node) => !node.up)) return 'not all nodes answer'
  return notReady === -1 ? null : `node ${notReady + 1} of the cluster is not ready`
}

/** Replicas of one range that have applied the same must have the same digest. */
export async function differingDigests(db: Holdfast): Promise<string[]> {
  const { ranges } = await db.status()
  return ranges.flatMap(({ id, states }) => {
    const seen = new Map<number, { node: number; digest: number }>()
    return states.flatMap(({ node, applied, digest, hasState }) => {
      if (!hasState) return []
      const other = seen.get(applied)
      seen.set(applied, { node, digest })
      if (other === undefined || other.digest === digest) return []
      return [`range ${id} at ${applied}: node ${other.node} has digest ${other.digest}, node ${node} has ${digest}`]
    })
  })
}
