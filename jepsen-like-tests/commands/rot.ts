// npm run rot [-- --keys N]
import { runCommand } from '../command.js'
import { RotRun } from '../runs/rot.js'
import { ROUNDS, type RotCase } from '../runs/rot-cases.js'
import { lane, WorkList } from '../runs/rot-lanes.js'
import { RotReport } from '../runs/rot-report.js'

const DAMAGED_NODE = 1

await runCommand(
  {
    name: 'rot',
    about:
      'Flips a bit in (and cuts in half) each kind of file of a stopped node, and tables under a running one; then another kind on each ' +
      'node. Starts them again and compares every answer.',
    settings: {
      keys: { value: 20_000, min: 1_000, max: 10_000_000, about: 'keys before the first damage' },
      from: { value: 1, min: 1, max: 1_000, about: 'first damage of one node' },
      cases: { value: 1_000, min: 0, max: 1_000, about: 'damages of one stopped node at most' },
      running: { value: 3, min: 0, max: 100, about: 'damages of each kind under a running node' },
      all: { value: ROUNDS.length, min: 0, max: 100, about: 'damages of all nodes at once' },
      lanes: { value: 2, min: 1, max: 16, about: 'clusters at once' },
    },
    // On an idle machine a damage takes four seconds.
    secondsMax: ({ cases, running, all, keys }) => (Math.min(cases, 100) + 2 * running + all) * (60 + keys / 5_000),
  },
  async ({ keys, from, cases: casesMax, running, all, lanes }, scope) => {
    const report = new RotReport()
    const work = new WorkList(DAMAGED_NODE)
    const first = await RotRun.begin({ scope, keys })
    const cases = (await first.cases(DAMAGED_NODE)).slice(from - 1, from - 1 + casesMax)
    for (const each of cases) work.add((run) => run.damageOne(DAMAGED_NODE, each), leadsAfter(each, cases))
    for (let n = 0; n < running; n++) {
      work.add((run) => run.cutRunning(DAMAGED_NODE))
      work.add((run) => run.flipRunning(DAMAGED_NODE))
    }
    for (let round = 0; round < all; round++) work.add((run) => run.damageRound(round), true)
    const others = Array.from({ length: lanes - 1 }, () => RotRun.begin({ scope, keys }))
    await Promise.all([first, ...others].map(async (run) => lane(await run, work, report, { scope, keys })))
    report.print()
    return report.violations
  },
)

/** The heavier comparison, while the damaged node leads: at damage in the middle of the log, and at the last one of each kind. */
function leadsAfter(each: RotCase, cases: readonly RotCase[]): boolean {
  const isInLog = each.kind === 'log segment' && each.place === 'middle'
  return isInLog || cases.findLast(({ kind }) => kind === each.kind) === each
}
