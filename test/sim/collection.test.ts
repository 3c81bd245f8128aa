import { describe, expect, it } from 'vitest'
import type { Version } from '../../src/base/ids.js'
import type { ClientCore } from '../../src/client/core.js'
import { SimCluster, type SimClusterOptions } from '../../src/testing/cluster.js'
import { rawKey } from '../../src/testing/registers.js'
import { Client, DATA, get, text } from '../store/requests.js'

const KEYS = Array.from({ length: 20 }, (_, at) => `a${String(at).padStart(2, '0')}`)
/** Floors move every ten seconds, and what lies below them is looked for every five. */
const COLLECTED_MS = 16_000

async function started(options: SimClusterOptions): Promise<{ cluster: SimCluster; core: ClientCore }> {
  const cluster = new SimCluster({ stateSyncEveryBytes: 65_536, ...options })
  await cluster.start()
  return { cluster, core: cluster.clientCore().core }
}

function put(core: ClientCore, key: string, value: string): Promise<unknown> {
  const write = { kind: 'put', key: rawKey(key), codec: 'utf8', value: Buffer.from(value) } as const
  return core.write({ conditions: [], writes: [write], wantValue: false })
}

function putAll({ cluster, core }: { cluster: SimCluster; core: ClientCore }, value: string): Promise<unknown> {
  return cluster.run(() => Promise.all(KEYS.map((key) => put(core, key, value))))
}

/** Time passes, and enough is written for the state to be synced again and again. */
async function goOn({ cluster, core }: { cluster: SimCluster; core: ClientCore }, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 500) {
    await cluster.run(() => Promise.all([1, 2, 3, 4].map((at) => put(core, `filler ${at}`, 'x'.repeat(500)))))
    await cluster.runFor(500)
  }
}

function pageOf(core: ClientCore, from: string, at: Version | null, limit = 100) {
  const span = { start: rawKey(from), end: rawKey('b') }
  return core.scanPage({ ...span, reverse: false, keysOnly: false, limit, at })
}

describe('collection of old versions', () => {
  it('leaves to a scan that began before them what newer versions replaced, as long as history is kept', async () => {
    const scene = await started({ seed: 'scan', historyKeptMs: 60_000 })
    const { cluster, core } = scene
    await putAll(scene, 'old')
    const first = await cluster.run(() => pageOf(core, 'a', null, 5))
    await putAll(scene, 'new')
    await goOn(scene, COLLECTED_MS)
    const rest = await cluster.run(() => pageOf(core, 'a05', first.at))
    expect(rest.rows.map(({ value }) => text(value))).toEqual(Array.from({ length: 15 }, () => 'old'))
    expect(cluster.violations).toEqual([])
  })

  it('goes by a floor that both halves of a split keep: what lies below it is refused, also by the new one', async () => {
    const scene = await started({ seed: 'split', historyKeptMs: 1_000 })
    const { cluster, core } = scene
    await putAll(scene, 'old')
    const { at } = await cluster.run(() => pageOf(core, 'a', null, 5))
    await putAll(scene, 'new')
    await goOn(scene, COLLECTED_MS)
    await cluster.run(() => core.split(rawKey('a10')))
    for (const from of ['a05', 'a10']) {
      await expect(cluster.run(() => pageOf(core, from, at))).rejects.toMatchObject({ code: 'BELOW_FLOOR' })
    }
    expect(cluster.violations).toEqual([])
  })

  it.each([1, 2, 3, 4])('brings no deleted key back when the power goes right after it (seed %i)', async (seed) => {
    const scene = await started({ seed: `power ${seed}`, historyKeptMs: 1_000 })
    const { cluster, core } = scene
    // More versions than one piece of collection holds.
    for (let round = 0; round < 700; round += 50) {
      await cluster.run(() => Promise.all(Array.from({ length: 50 }, (_, at) => put(core, 'a00', `${round + at}`))))
    }
    const { version } = await cluster.run(() =>
      core.write({ conditions: [], writes: [{ kind: 'delete', key: rawKey('a00') }], wantValue: false }),
    )
    const replicas = () => cluster.nodes.map(({ store }) => store!.replica(DATA)!)
    while (replicas().some(({ durable }) => (durable?.collectionFloor ?? 0) <= version)) await goOn(scene, 500)
    // From here on nothing is written, and so the state is not synced.
    await cluster.runFor(5_500)
    for (const { id } of cluster.nodes) cluster.crash(id)
    for (const { id } of cluster.nodes) cluster.restart(id)
    await cluster.runWhile(() => !cluster.isQuiet, 20_000)
    for (const { store } of cluster.nodes) {
      const client = new Client()
      const asked = { ...get(['a00']), weak: { kind: 'follower' } } as const
      store!.submit([asked], client)
      await cluster.runWhile(() => client.said(asked) === 'nothing', 1_000)
      expect(client.values(asked)).toEqual([null])
    }
    expect(cluster.violations).toEqual([])
  })
})
