import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { parseHistory } from '../../src/testing/index.js'
import { Scope } from '../command.js'
import { ProxyNetwork } from '../network/proxies.js'
import { findNemeses, findWorkloads } from '../runner/choices.js'
import { runJepsen } from '../runner/run.js'

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

it('registers stay linearizable and a set complete, while processes are killed and paused and a leader is cut off', async () => {
  const result = await runJepsen(
    {
      name: 'a run for this test',
      workloads: findWorkloads('register,set'),
      nemeses: findNemeses('kill-one,kill-all,pause-leader,partition-leader'),
      seed: 1,
      nodes: 3,
      out,
      bars: BARS,
      makeNetwork: (options) => ProxyNetwork.make(options),
    },
    scope,
  )
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
}, 400_000)
