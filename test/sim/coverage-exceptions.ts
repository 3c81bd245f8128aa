import { CELLS, type Cell } from '../../src/testing/directed.js'

interface Exception extends Cell {
  readonly reason: string
}

/** Faults that can't take effect in a phase, and why. */
const exceptions: readonly Exception[] = [
  { name: 'snapshot rotten', phase: 'idle', reason: 'what rots is taken in at that moment, and the cluster not idle' },
]

/** Every fault in every phase, but for the exceptions. */
export const cellsToMeet: readonly Cell[] = CELLS.filter(
  ({ name, phase }) => !exceptions.some((each) => each.name === name && each.phase === phase),
)
