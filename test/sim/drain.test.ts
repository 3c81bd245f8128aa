import { describe, expect, it } from 'vitest'
import type { Holdfast } from '../../src/client/index.js'
import { SimCluster } from '../../src/testing/cluster.js'
import { rawKey } from '../../src/testing/registers.js'
import { isComplete } from '../volume.js'

const CALLERS = 16
const KEYS = 200
/** What an orderly restart may cost a call, in virtual time: an election would cost 500 at least, a busy machine adds its own. */
const CALL_MS_MAX = 100

const keyAt = (at: number) => `k${String(at % KEYS).padStart(3, '0')}`

/** Callers that read and write all the time, and how long each call took. */
class Load {
  slowestMs = 0
  calls = 0
  #isOver = false
  readonly #callers: Promise<void>[]

  constructor(cluster: SimCluster, db: Holdfast) {
    this.#callers = Array.from({ length: CALLERS }, async (_, caller) => {
      for (let n = 0; !this.#isOver; n++) {
        const began = cluster.nowMs
        const key = keyAt(caller * 37 + n * 11)
        if (n % 2 === 0) await db.put(key, n)
        else await db.get(key)
        this.slowestMs = Math.max(this.slowestMs, cluster.nowMs - began)
        this.calls++
      }
    })
  }

  /** Rejects with the first call that failed. */
  async end(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#callers)
  }
}

function sleep(cluster: SimCluster, ms: number): Promise<void> {
  return new Promise((resolve) => cluster.scheduler.schedule(ms, resolve, true))
}

async function until(cluster: SimCluster, condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(cluster, 10)
}

/** Asks the node to give up its leads, ends its process, and starts it again on its disk. */
async function restart(cluster: SimCluster, id: number): Promise<void> {
  const { store, listener } = cluster.node(id)
  let isDrained = false
  listener!.process.enter(() =>
    store!.drain(() => {
      isDrained = true
    }),
  )
  await until(cluster, () => isDrained)
  expect([...store!.replicas].filter(({ leads }) => leads)).toEqual([])
  cluster.crash(id)
  await sleep(cluster, 300)
  cluster.restart(id)
  const most = (range: number) =>
    Math.max(...cluster.nodes.map((node) => node.store?.replica(range as never)?.applied ?? 0))
  await until(cluster, () => {
    const { store: again, serves } = cluster.node(id)
    if (again === null || !serves) return false
    return [...again.replicas].every(
      ({ applied, range, leaderNode }) => leaderNode !== null && applied + 100 >= most(range),
    )
  })
}

describe('all nodes restarted one after another under load', () => {
  it.each(isComplete ? [1, 2, 3] : [1])('no call fails and none takes long, seed %i', async (seed) => {
    const cluster = new SimCluster({ seed, splitAt: [rawKey(keyAt(50)), rawKey(keyAt(100)), rawKey(keyAt(150))] })
    await cluster.start()
    const db = cluster.client()
    await cluster.run(async () => {
      await db.put('first', 1)
      const load = new Load(cluster, db)
      await sleep(cluster, 500)
      for (const { id } of cluster.nodes) {
        await restart(cluster, id)
        await sleep(cluster, 500)
      }
      await load.end()
      expect(load.calls).toBeGreaterThan(1_000)
      expect(load.slowestMs).toBeLessThan(CALL_MS_MAX)
    })
    expect(cluster.violations).toEqual([])
  })
})
