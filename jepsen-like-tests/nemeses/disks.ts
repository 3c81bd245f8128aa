import { fillDisk } from '../faults/disk-full.js'
import { hangDisk, noFreezing } from '../faults/disk-hang.js'
import { noSlowDisks, slowDisk } from '../faults/disk-slow.js'
import type { NodeProcess } from '../processes.js'
import { pick } from '../random.js'
import { InForce } from './in-force.js'
import { lastErrors } from './last-errors.js'
import { nodeDisks } from './node-disks.js'
import { choose, named, processesOf, type Target } from './targets.js'
import type { Nemesis } from './types.js'

const inForce = new InForce()

interface DiskFault {
  readonly name: string
  readonly about: string
  /** Drawn from. */
  readonly targets: readonly Target[]
  /** Of an error with which nodes may end. Default: none may. */
  readonly saying?: RegExp
  whyNot(): Promise<string | null>
  /** Resolves to how, and to what undoes it; null: the node does not run. */
  begin(node: NodeProcess, random: () => number): Promise<{ how: string; undo: () => Promise<void> } | null>
}

function onDisks({ name, about, targets, saying, whyNot, begin }: DiskFault): Nemesis {
  return {
    name,
    about,
    family: 'disks',
    disk: 'power',
    whyNot: async () => (await nodeDisks.whyNot()) ?? (await whyNot()),
    prepare: async (plan) => {
      await nodeDisks.prepare(plan)
      inForce.prepare(plan, name)
    },
    strike: async (field) => {
      const numbers = await choose(field, pick(field.random, targets))
      if (numbers === null) return null
      const struck: { number: number; node: NodeProcess; how: string; heal: () => Promise<void> }[] = []
      for (const [at, node] of processesOf(field, numbers).entries()) {
        const begun = await begin(node, field.random)
        if (begun !== null) struck.push({ number: numbers[at]!, node, how: begun.how, heal: inForce.add(begun.undo) })
      }
      if (struck.length === 0) return null
      return {
        what: `disk of ${named(struck.map(({ number }) => number))} ${struck[0]!.how}`,
        ...(saying === undefined ? {} : { mayEnd: { nodes: struck.map(({ node }) => node), saying } }),
        heal: async () => {
          for (const { heal } of struck) await heal()
        },
      }
    },
  }
}

const full = onDisks({
  name: 'disk-full',
  about: 'no room on the disks of one node, of the busiest leader, or of all',
  targets: ['one', 'leader', 'all'],
  // One that is restarted meanwhile has nowhere to write that it was.
  saying: lastErrors.full,
  whyNot: async () => null,
  begin: async (node) => ({ how: 'full', undo: await fillDisk(nodeDisks.of(node).mountPoint) }),
})

/** Shorter than a node is waited for; longer than an election. */
const hung = onDisks({
  name: 'disk-hung',
  about: 'writes and syncs of one node, or of the busiest leader, do not return',
  targets: ['one', 'leader'],
  whyNot: noFreezing,
  begin: async (node) => ({ how: 'hung', undo: await hangDisk(nodeDisks.of(node).mountPoint) }),
})

const slow = onDisks({
  name: 'disk-slow',
  about: 'few writes a second to the disk of one node, or of the busiest leader',
  targets: ['one', 'leader'],
  whyNot: noSlowDisks,
  begin: async (node, random) => {
    if (!node.isUp) return null
    const writesPerSecond = pick(random, [5, 20, 100])
    const undo = await slowDisk({ pid: node.pid, path: nodeDisks.of(node).mountPoint, writesPerSecond })
    return { how: `takes ${writesPerSecond} writes a second`, undo }
  },
})

/** Disks that are in the way, and forget nothing. */
export const diskNemeses: readonly Nemesis[] = [full, hung, slow]
