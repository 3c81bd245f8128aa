import type { Deed, PartitionShape, Target } from './fault-plan.js'
import type { LinkQuality } from './network.js'
import type { SeededRandom } from './random.js'
import { REGISTERS, registerAt } from './registers.js'

/** What a deed is drawn from. */
export interface DeedDraw {
  readonly random: SeededRandom
  readonly nodes: number
}

/** Faults that a run has together or not at all. */
export interface FaultGroup {
  /** Chance that a run has it. */
  readonly chance: number
  /** By name, as `nameOf` gives it. */
  readonly faults: Readonly<Record<string, (draw: DeedDraw) => Deed>>
  /** It is over as soon as it is done. Default false. */
  readonly isMomentary?: boolean
}

const COMMON = 0.75
const RARE = 0.4
/** Two clocks may run a fifth apart before a lease is worth nothing: each is off by less than a tenth. */
const RATE_MAX = 0.09

/** All faults there are. */
export const groups: readonly FaultGroup[] = [
  {
    // Every run has crashes: what is never restarted proves little.
    chance: 1,
    faults: { crash: (draw) => ({ kind: 'crash', targets: [drawTarget(draw)] }) },
  },
  { chance: RARE, faults: { 'crash of many': (draw) => ({ kind: 'crash', targets: drawMany(draw) }) } },
  {
    chance: RARE,
    faults: {
      kill: (draw) => ({ kind: 'kill', targets: draw.random.chance(0.7) ? [drawTarget(draw)] : drawMany(draw) }),
      off: (draw) => ({ kind: 'off', target: drawTarget(draw) }),
    },
  },
  {
    chance: COMMON,
    faults: {
      'crash after': (draw) => ({
        kind: 'crash after',
        target: drawTarget(draw),
        operations: 1 + draw.random.below(30),
      }),
      'torn tail': (draw) => ({ kind: 'torn tail', target: drawTarget(draw) }),
    },
  },
  {
    chance: COMMON,
    faults: {
      pause: (draw) => ({ kind: 'pause', targets: [drawTarget(draw)], suspended: false }),
      suspend: (draw) => ({ kind: 'pause', targets: [drawTarget(draw)], suspended: true }),
    },
  },
  {
    chance: COMMON,
    faults: {
      'partition isolate': (draw) => ({ kind: 'partition', shape: 'isolate', targets: [drawTarget(draw)] }),
      'partition peers': (draw) => ({ kind: 'partition', shape: 'peers', targets: [drawTarget(draw)] }),
      'partition deaf': (draw) => ({ kind: 'partition', shape: 'deaf', targets: [drawTarget(draw)] }),
      'partition mute': (draw) => ({ kind: 'partition', shape: 'mute', targets: [drawTarget(draw)] }),
      'partition clients': (draw) => ({ kind: 'partition', shape: 'clients', targets: [drawTarget(draw)] }),
      'partition halves': (draw) => ({ kind: 'partition', shape: 'halves', targets: drawMinority(draw) }),
      'partition partial': (draw) => ({ kind: 'partition', shape: drawPartial(draw), targets: [drawTarget(draw)] }),
      'partition flapping': drawFlapping,
      'partition pair': (draw) => ({ kind: 'partition', shape: 'pair', targets: [drawTarget(draw)] }),
    },
  },
  {
    chance: COMMON,
    faults: {
      links: ({ random }) => ({ kind: 'links', quality: drawQuality(random, 1) }),
      link: (draw) => ({
        kind: 'link',
        target: drawTarget(draw),
        way: drawWay(draw),
        quality: drawQuality(draw.random, 2),
      }),
      clog: (draw) => ({ kind: 'clog', target: drawTarget(draw), way: drawWay(draw) }),
    },
  },
  {
    chance: RARE,
    faults: {
      'slow reader': (draw) => ({
        kind: 'slow reader',
        target: draw.random.chance(0.3) ? 'clients' : drawTarget(draw),
        everyMs: draw.random.pick([1, 5, 20]),
      }),
    },
  },
  {
    chance: RARE,
    faults: {
      'connections reset': (draw) => ({ kind: 'connections', how: 'reset', target: drawTarget(draw) }),
      'connections half open': (draw) => ({ kind: 'connections', how: 'half open', target: drawTarget(draw) }),
    },
    isMomentary: true,
  },
  {
    chance: RARE,
    faults: {
      wiped: (draw) => ({ kind: 'harm', harm: 'wiped', target: drawTarget(draw) }),
      'state lost': (draw) => ({ kind: 'harm', harm: 'state lost', target: drawTarget(draw) }),
      'entry rotten': (draw) => ({ kind: 'harm', harm: 'entry rotten', target: drawTarget(draw) }),
      'log rotten': (draw) => ({ kind: 'harm', harm: 'log rotten', target: drawTarget(draw) }),
      'record rotten': (draw) => ({ kind: 'harm', harm: 'record rotten', target: drawTarget(draw) }),
      'record hidden': (draw) => ({ kind: 'harm', harm: 'record hidden', target: drawTarget(draw) }),
      'snapshot rotten': (draw) => ({ kind: 'harm', harm: 'snapshot rotten', target: drawNode(draw) }),
      'rolled back': (draw) => ({ kind: 'harm', harm: 'rolled back', target: drawTarget(draw) }),
    },
  },
  {
    chance: RARE,
    faults: {
      full: (draw) => ({ kind: 'full', target: drawTarget(draw) }),
      hang: (draw) => ({ kind: 'hang', target: drawTarget(draw) }),
      fsync: (draw) => ({ kind: 'fsync', target: drawTarget(draw) }),
    },
  },
  { chance: RARE, faults: { 'logs swapped': (draw) => ({ kind: 'logs swapped', target: drawTarget(draw) }) } },
  {
    chance: RARE,
    faults: {
      slow: (draw) => ({ kind: 'slow', target: drawTarget(draw), factor: draw.random.pick([5, 50, 300]) }),
    },
  },
  { chance: RARE, faults: { transfer: () => ({ kind: 'transfer', target: 'leader' }) }, isMomentary: true },
  { chance: RARE, faults: { drain: (draw) => ({ kind: 'drain', target: drawTarget(draw) }) } },
  {
    chance: RARE,
    faults: {
      clock: (draw) => ({ kind: 'clock', target: drawTarget(draw), byMs: drawJump(draw.random) }),
      drift: (draw) => ({ kind: 'drift', target: drawTarget(draw), rate: draw.random.between(-RATE_MAX, RATE_MAX) }),
    },
  },
  { chance: RARE, faults: { split: drawSplit }, isMomentary: true },
]

/** The names of all faults there are. */
export const FAULT_NAMES: readonly string[] = groups.flatMap(({ faults }) => Object.keys(faults))

/** A fault by its name. */
export function drawDeed(name: string, draw: DeedDraw): { readonly deed: Deed; readonly isMomentary: boolean } {
  for (const { faults, isMomentary = false } of groups) {
    const make = faults[name]
    if (make !== undefined) return { deed: make(draw), isMomentary }
  }
  throw new RangeError(`there is no fault '${name}'; there are ${FAULT_NAMES.join(', ')}`)
}

/** At a key that does not part a pair. */
export function drawSplit({ random }: Pick<DeedDraw, 'random'>): Deed {
  return { kind: 'split', key: registerAt(1 + random.below(REGISTERS - 1)) }
}

/** How links behave; `badness` from 0 to 1. */
export function drawQuality(random: SeededRandom, badness: number): LinkQuality {
  return {
    delayMs: random.between(0.05, 0.5 + 10 * badness),
    jitterMs: random.between(0, 1 + 20 * badness),
    loss: random.chance(0.5) ? random.between(0, 0.15 * badness) : 0,
    duplicate: random.chance(0.5) ? random.between(0, 0.1 * badness) : 0,
    straggle: random.chance(0.5) ? random.between(0, 0.1 * badness) : 0,
    straggleMs: random.between(10, 400),
  }
}

function drawTarget(draw: DeedDraw): Target {
  return draw.random.chance(0.6) ? 'leader' : drawNode(draw)
}

function drawNode({ random, nodes }: DeedDraw): number {
  return 1 + random.below(nodes)
}

/** One less than half. */
function drawMinority(draw: DeedDraw): Target[] {
  const first = drawNode(draw)
  return Array.from({ length: (draw.nodes - 1) >> 1 }, (_, at) => 1 + ((first - 1 + at) % draw.nodes))
}

/** Of less than four nodes each is beside all others. */
function drawPartial({ random, nodes }: DeedDraw): PartitionShape {
  return nodes > 3 && random.chance(0.5) ? 'ring' : 'bridge'
}

function drawFlapping(draw: DeedDraw): Deed {
  const { random } = draw
  const shape = random.pick(['isolate', 'peers', 'deaf', 'mute', 'pair'] as const)
  return { kind: 'partition', shape, targets: [drawTarget(draw)], flapMs: Math.round(random.between(20, 700)) }
}

function drawWay({ random }: DeedDraw): 'in' | 'out' {
  return random.chance(0.5) ? 'in' : 'out'
}

/** A majority, or all. */
function drawMany({ random, nodes }: DeedDraw): Target[] {
  const count = random.chance(0.5) ? nodes : (nodes >> 1) + 1
  const first = random.below(nodes)
  return Array.from({ length: count }, (_, at) => 1 + ((first + at) % nodes))
}

/** A little, some seconds, or an hour; either way. */
function drawJump(random: SeededRandom): number {
  const size = random.pick([300, 5_000, 3_600_000])
  return Math.round(random.between(0.5, 1) * size) * (random.chance(0.5) ? 1 : -1)
}
