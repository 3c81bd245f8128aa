import { rm } from 'node:fs/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { initCluster } from '../../src/client/index.js'
import { callIdentify, callJoin } from '../../src/transport/peer-calls.js'
import { foreign } from './foreign.js'
import { Bench, eventually, refusal, serving } from './support.js'

const bench = new Bench()
afterEach(() => bench.clear())

describe('a node that joins after init', () => {
  test('gets an id, is shown, and serves as a router without replicas', async () => {
    const nodes = await bench.cluster(3, ['m'])
    const joiner = await bench.node([nodes[2]!.peer])
    await joiner.start()
    const db = await bench.connect(nodes)
    const { nodes: shown, ranges } = await serving(db, { nodes: 4, ranges: 3 })
    const own = shown.find(({ address }) => address === joiner.client)
    expect(own).toMatchObject({ id: joiner.id, up: true, replicas: 0, leaders: 0, pid: process.pid })
    for (const { replicas } of ranges) expect(replicas).not.toContain(joiner.id)

    const through = await bench.connect([joiner])
    await through.put('a', 1)
    await through.put('z', 2)
    expect(await through.getMany(['a', 'z'])).toEqual([1, 2])
    await through.split('f')
    // The split is done at once, and indexed a little later.
    const starts = await eventually(async () => {
      const found = (await through.ranges()).map(({ start }) => start).slice(2)
      return found.length === 2 ? found : null
    })
    expect(starts).toEqual(['f', 'm'])
    const keys: unknown[] = []
    for await (const { key } of through.scan()) keys.push(key)
    expect(keys).toEqual(['a', 'z'])
    expect(await through.delete('a')).toMatchObject({ deleted: true })

    const call = foreign(joiner.client, bench)
    expect((await call('KeyValue', 'Put', { key: Buffer.from('u'), value: Buffer.from('v') })).error).toBeNull()
    expect((await call('KeyValue', 'Get', { key: Buffer.from('u') })).reply).toMatchObject({
      entry: { value: Buffer.from('v') },
    })
    expect((await call('Admin', 'Status', {})).reply).toMatchObject({ status: { node: { node: String(joiner.id) } } })
  })

  test('is the same node after a restart, and at another address', async () => {
    const [member] = await bench.cluster(1)
    const joiner = await bench.node([member!.peer])
    await joiner.start()
    const id = await joiner.joined()
    await joiner.stop()
    const moved = await bench.node([member!.peer])
    Object.assign(moved, { directory: joiner.directory })
    await moved.start()
    expect(moved.id).toBe(id)
    const db = await bench.connect([member!])
    const shown = await eventually(async () => {
      const { nodes } = await db.status()
      return nodes.find(({ address, up }) => up && address === moved.client) ?? null
    })
    expect(shown.id).toBe(id)
    expect((await db.status()).nodes).toHaveLength(2)
  })

  test('that asks again before it wrote its answer down gets the same id', async () => {
    const [member] = await bench.cluster(1)
    const request = { token: 'f'.repeat(32), clientAddress: '127.0.0.1:1', peerAddress: '127.0.0.1:2', pid: 1 }
    // While the meta range gives out no ids (it does not know its nodes, or the next ids are on their way to the disk) who asks is
    // told to ask again.
    const ask = (over = {}) => eventually(() => callJoin(member!.peer, { ...request, ...over }).catch(() => null))
    const first = await ask()
    const again = await ask()
    const other = await ask({ token: 'e'.repeat(32), peerAddress: '127.0.0.1:3' })
    expect([first.kind, again.kind, other.kind]).toEqual(['joined', 'joined', 'joined'])
    expect(again).toMatchObject({ node: (first as { node: number }).node })
    expect((other as { node: number }).node).not.toBe((first as { node: number }).node)
  })

  test('may name any node: it is sent on to the one that gives ids', async () => {
    const nodes = await bench.cluster(3)
    const ids = new Set<number>()
    for (const { peer } of nodes) {
      const joiner = await bench.node([peer])
      await joiner.start()
      ids.add(await joiner.joined())
    }
    expect([...ids].every((id) => id > 3)).toBe(true)
    expect(ids.size).toBe(3)
  })
})

describe('a cluster whose nodes all moved', () => {
  test('finds itself again by --join, and each is who it was', async () => {
    const nodes = await bench.cluster(3)
    const db = await bench.connect(nodes)
    await db.put('a', 1)
    const ids = nodes.map(({ id }) => id)
    await Promise.all(nodes.map((node) => node.stop({ handOver: false })))
    const moved = [await bench.node(), await bench.node(), await bench.node()]
    for (const [at, node] of moved.entries()) {
      Object.assign(node, { directory: nodes[at]!.directory, join: moved.map(({ peer }) => peer) })
    }
    await Promise.all(moved.map((node) => node.start()))
    const again = await bench.connect(moved)
    expect(await again.get('a')).toBe(1)
    const { nodes: shown } = await serving(again, { nodes: 3, ranges: 2 })
    expect(shown.map(({ id, address }) => [id, address])).toEqual(ids.map((id, at) => [id, moved[at]!.client]))
  })
})

describe('a join address that does not answer', () => {
  test('is named in the log and tried until it appears', async () => {
    const member = await bench.node()
    const joiner = await bench.node([member.peer])
    await joiner.start()
    await joiner.lines.find(/no answer yet/)
    expect(joiner.lines.all.find((line) => line.includes('no answer yet'))).toContain(
      `join ${member.peer}: no answer yet`,
    )
    await member.start()
    expect(await joiner.lines.find(/there is no cluster yet/)).toContain(`join ${member.peer}`)
    await initCluster(member.client)
    expect(await joiner.joined()).toBe(2)
  })

  test('does not keep a node from stopping, nor one that has a cluster from serving', async () => {
    const [member] = await bench.cluster(1)
    await member!.stop()
    member!.join = [(await bench.node()).peer]
    await member!.start()
    const db = await bench.connect([member!])
    await db.put('a', 1)
    const lonely = await bench.node(member!.join)
    await lonely.start()
    await lonely.lines.find(/no answer yet/)
    await lonely.stop()
  })
})

describe('who does not belong is refused by name, and nobody dies', () => {
  test('a peer of another cluster, on both sides', async () => {
    const [a1, a2] = await bench.cluster(2)
    const [b] = await bench.cluster(1)
    const clusters = await Promise.all([a1!, b!].map(async ({ peer }) => (await callIdentify(peer)).cluster))
    // Another cluster's node moves to the address under which its peers know a2.
    await a2!.stop()
    await b!.stop()
    Object.assign(b!, { peer: a2!.peer, client: a2!.client })
    await b!.start()
    const refused = `belongs to cluster ${clusters[0]}, expected ${clusters[1]}`
    expect(await b!.lines.find(/warn: session from.*node 1/)).toContain(`node 1 at ${a1!.peer} ${refused}`)
    expect(await a1!.lines.find(/warn: session to node 2.*belongs to cluster/)).toContain(refused)
    const db = await bench.connect([b!])
    await db.put('still', 'serves')
    await b!.stop()
    await a2!.start()
    const back = await bench.connect([a1!, a2!])
    await back.put('serves', 'again')
  })

  test('a founding member whose data directory was wiped: it is kept out, and told so; the others go on', async () => {
    const nodes = await bench.cluster(3)
    const wiped = nodes[2]!
    await wiped.stop()
    await rm(wiped.directory, { recursive: true })
    await wiped.start()
    const told = await wiped.lines.find(/kept out/)
    expect(told).toContain(`${wiped.peer} is node 3 of cluster`)
    expect(told).toMatch(
      /Give it the old data directory, or run `holdfast node rejoin --data DIRECTORY --node 3 --join \S+`/,
    )
    expect(told).toContain('with another peer address it joins as a new node')
    expect(wiped.id).toBeNull()
    const db = await bench.connect(nodes.slice(0, 2))
    await db.put('a', 1)
    expect((await db.status()).nodes.map(({ up }) => up)).toEqual([true, true, false])
    // A member that starts now says so too.
    await nodes[1]!.stop()
    await nodes[1]!.start()
    expect(await nodes[1]!.lines.find(/kept out/)).toContain(`node 3 at ${wiped.peer}`)
    // Under another address it is a new node.
    await wiped.stop()
    const anew = await bench.node(nodes.slice(0, 2).map(({ peer }) => peer))
    Object.assign(anew, { directory: wiped.directory })
    await anew.start()
    expect(await anew.joined()).toBe(4)
  })

  test('a data directory of another cluster than --join leads to: both are named, nothing stays open', async () => {
    const [here] = await bench.cluster(1)
    const [there] = await bench.cluster(1)
    const clusters = await Promise.all([here!, there!].map(async ({ peer }) => (await callIdentify(peer)).cluster))
    await here!.stop()
    here!.join = [there!.peer]
    const { code, message } = await refusal(here!.start())
    expect(code).toBe('WRONG_CLUSTER')
    expect(message).toContain(`the data directory belongs to cluster ${clusters[0]}`)
    expect(message).toContain(`${there!.peer} given with --join to cluster ${clusters[1]}`)
    here!.join = []
    await here!.start()
  })
})
