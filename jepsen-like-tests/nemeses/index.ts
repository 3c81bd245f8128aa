import { diskNemeses } from './disks.js'
import { fsyncNemeses } from './fsync-errors.js'
import { loss } from './loss.js'
import { lossNemeses } from './lost-disks.js'
import { partitionNemeses } from './partitions.js'
import { powerNemeses } from './power.js'
import { processNemeses } from './processes.js'
import { split } from './ranges.js'
import { slowNode } from './slow-node.js'
import type { Nemesis } from './types.js'

/** All that there are, in the order of `--list`. */
export const nemeses: readonly Nemesis[] = [
  ...processNemeses,
  slowNode,
  ...partitionNemeses,
  loss,
  ...powerNemeses,
  ...fsyncNemeses,
  ...diskNemeses,
  ...lossNemeses,
  split,
]

/** Names that stand for several. */
export function nemesisGroups(): Map<string, readonly Nemesis[]> {
  const groups = new Map<string, Nemesis[]>()
  for (const nemesis of nemeses) {
    const at = nemesis.name.indexOf('-')
    for (const group of at === -1 ? ['all'] : ['all', nemesis.name.slice(0, at)]) {
      groups.set(group, [...(groups.get(group) ?? []), nemesis])
    }
  }
  for (const single of ['rolling', 'slow']) groups.delete(single)
  return groups
}
