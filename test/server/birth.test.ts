import { afterEach, describe, expect, test } from 'vitest'
import { silentLogger } from '../../src/base/ports.js'
import { initCluster, storedKeyOf } from '../../src/client/index.js'
import { drawBirth } from '../../src/server/birth.js'
import { Membership, type MembershipParts } from '../../src/server/membership.js'
import { newClusterId } from '../../src/server/real-ports.js'
import { openDataDirectory } from '../../src/storage/data-directory.js'
import { newIdentity, readIdentity, writeIdentity } from '../../src/storage/identity.js'
import { callIdentify } from '../../src/transport/peer-calls.js'
import { Bench, refusal, serving, type TestNode } from './support.js'

const bench = new Bench()
afterEach(() => bench.clear())

async function clusterOf(node: TestNode): Promise<string | null> {
  return (await callIdentify(node.peer)).cluster
}

function membershipOf(over: Partial<MembershipParts> = {}): Membership {
  return new Membership({
    identity: newIdentity('f'.repeat(32)),
    self: () => ({ clientAddress: 'here:1', peerAddress: 'here:2' }),
    join: [],
    logger: silentLogger,
    fatal: (reason) => {
      throw new Error(reason)
    },
    save: async () => {},
    becomeMember: async () => {},
    nodes: () => [],
    isConnected: () => false,
    nodeSeen: () => {},
    admit: () => null,
    ...over,
  })
}

describe('init', () => {
  test('makes one cluster of three nodes: three replicas of every range, and everyone serves', async () => {
    const nodes = await bench.unborn(3)
    const { cluster, nodes: born } = await initCluster(nodes[1]!.client)
    expect(born.map(({ node, clientAddress }) => [node, clientAddress])).toEqual([
      [1, nodes[1]!.client],
      [2, nodes[0]!.client],
      [3, nodes[2]!.client],
    ])
    const db = await bench.connect(nodes)
    const status = await serving(db, { nodes: 3, ranges: 2 })
    expect(status.cluster).toBe(cluster)
    for (const { replicas } of status.ranges) expect(replicas).toEqual([1, 2, 3])
    for (const node of nodes) {
      const through = await bench.connect([node])
      await through.put(node.client, 'served')
      expect(await db.get(node.client)).toBe('served')
    }
  })

  test('makes a cluster of a single node', async () => {
    const [node] = await bench.cluster(1)
    const db = await bench.connect([node!])
    await db.put('a', 1)
    expect(await db.get('a')).toBe(1)
  })

  test('again, and at any of its nodes, gives the same cluster', async () => {
    const nodes = await bench.cluster(3)
    const again = await Promise.all(nodes.map(({ client }) => initCluster(client, { replicas: 1 })))
    expect(new Set(again.map(({ cluster }) => cluster)).size).toBe(1)
    for (const { nodes: born } of again) expect(born).toHaveLength(3)
  })

  test('twice at once, at one node, makes one cluster', async () => {
    const nodes = await bench.unborn(2)
    const [one, two] = await Promise.all([initCluster(nodes[0]!.client), initCluster(nodes[0]!.client)])
    expect(one).toEqual(two)
  })

  test('cuts the data where --split-at says, and makes as many replicas as asked', async () => {
    const nodes = await bench.unborn(3)
    await initCluster(nodes[0]!.client, { splitAt: ['t', 'h', 't'].map(storedKeyOf), replicas: 1 })
    const db = await bench.connect(nodes)
    const { ranges } = await serving(db, { nodes: 3, ranges: 4 })
    expect(ranges.map(({ start }) => start).slice(2)).toEqual(['h', 't'])
    expect(new Set(ranges.map(({ replicas }) => String(replicas))).size).toBe(1)
    for (const { replicas } of ranges) expect(replicas).toHaveLength(1)
    for (const key of ['a', 'h', 'z']) await db.put(key, key)
    expect(await db.getMany(['a', 'h', 'z'])).toEqual(['a', 'h', 'z'])
  })

  test('counts a node that is named twice, or under another name, once', async () => {
    const [node, other] = [await bench.node(), await bench.node()]
    const alias = (address: string) => address.replace('127.0.0.1', 'localhost')
    await other!.start()
    node!.join = [alias(node!.peer), other!.peer, alias(other!.peer)]
    await node!.start()
    const { nodes } = await initCluster(node!.client)
    expect(nodes.map((each) => each.peerAddress)).toEqual([node!.peer, other!.peer])
  })
})

describe('two nodes that are told init at the same moment', () => {
  test('name the same nodes for the replicas: one birth at most gets a majority of them', () => {
    const members = ['c', 'a', 'e', 'b', 'd'].map((token, at) => {
      const [clientAddress, peerAddress] = [`127.0.0.1:${at + 1}`, `127.0.0.1:${at + 101}`]
      return { token, cluster: null, node: null, pid: 1, clientAddress, peerAddress, nodes: [] }
    })
    for (const replicas of [1, 2, 3, 4, 5]) {
      // Each names itself first.
      const told = members.map((first) => {
        const all = [first, ...members.filter((each) => each !== first)]
        const { ranges, tokens } = drawBirth(newClusterId(), all, { replicas, splitAt: [storedKeyOf('m')] })
        return ranges.map((range) => {
          const holders = new Set(range.replicas.map(({ node }) => node))
          return tokens.flatMap(({ node, token }) => (holders.has(node) ? [token] : [])).sort()
        })
      })
      for (const ranges of told) {
        for (const holders of ranges) expect(holders).toEqual(['a', 'b', 'c', 'd', 'e'].slice(0, replicas))
      }
    }
  })
})

describe('init refuses, and makes nothing', () => {
  test.each([0, 4])('%s replicas on three nodes', async (replicas) => {
    const nodes = await bench.unborn(3)
    const { code, message } = await refusal(initCluster(nodes[0]!.client, { replicas }))
    expect([code, message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining(String(replicas))])
    expect(message).toMatch(/expected (1 to 3 on 3 nodes|1 or more)/)
    for (const node of nodes) expect(await clusterOf(node)).toBeNull()
  })

  test('while a member does not answer, naming it; once it does, init works', async () => {
    const [first, second, late] = [await bench.node(), await bench.node(), await bench.node()]
    for (const node of [first!, second!]) await Object.assign(node, { join: [second!.peer, late!.peer] }).start()
    const { code, message } = await refusal(initCluster(first!.client))
    expect(code).toBe('UNAVAILABLE')
    expect(message).toContain(`no answer from ${late!.peer}: start these nodes first`)
    expect(message).not.toContain(second!.peer)
    expect(await clusterOf(first!)).toBeNull()
    await late!.start()
    expect((await initCluster(first!.client)).nodes).toHaveLength(3)
  })

  test('where a member belongs to another cluster: both are named', async () => {
    const [member, lost] = await bench.cluster(2)
    // Without its majority that cluster admits nobody, so the node stays without one.
    await lost!.stop()
    const node = await bench.node([member!.peer])
    await node.start()
    const { code, message } = await refusal(initCluster(node.client))
    expect(code).toBe('WRONG_CLUSTER')
    expect(message).toContain(`${member!.peer} already belongs to cluster ${await clusterOf(member!)}`)
    expect(await clusterOf(node)).toBeNull()
  })

  test('a node whose addresses are not known yet: it is not identified before', async () => {
    const addresses = { clientAddress: '', peerAddress: '' }
    const membership = membershipOf({ self: () => addresses })
    expect(() => membership.identify()).toThrow(expect.objectContaining({ code: 'UNAVAILABLE' }))
    Object.assign(addresses, { clientAddress: 'here:1', peerAddress: 'here:2' })
    expect(membership.identify()).toMatchObject({ cluster: null, ...addresses })
  })

  test('while a birth is on its way to the disk, until it is there', async () => {
    let fail = (_: Error): void => {}
    const save = () => new Promise<void>((_, reject) => (fail = reject))
    const membership = membershipOf({ save })
    const document = drawBirth(newClusterId(), [membership.identify()], { replicas: null, splitAt: [] })
    const written = membership.birth(document)
    const again = membership.init({ replicas: null, splitAt: [] })
    fail(new Error('no room'))
    await expect(again).rejects.toThrow('no room')
    await expect(written).rejects.toThrow('no room')
    expect(membership.identity.cluster).toBeNull()
  })

  test('a cut outside the data, naming it', async () => {
    const node = await bench.node()
    await node.start()
    const { code, message } = await refusal(initCluster(node.client, { splitAt: ['\0\0\0\u0001x' as never] }))
    expect([code, message]).toEqual([
      'INVALID_ARGUMENT',
      expect.stringMatching(/split-at: .*outside the data key space/),
    ])
    expect(await clusterOf(node)).toBeNull()
  })
})

describe('a birth that was written and reached nobody else', () => {
  /** What `init` leaves on the disk of the node that was told it, when that node dies before it tells anyone. */
  async function dieAfterWriting(teller: TestNode, members: readonly TestNode[]): Promise<string> {
    const all = await Promise.all(members.map(({ peer }) => callIdentify(peer)))
    await teller.stop()
    const { files, release } = await openDataDirectory(teller.directory)
    const identity = (await readIdentity(files))!
    const document = drawBirth(newClusterId(), all, { replicas: null, splitAt: [] })
    const { cluster, nodes, ranges, tokens } = document
    const node = tokens.find(({ token }) => token === identity.token)!.node
    await writeIdentity(files, { ...identity, cluster, node, birth: { nodes, ranges, tokens } })
    await release()
    return cluster
  }

  test('is handed to the members when the node is back, also to one that comes later still', async () => {
    const nodes = await bench.unborn(3)
    const [teller, member, late] = nodes
    const cluster = await dieAfterWriting(teller!, nodes)
    await late!.stop()
    await teller!.start()
    const db = await bench.connect([teller!, member!])
    await db.put('a', 1)
    expect((await db.status()).cluster).toBe(cluster)
    await late!.start()
    await serving(db, { nodes: 3, ranges: 2 })
    expect([teller!.id, member!.id, late!.id]).toEqual([1, 2, 3])
  })

  test('is handed on by a member that has it, though the node that was told init is gone', async () => {
    const nodes = await bench.unborn(3)
    const [teller, member, late] = nodes
    const cluster = await dieAfterWriting(teller!, nodes)
    await late!.stop()
    await teller!.start()
    await member!.joined()
    expect(await clusterOf(member!)).toBe(cluster)
    await teller!.stop()
    late!.join = []
    await late!.start()
    const db = await bench.connect([member!, late!])
    await db.put('a', 1)
    expect(late!.id).toBe(3)
  })

  test('finds a member that came back at another address: it asks to join, and is who it was made to be', async () => {
    const nodes = await bench.unborn(3)
    const [teller, member, late] = nodes
    const cluster = await dieAfterWriting(teller!, nodes)
    await late!.stop()
    await teller!.start()
    await member!.joined()
    expect(await clusterOf(member!)).toBe(cluster)
    const moved = await bench.node([member!.peer])
    Object.assign(moved, { directory: late!.directory })
    await moved.start()
    expect(await moved.joined()).toBe(3)
    const db = await bench.connect([teller!, moved])
    await serving(db, { nodes: 3, ranges: 2 })
  })

  test('a member that was told another init meanwhile is named as missing, and stays in its own cluster', async () => {
    const nodes = await bench.unborn(3)
    const [teller, member, other] = nodes
    const cluster = await dieAfterWriting(teller!, nodes)
    other!.join = []
    await other!.stop()
    await other!.start()
    const { cluster: its } = await initCluster(other!.client)
    await teller!.start()
    const line = await teller!.lines.find(/it was told another `holdfast init`/)
    expect(line).toContain(`node 3 at ${other!.peer}: belongs to cluster ${its}, expected ${cluster}`)
    const db = await bench.connect([teller!, member!])
    await db.put('a', 1)
    expect(await clusterOf(other!)).toBe(its)
  })
})
