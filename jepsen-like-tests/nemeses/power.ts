import type { LoopDisk } from '../faults/loop-disk.js'
import { cutPowerTearing } from '../faults/torn-writes.js'
import type { NodeProcess } from '../processes.js'
import { nodeDisks } from './node-disks.js'
import { choose, named, processesOf, type Target } from './targets.js'
import type { Battlefield, Nemesis } from './types.js'

interface Victim {
  readonly node: NodeProcess
  readonly disk: LoopDisk
}

/** Says what came of it. */
type Cut = (victim: Victim, random: () => number) => Promise<string>

const clean: Cut = async ({ disk }) => ((await disk.cutPower()) ? 'unsynced data lost' : 'nothing was unsynced')

const tearing: Cut = async ({ node, disk }, random) => {
  const { kept, lost } = await cutPowerTearing(disk, node.directory, random)
  return `${kept} of ${kept + lost} unsynced sectors kept`
}

function onTarget(name: string, about: string, target: Target, cut: Cut): Nemesis {
  return {
    name,
    about,
    // It must not be started by anybody else meanwhile.
    family: 'processes',
    disk: 'power',
    whyNot: () => nodeDisks.whyNot(),
    prepare: (plan) => nodeDisks.prepare(plan),
    strike: async (field) => {
      const numbers = await choose(field, target)
      if (numbers === null) return null
      const victims = await armed(field, numbers)
      if (victims === null) return null
      await Promise.all(victims.map(({ node }) => node.end('SIGKILL')))
      const came: string[] = []
      for (const victim of victims) came.push(await cut(victim, field.random))
      return {
        what: `power of ${named(numbers)} cut: ${came.join('; ')}`,
        heal: async () => {
          for (const { node } of victims) node.start()
        },
      }
    },
  }
}

/** null: one of them does not run, or has no room for what shows whether the cut takes effect. */
async function armed(field: Battlefield, numbers: readonly number[]): Promise<Victim[] | null> {
  const victims = processesOf(field, numbers).map((node) => ({ node, disk: nodeDisks.of(node) }))
  if (victims.some(({ node }) => !node.isUp)) return null
  try {
    for (const { disk } of victims) await disk.arm()
    return victims
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return null
    throw error
  }
}

/** kill -9, and of what was written and not synced nothing is left, or some. */
export const powerNemeses: readonly Nemesis[] = [
  onTarget('powercut-one', 'kill -9 of one node, which loses all that it had not synced', 'one', clean),
  onTarget('powercut-majority', 'kill -9 of a majority, which loses all that it had not synced', 'majority', clean),
  onTarget('powercut-all', 'kill -9 of all nodes, which lose all that they had not synced', 'all', clean),
  onTarget(
    'torn-one',
    'kill -9 of one node, which loses some sectors that it had not synced, in no order',
    'one',
    tearing,
  ),
  onTarget('torn-all', 'kill -9 of all nodes, each of which loses some sectors that it had not synced', 'all', tearing),
]
