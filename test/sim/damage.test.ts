import { describe, expect, it } from 'vitest'
import { HoldfastError } from '../../src/base/errors.js'
import type { RangeId } from '../../src/base/ids.js'
import { SimCluster } from '../../src/testing/cluster.js'

const DATA = 2 as RangeId

async function started(seed: string) {
  const lines: string[] = []
  const cluster = new SimCluster({ seed, syncMsMax: 2, logger: { log: (_, message) => lines.push(message) } })
  await cluster.start()
  return { cluster, lines, db: cluster.client() }
}

/** Flips a byte of `text` wherever a node's log has it. Returns how often. */
function flip(cluster: SimCluster, id: number, text: string): number {
  const { files } = cluster.node(id).disk
  const wanted = Buffer.from(text)
  let flipped = 0
  for (const path of files.paths().filter((each) => each.startsWith('log/'))) {
    const bytes = files.contents(path)
    const found = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(wanted)
    if (found < 0) continue
    bytes[found]! ^= 1
    flipped++
  }
  return flipped
}

describe('a damaged entry of the log', () => {
  it('is fetched from another replica; until then the replica votes, does not lead, and applies nothing behind it', async () => {
    const { cluster, lines, db } = await started('entry')
    await cluster.run(() => db.put('a', 'before'))
    await cluster.run(() => db.put('b', 'DAMAGE ME'))
    await cluster.run(() => db.put('c', 'behind'))
    await cluster.runWhile(() => !cluster.isQuiet, 5_000)
    const others = [1, 2, 3].filter((id) => id !== 3)
    for (const id of [3, ...others]) cluster.crash(id)
    expect(flip(cluster, 3, 'DAMAGE ME')).toBe(1)
    cluster.restart(3)
    await cluster.runFor(5_000)
    const replica = cluster.node(3).store!.replica(DATA)!
    expect(replica.raft.role).toBe('follower')
    const before = replica.applied
    for (const id of others) cluster.restart(id)
    expect(await cluster.runWhile(() => !cluster.isQuiet || replica.applied === before, 10_000)).toBe(true)
    expect(lines.filter((line) => line === 'entry repaired')).toHaveLength(1)
    expect(replica.incarnation).toBe(0)
    for (const id of others) cluster.crash(id)
    for (const id of others.slice(1)) cluster.restart(id)
    expect(await cluster.run(() => db.getMany(['a', 'b', 'c']))).toEqual(['before', 'DAMAGE ME', 'behind'])
    expect(cluster.violations).toEqual([])
  })

  it("is fetched as well where it is a split's child that is made again by replaying the split", async () => {
    const { cluster, lines, db } = await started('entry of a child')
    await cluster.run(() => db.put('a', 'first'))
    await cluster.run(() => db.split('m'))
    await cluster.run(() => db.put('x', 'DAMAGE ME'))
    await cluster.run(() => db.put('y', 'behind'))
    await cluster.runWhile(() => !cluster.isQuiet, 5_000)
    for (const id of [1, 2, 3]) cluster.crash(id)
    expect(flip(cluster, 3, 'DAMAGE ME')).toBe(1)
    for (const id of [1, 2, 3]) cluster.restart(id)
    expect(await cluster.run(() => db.getMany(['a', 'x', 'y']))).toEqual(['first', 'DAMAGE ME', 'behind'])
    expect(await cluster.runWhile(() => !cluster.isQuiet, 10_000)).toBe(true)
    expect(lines.filter((line) => line === 'entry repaired')).toHaveLength(1)
    expect(cluster.violations).toEqual([])
  })
})

describe('a damaged entry that is in the state', () => {
  it('is sent to nobody: who lacks it gets a snapshot from whoever leads', async () => {
    const cluster = new SimCluster({ seed: 'in the state', stateSyncEveryBytes: 1 })
    await cluster.start()
    const db = cluster.client()
    await cluster.run(() => db.put('a', 'before'))
    const others = ['node 1', 'node 2', ...cluster.clientPlaces]
    for (const place of others) cluster.network.block('node 3', place)
    for (const place of others) cluster.network.block(place, 'node 3')
    await cluster.run(() => db.put('b', 'DAMAGE ME'))
    await cluster.run(() => db.put('c', 'behind'))
    await cluster.runFor(2_000)
    for (const id of [1, 2]) cluster.crash(id)
    for (const id of [1, 2]) expect(flip(cluster, id, 'DAMAGE ME')).toBe(1)
    for (const id of [1, 2]) cluster.restart(id)
    // The log can't be cut behind the entry while there is no room for a checkpoint.
    for (const id of [1, 2]) cluster.node(id).disk.isFull = true
    cluster.network.healAll()
    await cluster.runFor(3_000)
    for (const id of [1, 2]) cluster.node(id).disk.isFull = false
    await cluster.runFor(2_000)
    await cluster.run(() => db.put('d', 'after'))
    expect(await cluster.runWhile(() => !cluster.isQuiet, 10_000)).toBe(true)
    for (const id of [1, 2]) cluster.crash(id)
    cluster.restart(1)
    expect(await cluster.run(() => db.getMany(['b', 'c', 'd']))).toEqual(['DAMAGE ME', 'behind', 'after'])
    expect(cluster.violations).toEqual([])
  })
})

describe('damage in the state store', () => {
  it('ends the state of the replicas that it concerns, and a snapshot brings it back under the same ids', async () => {
    const { cluster, db } = await started('state')
    await cluster.run(() => db.put('a', 'x'))
    await cluster.runWhile(() => !cluster.isQuiet, 5_000)
    const leader = cluster.leaderOf(DATA)!
    const node = cluster.node(leader)
    const replica = node.store!.replica(DATA)!
    const { storage } = replica.storages[0]!
    node.disk.db.onDamage({ what: 'a test says so', storages: [storage], journals: [] })
    expect(await cluster.runWhile(() => replica.hasState, 1_000)).toBe(true)
    expect(await cluster.runWhile(() => replica.leads, 1_000)).toBe(true)
    await cluster.run(() => db.put('b', 'y'))
    expect(await cluster.runWhile(() => !(replica.hasState && cluster.isQuiet), 20_000)).toBe(true)
    expect(replica.storages.map((each) => each.storage)).not.toContain(storage)
    expect(node.store!.replica(1 as RangeId)!.incarnation).toBe(0)
    cluster.crash(cluster.leaderOf(DATA)!)
    expect(await cluster.run(() => db.getMany(['a', 'b']))).toEqual(['x', 'y'])
    expect(cluster.violations).toEqual([])
  })
})

describe('a leader whose disk is full', () => {
  it('refuses writes by name, goes on with reads and deletes, and takes writes again when there is room', async () => {
    const { cluster, db } = await started('full')
    await cluster.run(() => db.put('a', 'x'))
    const node = cluster.node(cluster.leaderOf(DATA)!)
    node.disk.db.isFull = true
    let code = ''
    await cluster.run(async () => {
      for (let at = 0; code === '' && at < 2_000; at++) {
        await db.put(`f${at % 10}`, 'x'.repeat(1_000)).catch((error: unknown) => {
          code = error instanceof HoldfastError ? error.code : String(error)
        })
      }
    })
    expect(code).toBe('DISK_FULL')
    expect(await cluster.run(() => db.get('a'))).toBe('x')
    await cluster.run(() => db.delete('a'))
    expect(await cluster.run(() => db.get('a'))).toBeUndefined()
    node.disk.db.isFull = false
    await cluster.runFor(5_000)
    await cluster.run(() => db.put('a', 'z'))
    expect(await cluster.run(() => db.get('a'))).toBe('z')
    expect(cluster.violations).toEqual([])
  })
})
