import { drawDeed, drawQuality, type FaultGroup, groups } from './deeds.js'
import { drawDirected } from './directed.js'
import type { Fault, FaultPlan } from './fault-plan.js'
import type { SeededRandom } from './random.js'
import { drawTuning } from './tuning.js'

const KiB = 1024
/** Chance that a run has five nodes: it takes twice the time. */
const FIVE = 0.1
/** By then an election that a crash set off has mostly ended. */
const ELECTION_MS = 1_500

export interface PlanBounds {
  /** Default: drawn, mostly 3, at times 5. */
  readonly nodes?: number
  /** Data ranges at the beginning. Default 3. */
  readonly ranges?: number
  /** Default 5. */
  readonly clients?: number
  /** Longest pause of a client between two calls. Default: drawn from 30 to 90. */
  readonly thinkMsMax?: number
  /** Faults strike from `fromMs` on; the last one has ended by `untilMs`. */
  readonly fromMs: number
  readonly untilMs: number
  /** Plans with following numbers go round all faults in all phases. Default: the plan has no fault that waits for a phase. */
  readonly turn?: number
}

interface Stretch {
  readonly nodes: number
  readonly fromMs: number
  readonly untilMs: number
}

/**
 * Two kinds of faults go on beside each other. Some are drawn blindly: which groups a run has, and how often, is itself drawn (swarm
 * testing, Groce et al. 2012). Others are meant for a phase that is brought about for them, so that all meet all phases.
 */
export function drawFaultPlan(random: SeededRandom, bounds: PlanBounds): FaultPlan {
  const { ranges = 3, clients = 5, fromMs, untilMs, turn } = bounds
  const nodes = bounds.nodes ?? (random.fork('nodes').chance(FIVE) ? 5 : 3)
  const stretch = { nodes, fromMs, untilMs }
  const directed = turn === undefined ? [] : drawDirected(random.fork('directed'), { ...stretch, turn })
  const faults = [...drawSwarm(random.fork('swarm'), stretch), ...directed]
  return {
    nodes,
    ranges,
    clients,
    thinkMsMax: bounds.thinkMsMax ?? random.fork('think').between(30, 90),
    faults: faults.sort((a, b) => a.atMs - b.atMs),
    healedMs: untilMs,
    clockOffsetsMs: Array.from({ length: nodes }, () => Math.floor(random.between(-400, 401))),
    syncMsMax: random.pick([0.5, 1, 5, 20]),
    quality: drawQuality(random, 0.3),
    tuning: drawTuning(random.fork('tuning')),
    keptBytesMax: random.pick([0, 16, 64, 512]) * KiB,
    stateSyncEveryBytes: random.pick([64, 256, 1024]) * KiB,
    ...drawKept(random.fork('kept')),
  }
}

function drawKept(random: SeededRandom): Pick<FaultPlan, 'historyKeptMs' | 'sessionKeptMs'> {
  return {
    historyKeptMs: random.pick([2_000, 10_000, 600_000]),
    sessionKeptMs: random.pick([3_000, 8_000, 20_000, 600_000]),
  }
}

function drawSwarm(random: SeededRandom, stretch: Stretch): Fault[] {
  const enabled = groups.filter(({ chance }) => random.chance(chance))
  const gapMs = random.between(800, 6_000)
  const faults: Fault[] = []
  let atMs = stretch.fromMs
  for (;;) {
    atMs += random.between(0.2, 1.8) * gapMs
    const forMs = Math.round(random.between(100, 4_000))
    if (atMs + forMs >= stretch.untilMs) return faults
    const fault = drawFault(random, random.pick(enabled), { atMs: Math.round(atMs), forMs, nodes: stretch.nodes })
    faults.push(fault)
    if (fault.kind === 'crash' && atMs + ELECTION_MS < stretch.untilMs) {
      faults.push(...drawAfterCrash(random, fault, stretch.nodes))
    }
    // Some faults overlap with the next one.
    if (random.chance(0.7)) atMs += fault.forMs
  }
}

function drawFault(
  random: SeededRandom,
  group: FaultGroup,
  { atMs, forMs, nodes }: { atMs: number; forMs: number; nodes: number },
): Fault {
  const { deed, isMomentary } = drawDeed(random.pick(Object.keys(group.faults)), { random, nodes })
  return { atMs, forMs: isMomentary ? 0 : forMs, ...deed }
}

/** Short crashes while the others elect a leader: votes and terms must outlive them. */
function drawAfterCrash(random: SeededRandom, { atMs }: Fault, nodes: number): Fault[] {
  const count = random.chance(0.5) ? 0 : 1 + random.below(3)
  return Array.from({ length: count }, () => ({
    atMs: Math.round(atMs + random.between(0, ELECTION_MS - 200)),
    forMs: 1 + random.below(150),
    kind: 'crash',
    targets: [1 + random.below(nodes)],
  }))
}
