import { expect, it } from 'vitest'
import type { RangeId } from '../../src/base/ids.js'
import { SimCluster } from '../../src/testing/cluster.js'
import type { SimNode } from '../../src/testing/node.js'
import { Client, split } from '../store/requests.js'
import { expectAll, fill } from './data.js'

const DATA = 2 as RangeId

it.each(Array.from({ length: 20 }, (_, at) => at + 1))(
  'a child that was cut off while a snapshot of its parent came in outlives the log that it came from (seed %i)',
  async (seed) => {
    const cluster = new SimCluster({
      seed: `young ${seed}`,
      keptBytesMax: 16 * 1024,
      stateSyncEveryBytes: 32 * 1024,
      syncMsMax: 2,
    })
    await cluster.start()
    const db = cluster.client()
    const fillSome = (count: number) =>
      cluster.run(async () => {
        for (let at = 0; at < count; at++) await db.put(`a${at % 10}`, `${at}/${'x'.repeat(500)}`)
      })
    const rangesOf = (id: number) => [...cluster.node(id).store!.replicas].map(({ range }) => range)
    await fillSome(10)
    const leader = cluster.leaderOf(DATA)!
    const late = cluster.nodes.find(({ id }) => id !== leader)!
    const replica = late.store!.replica(DATA)!
    // It has the split in its log and acknowledges it; that it is committed it hears with the snapshot's first words.
    const before = replica.raft.lastIndex
    cluster.node(leader).store!.submit([split('k')], new Client())
    expect(await cluster.runWhile(() => replica.raft.lastIndex === before, 5_000)).toBe(true)
    const others = cluster.nodes.filter((node) => node !== late)
    for (const { place } of others) cluster.network.block(place, late.place)
    expect(await cluster.runWhile(() => rangesOf(leader).length < 3, 5_000)).toBe(true)
    const child = rangesOf(leader).at(-1)!
    await fillSome(120)
    await cluster.runFor(1_000)
    cluster.network.healAll()
    expect(await cluster.runWhile(() => replica.incarnation === 0, 10_000)).toBe(true)
    const had = late.store!.replica(child)?.id
    // So that the power goes before the switch is durable, and after.
    await cluster.runFor(seed % 8)
    cluster.crash(late.id)
    cluster.restart(late.id)
    expect(await cluster.runWhile(() => cluster.lack !== null || !cluster.isQuiet, 30_000)).toBe(true)
    if (had !== undefined) expect(late.store!.replica(child)!.id).toBe(had)
    expect(cluster.violations).toEqual([])
  },
)

it.each(['its state', 'its disk'])(
  'keeps its vote and its log on a node whose state is lost, and serves, when another node has lost %s too',
  async (lost) => {
    const cluster = new SimCluster({ syncMsMax: 2, seed: `lost ${lost}`, stateSyncEveryBytes: 1 << 20 })
    await cluster.start()
    const written = await fill(cluster, 'a', 150, 100)
    for (const [key, value] of await fill(cluster, 't', 150, 100)) written.set(key, value)
    const child = (await cluster.run(() => cluster.client().split('m'))).range
    for (const [key, value] of await fill(cluster, 'u', 5, 100)) written.set(key, value)
    // So little is written that no sync is due for the log's sake.
    await cluster.runFor(30_000)
    const [one, other] = cluster.nodes.filter(({ id }) => id !== cluster.leaderOf(child)) as [SimNode, SimNode]
    for (const { id } of [one, other]) cluster.crash(id)
    one.loseState()
    if (lost === 'its state') other.loseState()
    else cluster.wipe(other.id)
    for (const { id } of [one, other]) cluster.restart(id)
    expect(await cluster.runWhile(() => cluster.lack !== null || !cluster.isQuiet, 60_000)).toBe(true)
    await expectAll(cluster, written)
    cluster.checkQuiet()
    expect(cluster.violations).toEqual([])
  },
)
