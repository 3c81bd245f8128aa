import type { OwnEnd } from '../ends.js'
import type { HistoryLog } from '../history.js'
import type { Battlefield, Family, Nemesis, Strike } from '../nemeses/types.js'
import type { NodeProcess } from '../processes.js'
import { between, pick } from '../random.js'

const FAULT_MS = { from: 1_000, to: 3_500 }
const CALM_MS = { from: 200, to: 1_500 }
/** How often a second nemesis of another family joins in. */
const SECOND_SHARE = 0.3
/** After a strike that could not take effect. */
const RETRY_MS = 200
/**
 * Most faults begin when clients have been served again: one that strikes a cluster that is down shows little. The others
 * disturb a recovery.
 */
const SERVED = { share: 0.8, calls: 60, withinMs: 20_000, lookEveryMs: 100 }

/** One fault that was in force, in nanoseconds of the history. */
export interface FaultLine {
  readonly nemesis: string
  readonly what: string
  readonly start_ns: number
  /** When all of it was undone. */
  end_ns: number
}

/** One fault after the other, sometimes two of different kinds at once, each healed. */
export class Storm {
  readonly faults: FaultLine[] = []
  readonly #nemeses: readonly Nemesis[]
  readonly #field: Battlefield
  readonly #history: HistoryLog
  /** Those not yet struck in this round: each comes once before one comes again. */
  #due: Nemesis[] = []
  /** Those that could not take effect when their turn came, and have another one in this round. */
  readonly #again = new Set<Nemesis>()
  readonly #mayEnd: (NonNullable<Strike['mayEnd']> & { readonly sinceMs: number })[] = []
  #isOver = false
  #faultMs = 0
  #inForce = 0
  #sinceMs = 0
  readonly #wait: (ms: number) => Promise<void>
  readonly #served: () => number
  readonly #struck: (fault: FaultLine) => void

  constructor(options: {
    nemeses: readonly Nemesis[]
    field: Battlefield
    history: HistoryLog
    /** Calls of clients that have ended well. */
    served: () => number
    /** Told of each fault that takes effect. Default: nobody is. */
    struck?: (fault: FaultLine) => void
    /** Default: with a timer. */
    wait?: (ms: number) => Promise<void>
  }) {
    this.#nemeses = options.nemeses
    this.#field = options.field
    this.#history = options.history
    this.#served = options.served
    this.#struck = options.struck ?? (() => {})
    this.#wait = options.wait ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms)))
  }

  /** Milliseconds in which at least one fault was in force and not being healed yet. */
  get faultMs(): number {
    return this.#faultMs + (this.#inForce > 0 ? performance.now() - this.#sinceMs : 0)
  }

  /** How often each nemesis took effect. */
  counts(): Record<string, number> {
    const counts = Object.fromEntries(this.#nemeses.map(({ name }) => [name, 0]))
    for (const { nemesis } of this.faults) counts[nemesis]!++
    return counts
  }

  /** Those that never took effect: of them the run proves nothing. */
  get unseen(): string[] {
    return Object.entries(this.counts()).flatMap(([name, count]) => (count === 0 ? [name] : []))
  }

  /** The node ended of a fault that struck it before. What a fault did to a disk may show long after it was healed. */
  explains(node: NodeProcess, { atMs, said }: OwnEnd): boolean {
    return this.#mayEnd.some(
      ({ nodes, saying, sinceMs }) => nodes.includes(node) && sinceMs <= atMs && saying.test(said),
    )
  }

  /** Goes on until `over`; resolves when everything is healed. `lookAfter` comes before each strike, and when all is healed. */
  async run(lookAfter: () => void): Promise<void> {
    const { random } = this.#field
    while (!this.#isOver && this.#nemeses.length > 0) {
      lookAfter()
      const first = this.#next(null)!
      const second = random() < SECOND_SHARE ? this.#next(first.family) : null
      const struck = await Promise.all([first, ...(second === null ? [] : [second])].map((each) => this.#strike(each)))
      lookAfter()
      await this.#wait(struck.includes(true) ? between(random, CALM_MS) : RETRY_MS)
      if (random() < SERVED.share) await this.#untilServed()
    }
  }

  async #untilServed(): Promise<void> {
    const goal = this.#served() + SERVED.calls
    for (let waitedMs = 0; !this.#isOver && this.#served() < goal && waitedMs < SERVED.withinMs; ) {
      await this.#wait(SERVED.lookEveryMs)
      waitedMs += SERVED.lookEveryMs
    }
  }

  /** No new fault begins. */
  over(): void {
    this.#isOver = true
  }

  /** null: all that are due are of that family. */
  #next(not: Family | null): Nemesis | null {
    if (this.#due.length === 0) this.#due = [...this.#nemeses]
    const fitting = this.#due.filter(({ family }) => family !== not)
    if (fitting.length === 0) return null
    const chosen = pick(this.#field.random, fitting)
    this.#due = this.#due.filter((nemesis) => nemesis !== chosen)
    return chosen
  }

  async #strike(nemesis: Nemesis): Promise<boolean> {
    const start_ns = this.#history.now()
    const sinceMs = performance.now()
    const strike = await nemesis.strike(this.#field)
    if (strike === null) {
      if (this.#again.delete(nemesis)) return false
      this.#again.add(nemesis)
      this.#due.push(nemesis)
      return false
    }
    this.#again.delete(nemesis)
    if (strike.mayEnd !== undefined) this.#mayEnd.push({ ...strike.mayEnd, sinceMs })
    const fault: FaultLine = { nemesis: nemesis.name, what: strike.what, start_ns, end_ns: start_ns }
    this.faults.push(fault)
    this.#struck(fault)
    if (this.#inForce++ === 0) this.#sinceMs = performance.now()
    await this.#wait(between(this.#field.random, FAULT_MS))
    // What healing takes, an orderly restart of every node, say, must not use up the time that others are due.
    if (--this.#inForce === 0) this.#faultMs += performance.now() - this.#sinceMs
    await strike.heal()
    fault.end_ns = this.#history.now()
    return true
  }
}
