// npm run jepsen:soak [-- --minutes N --seed N --out DIR]
import { join } from 'node:path'
import { runCommand } from '../command.js'
import { allNemeses } from '../nemeses/index.js'
import type { Nemesis } from '../nemeses/types.js'
import { inOwnNetwork, makeNetwork } from '../network/index.js'
import { pick, seeded, shuffled } from '../random.js'
import { soakBars } from '../runner/mixes.js'
import { describeResult, summaryTable } from '../runner/report.js'
import { type RunResult, runJepsen } from '../runner/run.js'
import { workloads } from '../workloads/index.js'
import { register } from '../workloads/register.js'

const NEMESES = [2, 3, 4, 6]
const OTHERS = [0, 1, 2]

const ended = await inOwnNetwork()
if (ended !== null) process.exit(ended)

await runCommand(
  {
    name: 'jepsen:soak',
    about: 'One jepsen run after the other, each with workloads, nemeses and a number of nodes of its own choice.',
    settings: {
      minutes: { value: 60, min: 1, max: 10_000, about: 'no run begins after that' },
      seed: { value: 1, min: 0, max: 2 ** 31, about: 'of the first run; each has the next one' },
      out: {
        value: '',
        about: 'a folder for what the runs leave, a folder each; without it .holdfast/jepsen/soak-<process id>',
      },
    },
    secondsMax: ({ minutes }) => minutes * 60 + soakBars.secondsMax + 600,
  },
  async ({ minutes, seed, out }, scope) => {
    const untilMs = performance.now() + minutes * 60_000
    const folder = out === '' ? join('.holdfast', 'jepsen', `soak-${process.pid}`) : out
    const results: RunResult[] = []
    for (let at = 0; performance.now() < untilMs; at++) {
      const random = seeded(seed + at)
      const nodes = pick(random, [3, 3, 5])
      const others = workloads.filter((workload) => workload !== register)
      const chosen = [register, ...shuffled(random, others).slice(0, pick(random, OTHERS))]
      const options = {
        name: `${at + 1}:${chosen.map(({ name }) => name).join('+')}`,
        workloads: chosen,
        nemeses: shuffled(random, fitting(nodes)).slice(0, pick(random, NEMESES)),
        seed: seed + at,
        nodes,
        out: join(folder, String(at + 1)),
        bars: soakBars,
        makeNetwork,
      }
      const result = await runJepsen(options, scope)
      console.log(`${describeResult(result, options.out)}\n`)
      results.push(result)
    }
    console.log(summaryTable(results))
    return results.flatMap(({ findings, name }) => findings.map(({ what }) => `${name}: ${what}`))
  },
)

function fitting(nodes: number): Nemesis[] {
  return allNemeses().filter(({ nodesMin = 3 }) => nodesMin <= nodes)
}
