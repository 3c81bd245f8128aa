// npm run rot [-- --keys N]
import Table from 'cli-table3'
import { runCommand } from '../command.js'
import { RotRun } from '../runs/rot.js'

const DAMAGED_NODE = 1

await runCommand(
  {
    name: 'rot',
    about:
      'Flips a bit in (and cuts in half) each kind of file of a stopped node, then of another kind on each node; starts it again and compares every answer.',
    settings: {
      keys: { value: 20_000, min: 1_000, max: 10_000_000, about: 'keys before the first damage' },
      from: { value: 1, min: 1, max: 1_000, about: 'first damage of one node' },
      cases: { value: 1_000, min: 1, max: 1_000, about: 'damages of one node at most' },
      all: { value: 3, min: 0, max: 100, about: 'damages of all nodes at once' },
    },
    // On an idle machine a damage takes ten seconds.
    secondsMax: ({ cases, all, keys }) => (Math.min(cases, 100) + all) * (90 + keys / 5_000),
  },
  async ({ keys, from, cases: casesMax, all }, scope) => {
    const violations: string[] = []
    const counts = new Map<string, number>()
    let reads = 0
    let number = from - 1
    let run = await RotRun.begin({ scope, keys })
    const note = async (result: Awaited<ReturnType<RotRun['damageAll']>>): Promise<void> => {
      counts.set(result.comeback, (counts.get(result.comeback) ?? 0) + 1)
      number++
      console.log(`${result.violations.length === 0 ? 'ok  ' : 'FAIL'} ${number}. ${result.what}: ${result.comeback}`)
      violations.push(...result.violations)
      if (result.violations.length > 0) console.log(`     ${result.violations[0]}`)
      if (result.violations.length === 0) return
      // What a failure left behind must not fail the next case.
      reads += run.reads
      await run.finish()
      run = await RotRun.begin({ scope, keys })
    }
    const cases = (await run.cases(DAMAGED_NODE)).slice(from - 1, from - 1 + casesMax)
    for (const each of cases) await note(await run.damageOne(DAMAGED_NODE, each))
    for (let round = 0; round < all; round++) await note(await run.damageAll())
    reads += run.reads
    await run.finish()

    const table = new Table({ style: { head: [], border: [] }, head: ['came back', 'cases'] })
    for (const [comeback, count] of counts) table.push([comeback, count])
    console.log(table.toString())
    console.log(`${cases.length} damages of one node, ${all} of all nodes, ${reads} reads meanwhile`)
    return violations
  },
)
