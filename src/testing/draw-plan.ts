import type { Fault, FaultPlan, Target } from './fault-plan.js'
import type { LinkQuality } from './network.js'
import type { SeededRandom } from './random.js'
import { REGISTERS, registerAt } from './workload.js'

const KiB = 1024
const common = ['crash', 'pause', 'partition', 'links'] as const
const rare = ['harm', 'full', 'hang', 'transfer', 'drain', 'clock'] as const
type DrawnKind = (typeof common)[number] | (typeof rare)[number]
const harms = ['wiped', 'state lost', 'entry rotten', 'log rotten', 'record rotten'] as const
/** By then an election that a crash set off has mostly ended. */
const ELECTION_MS = 1_500
const shapes = ['isolate', 'peers', 'deaf', 'mute', 'pair'] as const

export interface PlanBounds {
  /** Default 3. */
  readonly nodes?: number
  /** Data ranges at the beginning. Default 3. */
  readonly ranges?: number
  /** Default 4. */
  readonly clients?: number
  /** Longest pause of a client between two calls. Default: drawn from 50 to 200. */
  readonly thinkMsMax?: number
  /** Faults strike from `fromMs` on; the last one has ended by `untilMs`. */
  readonly fromMs: number
  readonly untilMs: number
}

/** Which kinds of fault a run has, and how often, is itself drawn (swarm testing, Groce et al. 2012). */
export function drawFaultPlan(random: SeededRandom, bounds: PlanBounds): FaultPlan {
  const { nodes = 3, ranges = 3, clients = 4, fromMs, untilMs } = bounds
  const enabled: DrawnKind[] = [...common.filter(() => random.chance(0.75)), ...rare.filter(() => random.chance(0.4))]
  // Every run has crashes: what is never restarted proves little.
  if (!enabled.includes('crash')) enabled.push('crash')
  const gapMs = random.between(500, 3_000)
  const faults: Fault[] = []
  let atMs = fromMs
  for (;;) {
    atMs += random.between(0.2, 1.8) * gapMs
    const forMs = Math.round(random.between(100, 4_000))
    if (atMs + forMs >= untilMs) break
    const fault = drawFault(random, { kind: random.pick(enabled), atMs: Math.round(atMs), forMs, nodes })
    faults.push(fault)
    if (fault.kind === 'crash' && atMs + ELECTION_MS < untilMs) faults.push(...drawAfterCrash(random, fault, nodes))
    // Some faults overlap with the next one.
    if (random.chance(0.7)) atMs += forMs
  }
  faults.push(...drawSplits(random.fork('splits'), bounds))
  return {
    nodes,
    ranges,
    clients,
    thinkMsMax: bounds.thinkMsMax ?? random.fork('think').between(50, 200),
    faults: faults.sort((a, b) => a.atMs - b.atMs),
    healedMs: untilMs,
    clockOffsetsMs: Array.from({ length: nodes }, () => Math.round(random.between(-400, 400))),
    syncMsMax: random.pick([0.5, 1, 5, 20]),
    quality: drawQuality(random, 0.3),
    keptBytesMax: random.pick([0, 16, 64, 512]) * KiB,
    stateSyncEveryBytes: random.pick([64, 256, 1024]) * KiB,
  }
}

/** Short crashes while the others elect a leader: votes and terms must outlive them. */
function drawAfterCrash(random: SeededRandom, { atMs }: Fault, nodes: number): Fault[] {
  const count = random.chance(0.5) ? 0 : 1 + random.below(3)
  return Array.from({ length: count }, () => ({
    kind: 'crash',
    atMs: Math.round(atMs + random.between(0, ELECTION_MS - 200)),
    forMs: 1 + random.below(150),
    targets: [1 + random.below(nodes)],
  }))
}

/** Up to three, at keys that do not part a pair. */
function drawSplits(random: SeededRandom, { fromMs, untilMs }: PlanBounds): Fault[] {
  return Array.from({ length: random.below(4) }, () => ({
    kind: 'split',
    atMs: Math.round(random.between(fromMs / 2, untilMs)),
    forMs: 0,
    key: registerAt(1 + random.below(REGISTERS - 1)),
  }))
}

function drawFault(
  random: SeededRandom,
  { kind, atMs, forMs, nodes }: { kind: DrawnKind; atMs: number; forMs: number; nodes: number },
): Fault {
  switch (kind) {
    case 'crash':
      return { kind, atMs, forMs, targets: drawTargets(random, nodes) }
    case 'pause':
      return { kind, atMs, forMs, targets: [drawTarget(random, nodes)], suspended: random.chance(0.3) }
    case 'partition':
      return { kind, atMs, forMs, shape: random.pick(shapes), targets: [drawTarget(random, nodes)] }
    case 'links':
      return { kind, atMs, forMs, quality: drawQuality(random, 1) }
    case 'harm':
      return { kind, atMs, forMs, harm: random.pick(harms), target: drawTarget(random, nodes) }
    case 'full':
    case 'hang':
    case 'drain':
      return { kind, atMs, forMs, target: drawTarget(random, nodes) }
    case 'transfer':
      return { kind, atMs, forMs: 0, target: 'leader' }
    case 'clock':
      return { kind, atMs, forMs, target: drawTarget(random, nodes), byMs: drawJump(random) }
  }
}

function drawTarget(random: SeededRandom, nodes: number): Target {
  return random.chance(0.6) ? 'leader' : 1 + random.below(nodes)
}

/** A little, some seconds, or an hour; either way. */
function drawJump(random: SeededRandom): number {
  const size = random.pick([300, 5_000, 3_600_000])
  return Math.round(random.between(0.5, 1) * size) * (random.chance(0.5) ? 1 : -1)
}

/** Mostly one node, at times a majority, at times all. */
function drawTargets(random: SeededRandom, nodes: number): Target[] {
  if (random.chance(0.75)) return [drawTarget(random, nodes)]
  const count = random.chance(0.5) ? nodes : (nodes >> 1) + 1
  const first = random.below(nodes)
  return Array.from({ length: count }, (_, at) => 1 + ((first + at) % nodes))
}

function drawQuality(random: SeededRandom, badness: number): LinkQuality {
  return {
    delayMs: random.between(0.05, 0.5 + 10 * badness),
    jitterMs: random.between(0, 1 + 20 * badness),
    loss: random.chance(0.5) ? random.between(0, 0.15 * badness) : 0,
    duplicate: random.chance(0.5) ? random.between(0, 0.1 * badness) : 0,
    straggle: random.chance(0.5) ? random.between(0, 0.1 * badness) : 0,
    straggleMs: random.between(10, 400),
  }
}
