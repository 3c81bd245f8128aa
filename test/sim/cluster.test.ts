import { describe, expect, it } from 'vitest'
import { SimCluster } from '../../src/testing/cluster.js'
import { rawKey } from '../../src/testing/registers.js'

const DATA_RANGE = 2

async function started(seed: number): Promise<SimCluster> {
  const cluster = new SimCluster({ seed, freeze: true })
  await cluster.start()
  return cluster
}

async function unavailable(call: () => Promise<unknown>): Promise<string> {
  try {
    await call()
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
  return 'answered'
}

describe('the SDK on the simulated cluster', () => {
  it('puts, gets, scans and splits', async () => {
    const cluster = await started(1)
    const db = cluster.client()
    await cluster.run(async () => {
      await db.put('a', 1)
      await db.put('b', { deep: [2] })
      await db.split('b')
      await db.put('c', 'three')
      expect(await db.getMany(['a', 'b', 'c', 'd'])).toEqual([1, { deep: [2] }, 'three', undefined])
      const keys: unknown[] = []
      for await (const { key } of db.scan({ reverse: true })) keys.push(key)
      expect(keys).toEqual(['c', 'b', 'a'])
    })
    expect(cluster.violations).toEqual([])
  })

  it('scans where nothing is written any more', async () => {
    const cluster = await started(11)
    const db = cluster.client()
    await cluster.run(() => db.put('a', 1))
    await cluster.runFor(1_000)
    const keys = await cluster.run(async () => {
      const found: unknown[] = []
      for await (const { key } of db.scan()) found.push(key)
      return found
    }, 1_000)
    expect(keys).toEqual(['a'])
  })

  it('finds what was acknowledged after the power went everywhere at once', async () => {
    const cluster = await started(2)
    const db = cluster.client()
    await cluster.run(() => db.put('kept', 'yes'))
    for (const { id } of cluster.nodes) cluster.crash(id)
    for (const { id } of cluster.nodes) cluster.restart(id)
    expect(await cluster.run(() => db.get('kept'))).toBe('yes')
    expect(cluster.violations).toEqual([])
  })

  it('goes on within two seconds after the leader has crashed', async () => {
    const cluster = await started(3)
    const db = cluster.client()
    await cluster.run(() => db.put('x', 1))
    cluster.crash(cluster.leaderOf(DATA_RANGE)!)
    await cluster.run(() => db.put('x', 2), 2_000)
    expect(await cluster.run(() => db.get('x'))).toBe(2)
    expect(cluster.violations).toEqual([])
  })

  it('refuses reads and writes where a majority is gone, and serves again when it is back', async () => {
    const cluster = await started(4)
    const db = cluster.client()
    await cluster.run(() => db.put('x', 1))
    cluster.crash(1)
    cluster.crash(2)
    expect(await cluster.run(() => unavailable(() => db.get('x', { deadlineMs: 1_000 })))).toMatch(
      /DEADLINE|UNAVAILABLE/,
    )
    const written = await cluster.run(() => unavailable(() => db.put('x', 2, { deadlineMs: 1_000 })))
    expect(written).toMatch(/DEADLINE|UNAVAILABLE|OUTCOME_UNKNOWN/)
    cluster.restart(1)
    await cluster.run(() => db.put('x', 3))
    expect(await cluster.run(() => db.get('x'))).toBe(3)
    expect(cluster.violations).toEqual([])
  })

  it('is not answered from the past by a leader that was cut off from its peers', async () => {
    const cluster = await started(5)
    const [old, other] = [cluster.client(), cluster.client()]
    await cluster.run(() => old.put('x', 'before'))
    const leader = cluster.leaderOf(DATA_RANGE)!
    for (const { place } of cluster.nodes) {
      if (place === `node ${leader}`) continue
      cluster.network.block(place, `node ${leader}`)
      cluster.network.block(`node ${leader}`, place)
    }
    // One client knows only the old leader, the other has found the new one.
    const deadlineMs = 20_000
    await cluster.run(() => other.put('x', 'after', { deadlineMs }))
    expect(await cluster.run(() => old.get('x', { deadlineMs }))).toBe('after')
    expect(cluster.violations).toEqual([])
  })

  it('counts once what it had to send again: a conditional counter under crashes of the leader', async () => {
    const cluster = await started(6)
    const db = cluster.client()
    await cluster.run(() => db.put('counter', 0))
    for (let round = 1; round <= 5; round++) {
      const entry = await cluster.run(() => db.getEntry('counter'))
      const put = cluster.run(() => db.put('counter', round, { ifVersion: entry!.version, deadlineMs: 30_000 }), 30_000)
      const leader = cluster.leaderOf(DATA_RANGE)!
      cluster.scheduler.schedule(0.3 * round, () => cluster.crash(leader))
      cluster.scheduler.schedule(1_500, () => cluster.restart(leader))
      await put
      await cluster.runFor(2_000)
    }
    expect(await cluster.run(() => db.get('counter'))).toBe(5)
    expect(cluster.violations).toEqual([])
  })

  it('keeps both halves of a split when the power goes right after it', async () => {
    const cluster = await started(7)
    const db = cluster.client()
    const keys = Array.from({ length: 20 }, (_, at) => `key ${String(at).padStart(2, '0')}`)
    await cluster.run(() => Promise.all(keys.map((key) => db.put(key, key))))
    await cluster.run(() => db.split('key 10'))
    for (const { id } of cluster.nodes) cluster.crash(id)
    for (const { id } of cluster.nodes) cluster.restart(id)
    expect(await cluster.run(() => db.getMany(keys))).toEqual(keys)
    await cluster.runWhile(() => !cluster.isQuiet, 10_000)
    cluster.checkQuiet()
    expect(cluster.violations).toEqual([])
  })
})

describe('the simulated cluster', () => {
  it('says so when what it drives does not end', async () => {
    const cluster = await started(8)
    await expect(cluster.run(() => new Promise(() => {}), 500)).rejects.toThrow('not settled after 500 ms')
  })

  it('reports what a checker finds and stops there', async () => {
    const cluster = await started(9)
    const before = cluster.nowMs
    cluster.scheduler.schedule(100, () => cluster.report('planted'))
    await cluster.runFor(1_000)
    expect(cluster.violations).toEqual(['planted'])
    expect(cluster.nowMs).toBe(before + 100)
  })

  it('cuts the data ranges where it is told to', async () => {
    const cluster = new SimCluster({ seed: 10, splitAt: [rawKey('g'), rawKey('p')] })
    await cluster.start()
    const ranges = await cluster.run(() => cluster.client().ranges())
    expect(ranges).toHaveLength(4)
    cluster.checkQuiet()
    expect(cluster.violations).toEqual([])
  })
})
