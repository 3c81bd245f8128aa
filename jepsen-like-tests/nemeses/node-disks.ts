import { join } from 'node:path'
import { LoopDisk, noLoopDisks } from '../faults/loop-disk.js'
import type { NodeProcess } from '../processes.js'
import type { ClusterPlan } from './types.js'

const MEBIBYTES = 512

/** A disk of its own for every node, shared by all nemeses that need one. */
export class NodeDisks {
  readonly #byDataFolder = new Map<string, LoopDisk>()

  whyNot(): Promise<string | null> {
    return noLoopDisks()
  }

  async prepare({ directory, nodes, scope }: ClusterPlan): Promise<void> {
    for (const node of nodes) {
      if (this.#byDataFolder.has(node.dataFolder)) continue
      const disk = await LoopDisk.make({ directory, name: `disk-${node.number}`, mebibytes: MEBIBYTES })
      const dataFolder = join(disk.mountPoint, 'data')
      scope.defer(disk.mountPoint, async () => {
        this.#byDataFolder.delete(dataFolder)
        await disk.remove()
      })
      this.#byDataFolder.set(dataFolder, disk)
      node.dataFolder = dataFolder
    }
  }

  of(node: NodeProcess): LoopDisk {
    const disk = this.#byDataFolder.get(node.directory)
    if (disk === undefined) throw new Error(`${node.directory} is on no disk of its own`)
    return disk
  }
}

/** Every nemesis takes its disks from here. */
export const nodeDisks = new NodeDisks()
