import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { HoldfastError } from '../../src/client/index.js'
import { parseHistory } from '../../src/testing/index.js'
import { Scope } from '../command.js'
import type { Nemesis, Strike } from '../nemeses/types.js'
import { ProxyNetwork } from '../network/proxies.js'
import { eventually, type NodeProcess } from '../processes.js'
import { findNemeses, findWorkloads } from '../runner/choices.js'
import { summaryTable } from '../runner/report.js'
import { type RunOptions, runJepsen } from '../runner/run.js'
import type { Workload } from '../workloads/types.js'

const BARS = { faultSeconds: 6, ok: 800, keys: 6, okPerKey: 30, readShare: 0.4, unknownShare: 0, secondsMax: 60 }

let out = ''
let scope = new Scope()
beforeEach(async () => {
  out = await mkdtemp(join(tmpdir(), 'holdfast-jepsen-'))
})
afterEach(async () => {
  await scope.close()
  scope = new Scope()
  await rm(out, { recursive: true, force: true })
})

function options(nemeses: readonly Nemesis[]): RunOptions {
  return {
    name: 'a run for this test',
    workloads: findWorkloads('register'),
    nemeses,
    seed: 1,
    nodes: 3,
    out,
    bars: { ...BARS, faultSeconds: 1, ok: 1, keys: 1, okPerKey: 1, secondsMax: 20 },
    makeNetwork: (made) => ProxyNetwork.make(made),
  }
}

function nemesis(name: string, strike: Nemesis['strike']): Nemesis {
  return { name, about: '', family: 'processes', whyNot: async () => null, strike }
}

it('registers stay linearizable and a set complete, while processes are killed and paused and a leader is cut off', async () => {
  const nemeses = findNemeses('kill-one,kill-all,pause-leader,partition-leader')
  const result = await runJepsen({ ...options(nemeses), workloads: findWorkloads('register,set'), bars: BARS }, scope)
  expect(result.findings).toEqual([])
  // What it leaves is what it saw.
  const history = parseHistory(await readFile(join(out, 'history.jsonl'), 'utf8'))
  expect(history.length).toBe(result.history.operations.length)
  const faults = (await readFile(join(out, 'faults.jsonl'), 'utf8')).trimEnd().split('\n')
  expect(faults.length).toBe(result.storm.faults.length)
  expect((await readdir(out)).sort()).toEqual([
    'faults.jsonl',
    'history.jsonl',
    'node-1.log',
    'node-2.log',
    'node-3.log',
    'summary.json',
    'timeline.html',
  ])
})

const PASSED_OVER =
  'a node that ends by itself, what a nemesis is told, and a nemesis that never takes effect are not passed over'

it.runIf(process.env.HOLDFAST_CI === '1')(`${PASSED_OVER} (half a minute: with HOLDFAST_CI=1 only)`, async () => {
  let isDone = false
  const fell = nemesis('fell', async ({ cluster, failed }): Promise<Strike | null> => {
    if (isDone) return null
    isDone = true
    failed(new HoldfastError('INTERNAL', 'a contradiction', { mayHaveBeenApplied: false }))
    const [node] = cluster.nodes as [NodeProcess]
    process.kill(node.pid, 'SIGABRT')
    await eventually('its end', 20_000, async () => (node.isUp ? null : true))
    node.start()
    return { what: 'felled', heal: async () => {} }
  })
  const result = await runJepsen(options([fell, nemesis('never', async () => null)]), scope)
  expect(result.verdict).toBe('violated')
  expect(result.findings.map(({ what }) => what)).toEqual([
    'a call of a nemesis ended with INTERNAL: a contradiction',
    'node 1 ended by itself: SIGABRT; see its log',
  ])
  expect(result.undecided).toContain('after 20 s: never never took effect')
  expect(summaryTable([result])).toContain('a run for this test is undecided: after 20 s: never never took effect')
})

it.runIf(process.env.HOLDFAST_CI === '1')(
  'a node that ends of a fault only at the last look is started again, and that is no finding (with HOLDFAST_CI=1 only)',
  async () => {
    let struck: NodeProcess | null = null
    const late = nemesis('late', async ({ cluster }): Promise<Strike> => {
      struck = cluster.nodes[0]!
      return { what: 'late', mayEnd: { nodes: [struck], saying: /^SIGABRT$/ }, heal: async () => {} }
    })
    const [register] = findWorkloads('register') as [Workload]
    const upon: Workload = {
      ...register,
      start: async (context) => {
        const running = await register.start(context)
        return {
          stop: () => running.stop(),
          check: async (db) => {
            process.kill(struck!.pid, 'SIGABRT')
            await eventually('its end', 60_000, async () => (struck!.isUp ? null : true))
            return running.check(db)
          },
        }
      },
    }
    const result = await runJepsen({ ...options([late]), workloads: [upon] }, scope)
    expect(result.findings).toEqual([])
  },
)

it('a run that fails half way leaves what was seen until then', async () => {
  const nemeses = [
    nemesis('first', async () => ({ what: 'first', heal: async () => {} })),
    nemesis('fails', async ({ db, failed }) => {
      await eventually('a put', 60_000, () => db.put('register/here', '1'))
      failed(new HoldfastError('INTERNAL', 'a contradiction', { mayHaveBeenApplied: false }))
      throw new Error('the end of it')
    }),
  ]
  await expect(runJepsen(options(nemeses), scope)).rejects.toThrow(/the end of it\n.*\n.*a contradiction/)
  expect(parseHistory(await readFile(join(out, 'history.jsonl'), 'utf8')).length).toBeGreaterThan(0)
  await readFile(join(out, 'faults.jsonl'), 'utf8')
})
