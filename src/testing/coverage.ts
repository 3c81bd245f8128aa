import { PHASES, type Phase } from './phases.js'

/** How often each fault took effect in each phase, by the fault's name. A fault counts once for every phase the cluster was in. */
export type CoverageTable = Readonly<Record<string, Readonly<Partial<Record<Phase, number>>>>>

/** Counts faults by the phases in which they took effect. */
export class Coverage {
  readonly #counts = new Map<string, Map<Phase, number>>()

  took(name: string, phases: readonly Phase[]): void {
    for (const phase of phases) this.#add(name, phase, 1)
  }

  addAll(table: CoverageTable): void {
    for (const [name, counts] of Object.entries(table)) {
      for (const phase of PHASES) this.#add(name, phase, counts[phase] ?? 0)
    }
  }

  count(name: string, phase: Phase): number {
    return this.#counts.get(name)?.get(phase) ?? 0
  }

  /** Plain data, in an order of its own. */
  get table(): CoverageTable {
    const rows = [...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1))
    return Object.fromEntries(rows.map(([name, counts]) => [name, Object.fromEntries(counts)]))
  }

  #add(name: string, phase: Phase, count: number): void {
    if (count === 0) return
    let counts = this.#counts.get(name)
    if (counts === undefined) {
      counts = new Map()
      this.#counts.set(name, counts)
    }
    counts.set(phase, (counts.get(phase) ?? 0) + count)
  }
}
