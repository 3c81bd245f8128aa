import { clockNemeses } from './clocks.js'
import { diskNemeses } from './disks.js'
import { fsyncNemeses } from './fsync-errors.js'
import { fsyncLost } from './losing-disks.js'
import { delay, loss } from './loss.js'
import { lossNemeses } from './lost-disks.js'
import { partitionNemeses } from './partitions.js'
import { powerNemeses } from './power.js'
import { processNemeses } from './processes.js'
import { rangeNemeses } from './ranges.js'
import { replies } from './replies.js'
import { slowNode } from './slow-node.js'
import type { Nemesis } from './types.js'

/** All that there are, in the order of `--list`, for one run: some keep what they need of its cluster. */
export function allNemeses(): Nemesis[] {
  return [
    ...processNemeses,
    slowNode,
    ...partitionNemeses,
    loss,
    delay,
    replies(),
    ...clockNemeses(),
    ...powerNemeses,
    ...fsyncNemeses,
    fsyncLost,
    ...diskNemeses,
    ...lossNemeses,
    ...rangeNemeses,
  ]
}

/** Words that stand for several: `kill` for all whose names begin with `kill-`. */
const GROUPS = ['kill', 'pause', 'partition', 'clock', 'powercut', 'torn', 'eio', 'disk']

export function groupsOf(nemeses: readonly Nemesis[]): Map<string, readonly Nemesis[]> {
  const groups = new Map([['all', nemeses]])
  for (const group of GROUPS) {
    groups.set(
      group,
      nemeses.filter(({ name }) => name.startsWith(`${group}-`)),
    )
  }
  return groups
}
