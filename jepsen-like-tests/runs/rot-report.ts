import Table from 'cli-table3'
import type { RotResult } from './rot.js'

interface Counts {
  damages: number
  alone: number
  commanded: number
  violated: number
}

/** What came of each damage, by kind. */
export class RotReport {
  readonly violations: string[] = []
  /** What could not be compared in time, as on a machine that is busy with other things. */
  readonly undecided: string[] = []
  readonly #byKind = new Map<string, Counts>()
  readonly #begin = performance.now()
  reads = 0

  add({ kind, what, comebacks, violations }: RotResult, number: number): void {
    const counts = this.#byKind.get(kind) ?? { damages: 0, alone: 0, commanded: 0, violated: 0 }
    this.#byKind.set(kind, counts)
    counts.damages++
    if (violations.length > 0) counts.violated++
    else if (comebacks.includes('by command')) counts.commanded++
    else counts.alone++
    this.violations.push(...violations)
    const how = violations.length > 0 ? violations[0] : comebacks.join(', ')
    console.log(`${violations.length === 0 ? 'ok  ' : 'FAIL'} ${number}. ${what}: ${how}`)
  }

  print(): void {
    const head = ['damaged', 'times', 'came back by itself', 'by the command it named', 'violations']
    const table = new Table({ style: { head: [], border: [] }, head })
    const total: Counts = { damages: 0, alone: 0, commanded: 0, violated: 0 }
    for (const [kind, counts] of this.#byKind) {
      table.push([kind, counts.damages, counts.alone, counts.commanded, counts.violated])
      for (const name of Object.keys(total) as (keyof Counts)[]) total[name] += counts[name]
    }
    table.push(['all', total.damages, total.alone, total.commanded, total.violated])
    console.log(table.toString())
    for (const what of this.undecided) console.log(`undecided: ${what}`)
    const minutes = ((performance.now() - this.#begin) / 60_000).toFixed(1)
    console.log(`${this.reads} reads compared while nodes were down or coming back, ${minutes} minutes`)
  }
}
