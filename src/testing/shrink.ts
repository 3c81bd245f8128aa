import type { Fault, FaultPlan } from './fault-plan.js'
import { calmLink } from './network.js'
import { usualTuning } from './tuning.js'

export interface ShrinkOptions {
  readonly plan: FaultPlan
  /** Where it failed, in virtual milliseconds: what comes after is left out at once. */
  readonly failedAtMs: number
  /** Runs a plan. Whether it fails in the same way (`kindOfViolation`). */
  fails(plan: FaultPlan): Promise<boolean>
  /** Plans to try at most. Default 150. */
  readonly triesMax?: number
  /** Asked before each try: no time is left. Default: there is always time. */
  isOver?(): boolean
}

/** A plan in which hardly anything can be left out. */
export interface Shrunk {
  readonly plan: FaultPlan
  readonly tries: number
}

/**
 * Looks for a smaller plan that fails in the same way: without most faults (delta debugging, Zeller and Hildebrandt 2002), with fewer
 * clients, fewer ranges, shorter, on a calm network with right clocks. The plan given is taken to fail.
 */
export async function shrinkPlan(options: ShrinkOptions): Promise<Shrunk> {
  const shrinker = new Shrinker(options)
  await shrinker.run()
  return { plan: shrinker.best, tries: shrinker.tries }
}

/** What is the same in two reports of one bug: the first line without its numbers and values. */
export function kindOfViolation(violation: string): string {
  const [first = ''] = violation.split('\n', 1)
  return first.replace(/\b(?:\d[\w./]*|null|true|false)/g, '#').slice(0, KIND_LENGTH_MAX)
}

const TRIES_MAX = 150
const KIND_LENGTH_MAX = 80
/** A fault that is drawn lasts no longer. */
const FAULT_MS_MAX = 4_000
/** Shorter makes no run easier to read. */
const SHORTEST_MS = 50

class Shrinker {
  best: FaultPlan
  tries = 0
  readonly #options: ShrinkOptions

  constructor(options: ShrinkOptions) {
    this.#options = options
    this.best = options.plan
  }

  async run(): Promise<void> {
    await this.#endWhereItFailed()
    let before: FaultPlan
    do {
      before = this.best
      await this.#dropFaults()
      await this.#again(fewerClients)
      await this.#again(fewerRanges)
      await this.#once({ quality: calmLink })
      await this.#once({ tuning: usualTuning })
      await this.#once({ clockOffsetsMs: this.best.clockOffsetsMs.map(() => 0) })
      await this.#shorten()
    } while (this.best !== before)
  }

  async #endWhereItFailed(): Promise<void> {
    const { plan, failedAtMs } = this.#options
    await this.#once({ faults: plan.faults.filter(({ atMs }) => atMs <= failedAtMs) })
    // What would outlast the healing never strikes.
    await this.#once({ healedMs: Math.min(plan.healedMs, Math.ceil(failedAtMs) + FAULT_MS_MAX) })
  }

  /** In halves, then in quarters, down to single faults. */
  async #dropFaults(): Promise<void> {
    for (let size = this.best.faults.length; size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let at = 0; at < this.best.faults.length; ) {
        const { faults } = this.best
        const dropped = await this.#keeps({
          ...this.best,
          faults: [...faults.slice(0, at), ...faults.slice(at + size)],
        })
        if (!dropped) at += size
      }
    }
  }

  /** Each fault by itself, with fewer targets and for less time; then the whole run. */
  async #shorten(): Promise<void> {
    for (let at = 0; at < this.best.faults.length; at++) {
      for (const edit of [withoutPhase, fewerTargets, shorterFault]) {
        await this.#again((plan) => {
          const smaller = edit(plan.faults[at]!)
          return smaller === null ? null : { ...plan, faults: plan.faults.with(at, smaller) }
        })
      }
    }
    await this.#again(shorterRun)
  }

  async #once(edit: Partial<FaultPlan>): Promise<void> {
    const plan = { ...this.best, ...edit }
    if (JSON.stringify(plan) !== JSON.stringify(this.best)) await this.#keeps(plan)
  }

  async #again(edit: (plan: FaultPlan) => FaultPlan | null): Promise<void> {
    for (;;) {
      const plan = edit(this.best)
      if (plan === null || !(await this.#keeps(plan))) return
    }
  }

  /** Takes the plan over if it fails in the same way. */
  async #keeps(plan: FaultPlan): Promise<boolean> {
    const { triesMax = TRIES_MAX, isOver } = this.#options
    if (this.tries >= triesMax || isOver?.() === true) return false
    this.tries++
    if (!(await this.#options.fails(plan))) return false
    this.best = plan
    return true
  }
}

function fewerClients(plan: FaultPlan): FaultPlan | null {
  return plan.clients === 1 ? null : { ...plan, clients: plan.clients >> 1 }
}

function fewerRanges(plan: FaultPlan): FaultPlan | null {
  return plan.ranges === 1 ? null : { ...plan, ranges: plan.ranges >> 1 }
}

/** What brings the phase about may then be left out. */
function withoutPhase(fault: Fault): Fault | null {
  const { during, waitMs: _, ...rest } = fault
  return during === undefined ? null : rest
}

function fewerTargets(fault: Fault): Fault | null {
  if (!('targets' in fault) || fault.targets.length === 1) return null
  return { ...fault, targets: fault.targets.slice(0, fault.targets.length >> 1) }
}

function shorterFault(fault: Fault): Fault | null {
  return fault.forMs <= SHORTEST_MS ? null : { ...fault, forMs: Math.floor(fault.forMs / 2) }
}

/** Healed right after the last fault, or else earlier by and by. */
function shorterRun(plan: FaultPlan): FaultPlan | null {
  const lastEndsMs = Math.max(SHORTEST_MS, ...plan.faults.map(({ atMs, forMs, waitMs = 0 }) => atMs + waitMs + forMs))
  return lastEndsMs >= plan.healedMs ? null : { ...plan, healedMs: Math.max(lastEndsMs, plan.healedMs >> 1) }
}
