// npm run jepsen [-- --workload W --nemesis A,B --time S --seed N --nodes 3|5 --out DIR]
import { join } from 'node:path'
import { runCommand, Usage } from '../command.js'
import { inOwnNetwork, makeNetwork } from '../network/index.js'
import { findNemeses, findWorkloads, listing } from '../runner/choices.js'
import { describeResult } from '../runner/report.js'
import { runJepsen } from '../runner/run.js'

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
      out: { value: '', about: 'a folder for history, faults, logs, timeline and summary' },
      list: 'what workloads and nemeses there are',
    },
    secondsMax: ({ time }) => 300 + time * 6,
  },
  async ({ workload, nemesis, time, seed, nodes, out, list }, scope) => {
    if (list) {
      console.log(listing())
      process.exit(0)
    }
    if (nodes === 4) throw new Usage('--nodes: expected 3 or 5, got 4')
    const chosen = { workloads: findWorkloads(workload), nemeses: findNemeses(nemesis) }
    if (chosen.workloads.length === 0) throw new Usage('--workload: expected at least one; see --list')
    const name = `${chosen.workloads.map((each) => each.name).join('+')}-${seed}`
    const folder = out === '' ? join('.holdfast', 'jepsen', `${name}-${process.pid}`) : out
    const bars = { ...FEW, faultSeconds: time, secondsMax: Math.max(120, 4 * time) }
    const result = await runJepsen({ ...chosen, name, seed, nodes, out: folder, bars, makeNetwork }, scope)
    console.log(describeResult(result, folder))
    return result.findings.map((finding) => finding.what)
  },
)
