import { rm } from 'node:fs/promises'
import { filesOf, PLACES, rot } from '../faults/bit-rot.js'
import { eventually, type NodeProcess, runCli } from '../processes.js'
import { pick } from '../random.js'
import { lastWords, obey } from '../refusals.js'
import { wholeAgain } from '../whole.js'
import { lastErrors } from './last-errors.js'
import { named } from './targets.js'
import type { Battlefield, Nemesis } from './types.js'

/** A second node must not lose anything before the first has it back. */
const WHOLE_WITHIN_MS = 15_000
const BACK_WITHIN_MS = 120_000

/** Kills a node and does something to its data while every replica elsewhere is whole. null: they are not. */
async function strikeOne(
  { cluster, db, random }: Battlefield,
  saying: RegExp | null,
  harm: (node: NodeProcess) => Promise<{ how: string; revive: () => Promise<void> } | null>,
) {
  const whole = await wholeAgain(cluster, db, WHOLE_WITHIN_MS).then(
    () => true,
    () => false,
  )
  const number = 1 + Math.floor(random() * cluster.nodes.length)
  const node = cluster.nodes[number - 1]!
  if (!whole || !node.isUp) return null
  const harmed = await harm(node)
  if (harmed === null) return null
  return {
    what: `${named([number])}: ${harmed.how}`,
    ...(saying === null ? {} : { mayEnd: { nodes: [node], saying } }),
    heal: harmed.revive,
  }
}

const bitRot: Nemesis = {
  name: 'disk-rot',
  about: 'a bit of one file of one node flips, or half of it is gone, while the node is down',
  family: 'processes',
  whyNot: async () => null,
  strike: (field) =>
    strikeOne(field, lastErrors.rot, async (node) => {
      const { random } = field
      await node.end(pick(random, ['SIGKILL', 'SIGTERM']))
      const files = (await filesOf(node.directory)).filter(({ bytes }) => bytes > 0)
      const kind = pick(random, [...new Set(files.map((file) => file.kind))])
      const file = pick(
        random,
        files.filter((each) => each.kind === kind),
      )
      const how = await rot(node.directory, file, pick(random, PLACES))
      return { how, revive: () => revive(node) }
    }),
}

const wiped: Nemesis = {
  name: 'disk-wiped',
  about: 'one node loses its whole disk and comes back by `holdfast node rejoin`',
  family: 'processes',
  whyNot: async () => null,
  strike: (field) =>
    strikeOne(field, null, async (node) => {
      const { cluster, db } = field
      const status = await db.status().catch((error: unknown) => {
        field.failed(error)
        return null
      })
      const id = status?.nodes.find(({ address }) => address === node.clientAddress)?.id
      if (id === undefined) return null
      await node.end('SIGKILL')
      await rm(node.directory, { recursive: true })
      const others = cluster.nodes.filter((other) => other !== node)
      return { how: 'its disk is wiped', revive: () => rejoin(node, { id, others }) }
    }),
}

/** Asks one after the other: what else troubles the cluster may keep some from answering. */
async function rejoin(
  node: NodeProcess,
  { id, others }: { id: number; others: readonly NodeProcess[] },
): Promise<void> {
  let turn = 0
  await eventually('node rejoin', BACK_WITHIN_MS, () => {
    const { peerAddress } = others[turn++ % others.length]!
    return runCli(['node', 'rejoin', '--data', node.directory, '--node', String(id), '--join', peerAddress])
  })
  node.start()
}

/** As an operator does: starts it, and runs what it asks for, until it is ready. */
async function revive(node: NodeProcess): Promise<void> {
  node.start()
  await eventually('the damaged node is back', BACK_WITHIN_MS, async () => {
    if (await node.isReady()) return true
    if (node.isUp) return null
    const { command } = await lastWords(node)
    if (command !== null) await obey(command)
    node.start()
    return null
  })
}

/** One node forgets some of what it had, or all of it. */
export const lossNemeses: readonly Nemesis[] = [bitRot, wiped]
