import { join } from 'node:path'
import { LosingDisk, noLosingDisks } from '../faults/losing-disk.js'
import { lastErrors } from './last-errors.js'
import { choose, named, processesOf } from './targets.js'
import type { Nemesis } from './types.js'

const MEBIBYTES = 384

const disks = new Map<string, LosingDisk>()

/** What a full backing store under a thin volume does, or a disk that gives up: the error is told once, and then all seems well. */
export const fsyncLost: Nemesis = {
  name: 'eio-lost',
  about:
    'an fsync of one node fails and what it wrote is lost, later ones succeed, reads come from the cache: it must end',
  family: 'processes',
  disk: 'losing',
  whyNot: () => noLosingDisks(),
  prepare: async ({ directory, nodes, scope }) => {
    for (const node of nodes) {
      const disk = await LosingDisk.make({ directory, name: `losing-${node.number}`, mebibytes: MEBIBYTES })
      node.dataFolder = join(disk.mountPoint, 'data')
      disks.set(node.dataFolder, disk)
      const { dataFolder } = node
      scope.defer(disk.mountPoint, () => {
        disks.delete(dataFolder)
        return disk.remove()
      })
    }
  },
  strike: async (field) => {
    const numbers = (await choose(field, 'one'))!
    const [node] = processesOf(field, numbers)
    const disk = node === undefined ? undefined : disks.get(node.directory)
    if (node === undefined || disk === undefined || !node.isUp) return null
    node.signal('SIGSTOP')
    const undo = await disk.lose(join(node.directory, 'log')).finally(() => node.isUp && node.signal('SIGCONT'))
    return {
      what: `what ${named(numbers)} writes to its log is lost`,
      mayEnd: { nodes: [node], saying: lastErrors.lost },
      heal: async () => {
        await undo()
        if (node.isUp) return
        // Its next start reads what was lost from the cache, or finds that it is gone.
        if (field.random() < 0.5) await disk.forget()
        node.start()
      },
    }
  },
}
