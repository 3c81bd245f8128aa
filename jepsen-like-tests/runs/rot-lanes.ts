import type { Scope } from '../command.js'
import { type RotResult, RotRun } from './rot.js'
import type { RotReport } from './rot-report.js'

type Work = (run: RotRun) => Promise<RotResult>

/** One cluster takes damage after damage; what a failure left behind must not fail the next one. */
export async function lane(
  begun: RotRun,
  work: WorkList,
  report: RotReport,
  fresh: { scope: Scope; keys: number },
): Promise<void> {
  let run = begun
  for (let next = work.take(); next !== null; next = work.take()) {
    const result = await next.action(run)
    const violations = [...result.violations]
    if (violations.length === 0 && next.everyWay) {
      const { differences, notLed } = await run.checkEveryWay(work.damagedNode)
      violations.push(...differences.map((difference) => `${result.what}: ${difference}`))
      if (notLed !== null) report.undecided.push(`${result.what}: ${notLed}`)
    }
    report.add({ ...result, violations }, next.number)
    if (violations.length === 0) continue
    console.log(`     what its nodes said: ${await run.keepLogs()}`)
    report.reads += run.reads
    await run.finish()
    run = await RotRun.begin(fresh)
  }
  report.reads += run.reads
  await run.finish()
}

export class WorkList {
  /** Which node of each cluster is damaged. */
  readonly damagedNode: number
  readonly #items: { number: number; action: Work; everyWay: boolean }[] = []
  #taken = 0

  constructor(damagedNode: number) {
    this.damagedNode = damagedNode
  }

  add(action: Work, everyWay = false): void {
    this.#items.push({ number: this.#items.length + 1, action, everyWay })
  }

  take(): { number: number; action: Work; everyWay: boolean } | null {
    return this.#items[this.#taken++] ?? null
  }
}
