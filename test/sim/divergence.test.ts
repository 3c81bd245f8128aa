import { describe, expect, it } from 'vitest'
import type { RangeId, Version } from '../../src/base/ids.js'
import { SimCluster } from '../../src/testing/cluster.js'
import { putUnwritten } from '../../src/testing/put-unwritten.js'
import { rawKey } from '../../src/testing/registers.js'

const DATA = 2 as RangeId

interface Line {
  readonly message: string
  readonly what: unknown
}

async function started(seed: string) {
  const lines: Line[] = []
  const log = (_level: string, message: string, fields?: Readonly<Record<string, unknown>>) =>
    lines.push({ message, what: fields?.what })
  const cluster = new SimCluster({ seed, syncMsMax: 2, logger: { log } })
  await cluster.start()
  const givenUp = () => lines.filter(({ message }) => message.startsWith('state of a replica given up'))
  return { cluster, db: cluster.client(), givenUp }
}

/** Ends a node in good order: all it applied is checkpointed, and its log begins behind what nobody needs. */
async function stop(cluster: SimCluster, id: number): Promise<void> {
  const { store, listener } = cluster.node(id)
  let stopped = false
  listener!.process.enter(() =>
    store!.stop(() => {
      stopped = true
    }),
  )
  expect(await cluster.runWhile(() => !stopped, 5_000)).toBe(true)
  cluster.crash(id)
}

function isWhole(cluster: SimCluster): boolean {
  const replicas = cluster.nodes.map(({ store }) => store?.replica(DATA))
  return cluster.isQuiet && replicas.every((replica) => replica?.hasState === true)
}

describe('a replica that wrote something else than the others', () => {
  it('is found when digests are compared, gives its state up by name, and gets that of the others', async () => {
    const { cluster, db, givenUp } = await started('divergence')
    const { version } = await cluster.run(() => db.put('k', 'old'))
    await cluster.run(() => db.put('z', 'behind'))
    await cluster.runWhile(() => !cluster.isQuiet, 5_000)
    const leader = cluster.leaderOf(DATA)!
    const victim = [1, 2, 3].find((id) => id !== leader)!
    const { storage } = cluster.node(victim).store!.replica(DATA)!.storages[0]!
    await stop(cluster, victim)
    const other = {
      key: rawKey('k'),
      version: (version + 1) as Version,
      codec: 'utf8',
      value: Buffer.from('evil'),
    } as const
    putUnwritten(cluster, { node: victim, range: DATA, storage }, other)
    await cluster.runFor(100)
    cluster.restart(victim)
    await cluster.runWhile(() => !cluster.isQuiet, 10_000)

    // Here the condition holds, there it does not: nobody has noticed by then.
    await cluster.run(() => db.put('k', 'new', { ifValue: 'old' }))
    await cluster.runWhile(() => !cluster.isQuiet, 5_000)
    const replicas = cluster.nodes.map(({ store }) => store!.replica(DATA)!)
    expect(new Set(replicas.map(({ machine }) => machine.bookkeeping.digest)).size).toBe(2)
    expect(givenUp()).toEqual([])

    const lead = cluster.node(cluster.leaderOf(DATA)!)
    lead.listener!.process.enter(() => lead.store!.compareDigests(DATA))
    const struck = cluster.node(victim).store!.replica(DATA)!
    expect(await cluster.runWhile(() => struck.hasState, 2_000)).toBe(true)
    expect(givenUp().map(({ what }) => what)).toEqual([
      expect.stringMatching(/^it wrote something else than the others by entry \d+$/),
    ])
    expect(await cluster.runWhile(() => !isWhole(cluster), 20_000)).toBe(true)
    expect(struck.storages.map((each) => each.storage)).not.toContain(storage)
    expect(new Set(replicas.map(({ machine }) => machine.bookkeeping.digest)).size).toBe(1)
    cluster.crash([1, 2, 3].find((id) => id !== victim)!)
    expect(await cluster.run(() => db.getMany(['k', 'z']))).toEqual(['new', 'behind'])
    expect(cluster.violations).toEqual([])
  })
})

describe('a damaged entry that nobody else has any more', () => {
  it('costs its replica the state, by name, and a snapshot brings it back', async () => {
    const { cluster, db, givenUp } = await started('nobody')
    await cluster.run(() => db.put('b', 'DAMAGE ME'))
    await cluster.run(() => db.put('c', 'behind'))
    await cluster.runWhile(() => !cluster.isQuiet, 5_000)
    await cluster.runFor(1_000)
    // Two nodes checkpoint and let go of their logs; the third has to replay its own.
    await stop(cluster, 1)
    await stop(cluster, 2)
    cluster.crash(3)
    const { files } = cluster.node(3).disk
    let flipped = 0
    for (const path of files.paths().filter((each) => each.startsWith('log/'))) {
      const bytes = files.contents(path)
      const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf('DAMAGE ME')
      if (at < 0) continue
      bytes[at]! ^= 1
      flipped++
    }
    expect(flipped).toBe(1)
    for (const id of [1, 2, 3]) cluster.restart(id)
    expect(await cluster.runWhile(() => givenUp().length === 0, 20_000)).toBe(true)
    expect(givenUp().map(({ what }) => what)).toEqual([
      expect.stringMatching(/^entry \d+ of its log is damaged, and no other replica has it$/),
    ])
    expect(await cluster.runWhile(() => !isWhole(cluster), 20_000)).toBe(true)
    expect(cluster.node(3).store!.replica(DATA)!.incarnation).toBeGreaterThan(0)
    await cluster.run(() => db.put('d', 'after'))
    cluster.crash(1)
    expect(await cluster.run(() => db.getMany(['b', 'c', 'd']))).toEqual(['DAMAGE ME', 'behind', 'after'])
    expect(cluster.violations).toEqual([])
  })
})
