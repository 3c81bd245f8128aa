import { drawDeed, drawSplit, FAULT_NAMES } from './deeds.js'
import type { Deed, Fault, FaultPlan, Harm } from './fault-plan.js'
import { calmLink } from './network.js'
import { PHASES, type Phase } from './phases.js'
import { SeededRandom } from './random.js'

/** A fault that is to take effect in a phase. */
export interface Cell {
  readonly name: string
  readonly phase: Phase
}

/** Every fault in every phase. */
export const CELLS: readonly Cell[] = FAULT_NAMES.flatMap((name) => PHASES.map((phase) => ({ name, phase })))

/**
 * How often a cell comes in a walk over all. Other faults bring most elections, snapshots, changes of replicas and recoveries about, and
 * so many faults meet these by chance; splits, transfers and starts are over in some milliseconds.
 */
const WEIGHTS: Readonly<Record<Phase, number>> = {
  idle: 5,
  election: 1,
  snapshot: 3,
  split: 5,
  transfer: 5,
  membership: 1,
  restart: 4,
  recovery: 1,
}
/** Of harm that has to wait until what was harmed before is whole, and is brought about by nothing else. */
const RARE_WEIGHT = 5
/** Of a snapshot that is damaged while another node starts: in two tries of three it is in before, or nothing of it has come yet. */
const RAREST_WEIGHT = 14
/** Of a partial partition, which needs a middle and both its sides to run. */
const PARTIAL_WEIGHT = 8
const RARE: ReadonlySet<string> = new Set<Harm>([
  'entry rotten',
  'log rotten',
  'record rotten',
  'record hidden',
  'snapshot rotten',
  'rolled back',
])
const WALK = CELLS.flatMap((cell) => Array.from({ length: weightOf(cell) }, () => cell))

/** From one cell of a plan to the next: they differ in fault and in phase, and all come in turn. */
const STRIDE = coprimeTo(WALK.length, Math.round(WALK.length * 0.618))
/** Cells that one plan is to reach, evenly over its time. */
const CELLS_PER_PLAN = 26
/** A phase mostly comes within this time of what is to bring it about. */
const WAIT_MS = 3_500
/** A fault that missed it then waits for the phase to come of something else. */
const PATIENCE_MS = 20_000
/** What brings a phase about waits this long until somebody may be harmed, or for a phase of its own. */
const BRING_WAIT_MS = 1_500
/** Who was away this long needs a snapshot when it is back. */
const SNAPSHOT_AFTER_MS = 2_000
const SCENARIO_FROM_MS = 1_000

interface Bounds {
  readonly nodes: number
  readonly fromMs: number
  readonly untilMs: number
  /** Following numbers go round all cells. */
  readonly turn: number
}

function weightOf({ name, phase }: Cell): number {
  // What rots is taken in at that moment.
  if (name === 'snapshot rotten' && phase === 'idle') return 0
  if (name === 'snapshot rotten' && phase === 'restart') return RAREST_WEIGHT
  if (name === 'partition partial' && phase === 'idle') return PARTIAL_WEIGHT
  return RARE.has(name) ? RARE_WEIGHT : WEIGHTS[phase]
}

/** Faults for some cells, each with what brings its phase about. */
export function drawDirected(random: SeededRandom, { nodes, fromMs, untilMs, turn }: Bounds): Fault[] {
  const slotMs = (untilMs - fromMs - WAIT_MS) / CELLS_PER_PLAN
  return Array.from({ length: CELLS_PER_PLAN }, (_, at) => {
    const cell = WALK[((turn * CELLS_PER_PLAN + at) * STRIDE) % WALK.length]!
    const atMs = Math.round(fromMs + (at + random.between(0, 0.3)) * slotMs)
    return faultsFor(cell, random, { atMs, nodes })
  }).flat()
}

/** A short run on a calm cluster in which the fault is to meet the phase. */
export function scenarioOf(cell: Cell, seed: number): FaultPlan {
  const random = new SeededRandom(seed).fork(`${cell.name} in ${cell.phase}`)
  const nodes = 3
  return {
    nodes,
    ranges: 3,
    clients: 4,
    thinkMsMax: 40,
    faults: faultsFor(cell, random, { atMs: SCENARIO_FROM_MS, nodes }),
    healedMs: SCENARIO_FROM_MS + 2 * WAIT_MS,
    clockOffsetsMs: [0, 0, 0],
    syncMsMax: 2,
    quality: calmLink,
    keptBytesMax: 0,
    stateSyncEveryBytes: 16 * 1024,
    historyKeptMs: 600_000,
    sessionKeptMs: 600_000,
  }
}

function faultsFor(
  { name, phase }: Cell,
  random: SeededRandom,
  { atMs, nodes }: { atMs: number; nodes: number },
): Fault[] {
  const drawn = drawDeed(name, { random, nodes })
  const node = 1 + random.below(nodes)
  const deed = soon(drawn.deed, phase, node)
  const forMs = drawn.isMomentary ? 0 : Math.round(random.between(100, 1_000))
  // Of three nodes a partial partition needs all.
  const forHarm = deed.kind === 'harm' || name === 'partition partial'
  const brought =
    name === 'snapshot rotten'
      ? duringSnapshot(phase, random, { atMs, node, other: 1 + (node % nodes) })
      : bringAbout(phase, random, { atMs, node, forHarm })
  return [...brought, { atMs: atMs + 1, forMs, during: phase, waitMs: PATIENCE_MS, ...deed }]
}

/** A node takes a snapshot in, and meanwhile the phase comes. */
function duringSnapshot(
  phase: Phase,
  random: SeededRandom,
  { atMs, node, other }: { atMs: number; node: number; other: number },
): Fault[] {
  // A replica that is placed anew takes a snapshot in.
  const snapshot = bringAbout(phase === 'membership' ? phase : 'snapshot', random, { atMs, node, forHarm: false })
  if (phase === 'snapshot' || phase === 'membership' || phase === 'recovery') return snapshot
  const meanwhile = bringAbout(phase, random, { atMs: atMs + 1, node: other, forHarm: false })
  // Who starts must be back before the snapshot is in.
  const briefly = phase === 'restart' ? { forMs: 2 } : {}
  const waits = { during: 'snapshot', waitMs: BRING_WAIT_MS + WAIT_MS } as const
  return [...snapshot, ...meanwhile.map((fault): Fault => ({ ...fault, ...briefly, ...waits }))]
}

/** What strikes later than it was asked for must not come when its phase is over; whoever starts has disk operations of its own. */
function soon(deed: Deed, phase: Phase, node: number): Deed {
  if (deed.kind !== 'crash after') return deed
  return { ...deed, operations: 1 + (deed.operations % 4), ...(phase === 'restart' ? { target: node } : {}) }
}

/** What makes a cluster come into a phase, more often than not. */
function bringAbout(
  phase: Phase,
  random: SeededRandom,
  { atMs, node, forHarm }: { atMs: number; node: number; forHarm: boolean },
): Fault[] {
  switch (phase) {
    case 'idle':
      return []
    case 'election':
      // Nobody may forget anything while another is down.
      if (forHarm) return [{ atMs, forMs: 1_500, kind: 'partition', shape: 'peers', targets: ['leader'] }]
      return [{ atMs, forMs: 1_500, kind: 'crash', targets: ['leader'] }]
    case 'snapshot':
      // What has forgotten something is struck again before another may be: it should have something left to be harmed.
      if (forHarm && random.chance(0.5)) return [{ atMs, forMs: SNAPSHOT_AFTER_MS, kind: 'crash', targets: [node] }]
      return [{ atMs, forMs: 50, waitMs: BRING_WAIT_MS, kind: 'harm', harm: 'state lost', target: node }]
    case 'split':
      return [{ atMs, forMs: 0, ...drawSplit({ random }) }]
    case 'transfer':
      return [{ atMs, forMs: 0, kind: 'transfer', target: 'leader' }]
    case 'membership':
      return [{ atMs, forMs: 50, waitMs: BRING_WAIT_MS, kind: 'harm', harm: 'wiped', target: node }]
    case 'restart':
      return [{ atMs, forMs: 100, kind: 'crash', targets: [node] }]
    case 'recovery':
      return [{ atMs, forMs: 800, kind: 'crash', targets: [node] }]
  }
}

function coprimeTo(count: number, from: number): number {
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b))
  let number = from
  while (divisor(number, count) !== 1) number++
  return number
}
