import type { Holdfast } from '../../src/client/index.js'
import { messageOf } from '../command.js'
import { eventually, type NodeProcess, type ProcessCluster } from '../processes.js'
import { lastWords, obey } from '../refusals.js'
import { wholeAgain } from '../whole.js'

const STUCK_AFTER_MS = 30_000
const LEADS_WITHIN_MS = 60_000
/** A supervisor starts a node again that died; one that dies at every start does not come back by itself. */
const STARTS_MAX = 3

/** How a damaged node came back. */
export type Comeback = 'by itself' | 'by command'

/**
 * Starts damaged nodes as a supervisor would, and runs the command that a refusal names, once. Rejects with the reason if they do not
 * come back, all replicas caught up.
 */
export async function bringBack(
  cluster: ProcessCluster,
  db: Holdfast,
  damaged: readonly NodeProcess[],
): Promise<Comeback[]> {
  const starts = new Map<NodeProcess, number>()
  const commanded = new Set<NodeProcess>()
  const start = (node: NodeProcess): void => {
    starts.set(node, (starts.get(node) ?? 0) + 1)
    node.start()
  }
  for (const node of damaged) start(node)
  for (;;) {
    const missing = await wholeAgain(cluster, db, STUCK_AFTER_MS).then(() => null, messageOf)
    if (missing === null) return damaged.map((node) => (commanded.has(node) ? 'by command' : 'by itself'))
    const ended = damaged.filter((node) => node.ended !== null)
    if (ended.length === 0) throw new Error(`not whole again: ${missing}`)
    for (const node of ended) {
      const { said, command, isIncomplete } = await lastWords(node)
      if (command !== null && !commanded.has(node)) {
        await obey(command)
        commanded.add(node)
      } else if (node.ended?.signal === null && !isIncomplete && !commanded.has(node)) {
        throw new Error(`it refuses and names no command that brings it back: ${said}`)
      } else if (starts.get(node)! >= STARTS_MAX) throw new Error(`it dies at every start: ${said}`)
      start(node)
    }
  }
}

/**
 * Makes `node` lead every range: the other two are stopped, and one of them comes back; just started it doesn't campaign at once.
 * Runs `action` then. Resolves to why it did not come to that, null if it did.
 */
export async function whileLeading(
  cluster: ProcessCluster,
  db: Holdfast,
  node: NodeProcess,
  action: () => Promise<void>,
): Promise<string | null> {
  const [first, second] = cluster.nodes.filter((other) => other !== node) as [NodeProcess, NodeProcess]
  await first.end('SIGTERM')
  let leads = false
  let last = 'nobody was asked'
  const ask = async (): Promise<boolean | null> => {
    // Alone it takes itself for the leader a little longer than it is.
    if (!(await second.isReady())) return null
    const { ranges, nodes } = await db.status({ deadlineMs: 2_000 })
    const id = nodes.find(({ address }) => address === node.clientAddress)?.id
    last = ranges.map((range) => `range ${range.id}: ${range.leader ?? 'nobody'}`).join(', ')
    if (ranges.length === 0 || ranges.some(({ leader }) => leader === null)) return null
    return ranges.every(({ leader }) => leader === id)
  }
  for (let turn = 0; turn < 3 && !leads; turn++) {
    await second.end('SIGTERM')
    second.start()
    leads = await eventually('it leads', LEADS_WITHIN_MS, ask).catch(() => false)
  }
  if (leads) await action()
  first.start()
  await wholeAgain(cluster, db, STUCK_AFTER_MS)
  return leads ? null : `it did not lead everything; led by ${last}`
}
