import type { Fault } from './fault-plan.js'
import type { Phase } from './phases.js'
import type { Scheduler } from './scheduler.js'

/** The shortest phase, a split, lasts a few milliseconds. */
const LOOK_EVERY_MS = 2

interface Waiting {
  readonly fault: Fault
  readonly untilMs: number
}

export interface WaitingFaultsOptions {
  readonly scheduler: Scheduler
  isIn(phase: Phase): boolean
  /** Returns whether it took effect. */
  strike(fault: Fault): boolean
}

/** Faults that wait for a phase, or until somebody may be harmed again. */
export class WaitingFaults {
  readonly #options: WaitingFaultsOptions
  #waiting: Waiting[] = []
  #willLook = false
  /** What was found out about the present moment, in which nothing has been done since. */
  readonly #known = new Map<Phase, boolean>()

  constructor(options: WaitingFaultsOptions) {
    this.#options = options
  }

  /** Strikes as soon as it takes effect, at `untilMs` at the latest. */
  add(fault: Fault, untilMs: number): void {
    this.#known.clear()
    if (this.#isOver({ fault, untilMs })) return
    this.#waiting.push({ fault, untilMs })
    this.#lookLater()
  }

  #lookLater(): void {
    if (this.#willLook || this.#waiting.length === 0) return
    this.#willLook = true
    this.#options.scheduler.schedule(LOOK_EVERY_MS, () => this.#look())
  }

  #look(): void {
    this.#willLook = false
    this.#known.clear()
    this.#waiting = this.#waiting.filter((waiting) => !this.#isOver(waiting))
    this.#lookLater()
  }

  #isOver({ fault, untilMs }: Waiting): boolean {
    if (this.#options.scheduler.nowMs > untilMs) return true
    if (fault.during !== undefined && !this.#isIn(fault.during)) return false
    const tookEffect = this.#options.strike(fault)
    this.#known.clear()
    return tookEffect
  }

  #isIn(phase: Phase): boolean {
    const known = this.#known.get(phase) ?? this.#options.isIn(phase)
    this.#known.set(phase, known)
    return known
  }
}
