import type { LinkQuality } from './network.js'
import type { SeededRandom } from './random.js'

/** Which node a fault hits: a number, or the node that leads the most ranges when it strikes. */
export type Target = number | 'leader'

/** One fault of a plan. Times are virtual milliseconds from the start of the run. */
export type Fault =
  /** The process ends like kill -9 and power loss in one: unsynced writes are lost. It starts again after `forMs`. */
  | { readonly kind: 'crash'; readonly atMs: number; readonly forMs: number; readonly targets: readonly Target[] }
  /** The process stands still and then goes on, as after SIGSTOP and SIGCONT. */
  | { readonly kind: 'pause'; readonly atMs: number; readonly forMs: number; readonly targets: readonly Target[] }
  /**
   * 'isolate': the target from all other nodes and from clients. 'peers': only from the other nodes. 'deaf': the target
   * hears no other node; 'mute': no other node hears it. 'pair': the target and the node after it from each other.
   */
  | {
      readonly kind: 'partition'
      readonly atMs: number
      readonly forMs: number
      readonly shape: 'isolate' | 'peers' | 'deaf' | 'mute' | 'pair'
      readonly targets: readonly Target[]
    }
  /** All links behave like this for a while. */
  | { readonly kind: 'links'; readonly atMs: number; readonly forMs: number; readonly quality: LinkQuality }

/** Everything that goes wrong in a run, drawn before it. Plain data: it can be printed, kept and edited. */
export interface FaultPlan {
  readonly nodes: number
  readonly faults: readonly Fault[]
  /** From here on nothing goes wrong any more: all links are open, all nodes run. */
  readonly healedMs: number
  /** Each node's wall clock is off by this much, in milliseconds. */
  readonly clockOffsetsMs: readonly number[]
  /** A sync of the log takes up to this long, in milliseconds. */
  readonly syncMsMax: number
  /** Links between the faults. */
  readonly quality: LinkQuality
}

const kinds: readonly Fault['kind'][] = ['crash', 'pause', 'partition', 'links']
/** By then an election that a crash set off has mostly ended. */
const ELECTION_MS = 1_500
const shapes = ['isolate', 'peers', 'deaf', 'mute', 'pair'] as const

export interface PlanBounds {
  readonly nodes: number
  /** Faults strike from `fromMs` on; the last one has ended by `untilMs`. */
  readonly fromMs: number
  readonly untilMs: number
}

/** Which kinds of fault a run has, and how often, is itself drawn (swarm testing, Groce et al. 2012). */
export function drawFaultPlan(random: SeededRandom, { nodes, fromMs, untilMs }: PlanBounds): FaultPlan {
  const enabled = kinds.filter(() => random.chance(0.75))
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
  return {
    nodes,
    faults,
    healedMs: untilMs,
    clockOffsetsMs: Array.from({ length: nodes }, () => Math.round(random.between(-400, 400))),
    syncMsMax: random.pick([0.5, 1, 5, 20]),
    quality: drawQuality(random, 0.3),
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

function drawFault(
  random: SeededRandom,
  { kind, atMs, forMs, nodes }: { kind: Fault['kind']; atMs: number; forMs: number; nodes: number },
): Fault {
  switch (kind) {
    case 'crash':
      return { kind, atMs, forMs, targets: drawTargets(random, nodes) }
    case 'pause':
      return { kind, atMs, forMs, targets: [drawTarget(random, nodes)] }
    case 'partition':
      return { kind, atMs, forMs, shape: random.pick(shapes), targets: [drawTarget(random, nodes)] }
    case 'links':
      return { kind, atMs, forMs, quality: drawQuality(random, 1) }
  }
}

function drawTarget(random: SeededRandom, nodes: number): Target {
  return random.chance(0.6) ? 'leader' : 1 + random.below(nodes)
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

/** One line per fault. */
export function describePlan(plan: FaultPlan): string {
  const lines = plan.faults.map((fault) => `  ${describeFault(fault)}`)
  const rest = `clocks off by ${plan.clockOffsetsMs.join(', ')} ms, syncs up to ${plan.syncMsMax} ms`
  return [...lines, `  ${plan.healedMs} healed`, `  ${rest}, links ${describeQuality(plan.quality)}`].join('\n')
}

export function describeFault(fault: Fault): string {
  const when = `${fault.atMs}..${fault.atMs + fault.forMs}`
  switch (fault.kind) {
    case 'crash':
    case 'pause':
      return `${when} ${fault.kind} ${fault.targets.join(' ')}`
    case 'partition':
      return `${when} partition ${fault.shape} ${fault.targets.join(' ')}`
    case 'links':
      return `${when} links ${describeQuality(fault.quality)}`
  }
}

function describeQuality(quality: LinkQuality): string {
  return Object.entries(quality)
    .map(([name, value]) => `${name} ${Math.round(value * 1000) / 1000}`)
    .join(', ')
}
