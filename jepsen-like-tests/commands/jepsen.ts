// npm run jepsen [-- --workload W --nemesis A,B --time S --seed N --nodes 3|5 --out DIR] [-- --ci]
import { join } from 'node:path'
import { runCommand, type Scope, Usage } from '../command.js'
import { inOwnNetwork, makeNetwork } from '../network/index.js'
import { findNemeses, findWorkloads, listing } from '../runner/choices.js'
import { ciBars, ciMixes, type Mix, skipsAllowed } from '../runner/mixes.js'
import { describeResult, summaryTable } from '../runner/report.js'
import { type RunOptions, type RunResult, runJepsen } from '../runner/run.js'

/** A run that somebody watches needs no more than to have seen something. */
const FEW = { ok: 100, keys: 1, okPerKey: 1, readShare: 0, unknownShare: 0 }

const ended = await inOwnNetwork()
if (ended !== null) process.exit(ended)

await runCommand(
  {
    name: 'jepsen',
    about:
      'Real processes on real sockets and disks are troubled while clients write down what they see; then the history is judged.',
    settings: {
      workload: { value: 'register', about: 'what clients do; several with commas' },
      nemesis: { value: 'kill,pause,partition', about: 'what goes wrong; several with commas' },
      time: { value: 30, min: 1, max: 86_400, about: 'seconds in which some fault is in force' },
      seed: { value: 1, min: 0, max: 2 ** 31, about: 'chooses faults and calls' },
      nodes: { value: 3, min: 3, max: 5, about: 'how many, 3 or 5' },
      out: {
        value: '',
        about: 'a folder for history, faults, logs, timeline and summary; without it .holdfast/jepsen/<process id>',
      },
      list: 'what workloads and nemeses there are',
      ci: `${ciMixes.length} runs of fixed mixes, each until it proves enough`,
    },
    secondsMax: ({ ci, time }) => (ci ? ciMixes.length * (ciBars.secondsMax + 180) : 300 + time * 6),
  },
  async ({ workload, nemesis, time, seed, nodes, out, list, ci }, scope) => {
    if (list) {
      console.log(listing())
      process.exit(0)
    }
    if (nodes === 4) throw new Usage('--nodes: expected 3 or 5, got 4')
    const folder = out === '' ? join('.holdfast', 'jepsen', String(process.pid)) : out
    if (ci) return ciRuns({ seed, folder }, scope)
    const options = optionsOf({ workload, nemesis, nodes }, seed)
    const bars = { ...FEW, faultSeconds: time, secondsMax: Math.max(120, 4 * time) }
    const say = (line: string): void => console.log(line)
    const result = await runJepsen({ ...options, out: folder, bars, say }, scope)
    console.log(`\n${describeResult(result, folder)}`)
    return result.findings.map((finding) => finding.what)
  },
)

function optionsOf({ workload, nemesis, nodes }: Mix, seed: number): Omit<RunOptions, 'out' | 'bars'> {
  const workloads = findWorkloads(workload)
  if (workloads.length === 0) throw new Usage('--workload: expected at least one; see --list')
  const name = workloads.map((each) => each.name).join('+')
  return { name, workloads, nemeses: findNemeses(nemesis), nodes, seed, makeNetwork }
}

async function ciRuns({ seed, folder }: { seed: number; folder: string }, scope: Scope): Promise<string[]> {
  const results: RunResult[] = []
  const violations: string[] = []
  for (const [at, mix] of ciMixes.entries()) {
    const out = join(folder, `${at + 1}`)
    const options = optionsOf(mix, seed + at)
    // A group's name means those of its members that this many nodes can have.
    const nemeses = options.nemeses.filter(({ nodesMin = 3 }) => nodesMin <= mix.nodes)
    const result = await runJepsen({ ...options, nemeses, out, bars: ciBars }, scope)
    console.log(`${describeResult(result, out)}\n`)
    results.push(result)
    violations.push(...result.findings.map(({ what }) => `${result.name}: ${what}`), ...wronglySkipped(result))
  }
  console.log(summaryTable(results))
  return violations
}

/** A machine that is to run everything lacks nothing else. */
function wronglySkipped({ skipped }: RunResult): string[] {
  if (process.env.HOLDFAST_CI !== '1') return []
  const wrong = skipped.filter(({ nemesis }) => !skipsAllowed.has(nemesis))
  return wrong.map(({ nemesis, why }) => `${nemesis} was skipped: ${why} (with HOLDFAST_CI=1 a failure)`)
}
