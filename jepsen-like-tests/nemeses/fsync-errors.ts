import { FsyncErrors, noFsyncErrors } from '../faults/fsync-errors.js'
import { lastErrors } from './last-errors.js'
import { choose, named, processesOf, type Target } from './targets.js'
import type { Nemesis } from './types.js'

const byNode = new Map<number, FsyncErrors>()

function onTarget(target: Target): Nemesis {
  return {
    name: `eio-${target}`,
    about: `fsync of ${target === 'one' ? 'one node' : 'the node that leads most ranges'} fails with EIO: it must end`,
    family: 'processes',
    whyNot: () => noFsyncErrors(),
    prepare: async ({ directory, nodes, scope }) => {
      for (const node of nodes) {
        const errors = await FsyncErrors.make({ directory, name: `node-${node.number}` })
        // Others may have put a library there, too.
        const loaded = new Set([...(node.env.LD_PRELOAD ?? '').split(':'), errors.env.LD_PRELOAD].filter(Boolean))
        Object.assign(node.env, errors.env, { LD_PRELOAD: [...loaded].join(':') })
        byNode.set(node.number, errors)
      }
      scope.defer('fsync errors', () => byNode.clear())
    },
    strike: async (field) => {
      const numbers = await choose(field, target)
      if (numbers === null) return null
      const [node] = processesOf(field, numbers)
      const errors = byNode.get(numbers[0]!)
      if (node === undefined || errors === undefined || !node.isUp) return null
      await errors.begin()
      return {
        what: `fsync of ${named(numbers)} fails`,
        mayEnd: { nodes: [node], saying: lastErrors.eio },
        heal: async () => {
          await errors.end()
          if (!node.isUp) node.start()
        },
      }
    },
  }
}

export const fsyncNemeses: readonly Nemesis[] = [onTarget('one'), onTarget('leader')]
