import { describe, expect, it } from 'vitest'
import type { Key, LogIndex, RangeId, Term } from '../../src/base/ids.js'
import type { StatusAnswer } from '../../src/client/status.js'
import { heldOf, mergeStatus } from '../../src/client/status.js'
import type { ReplicaStatus } from '../../src/kv/requests.js'
import {
  addressOf,
  CLUSTER,
  descriptor,
  FakeCluster,
  nodeInfo,
  nodeStatus,
  outcomeOf,
  type RangeShape,
  raw,
  replicaStatus,
  settled,
} from './fake-cluster.js'

function replica(shape: RangeShape, role: ReplicaStatus['role'], term: number): ReplicaStatus {
  return { ...replicaStatus(descriptor(shape)), role, term: term as Term }
}

function answer(node: number, replicas: readonly ReplicaStatus[] | null): StatusAnswer {
  return { info: nodeInfo(node), status: replicas === null ? null : nodeStatus(node, replicas) }
}

const meta = { range: 1, end: raw('') }

describe('the merged status', () => {
  it('has the documented shape, and is JSON', () => {
    const data = { range: 2, start: raw(''), end: raw('m') }
    const merged = mergeStatus(CLUSTER, [
      answer(2, [replica(data, 'follower', 3)]),
      answer(1, [replica(data, 'leader', 3), replica(meta, 'leader', 1)]),
      answer(3, null),
    ])
    expect(merged).toEqual(JSON.parse(JSON.stringify(merged)))
    expect(merged).toMatchObject({
      cluster: CLUSTER,
      nodes: [
        {
          id: 1,
          address: addressOf(1),
          peerAddress: 'node-1:7500',
          pid: 101,
          up: true,
          replicas: 2,
          leaders: 2,
          uptimeMs: 5,
        },
        { id: 2, up: true, replicas: 2, leaders: 0 },
        { id: 3, up: false, replicas: 2, leaders: 0, uptimeMs: null },
      ],
      ranges: [
        {
          id: 1,
          start: null,
          end: '',
          generation: 1,
          leader: 1,
          replicas: [1, 2, 3],
          members: [1, 2, 3].map((node) => ({ node, replica: node, role: 'voter' })),
        },
        {
          id: 2,
          start: '',
          end: 'm',
          leader: 1,
          states: [
            { node: 1, role: 'leader' },
            { node: 2, applied: 7, digest: 99 },
          ],
        },
      ],
    })
  })

  it('a range is led by who claims so in the highest term', () => {
    const shape = { range: 2 }
    const cutOff = answer(1, [replica(shape, 'leader', 3)])
    const present = answer(2, [replica(shape, 'leader', 4)])
    expect(mergeStatus(CLUSTER, [cutOff, present]).ranges[0]!.leader).toBe(2)
    expect(mergeStatus(CLUSTER, [present, cutOff]).ranges[0]!.leader).toBe(2)
    expect(mergeStatus(CLUSTER, [answer(1, [replica(shape, 'candidate', 9)])]).ranges[0]!.leader).toBeNull()
  })

  it('the newest descriptor of a range counts, whoever tells it', () => {
    const old = answer(1, [replica({ range: 2 }, 'follower', 3)])
    const split = answer(2, [replica({ range: 2, generation: 2, end: 'm' as Key }, 'follower', 3)])
    for (const answers of [
      [old, split],
      [split, old],
    ])
      expect(mergeStatus(CLUSTER, answers).ranges[0]!.generation).toBe(2)
  })
})

describe('the replicas held of a range', () => {
  const young = replica({ range: 3, generation: 2 }, 'follower', 1)
  const old = replica({ range: 3, generation: 1 }, 'leader', 1)
  const empty = { ...replica({ range: 3, generation: 0 }, 'follower', 1), hasState: false }
  const leads = replica({ range: 2 }, 'leader', 2)
  const follows = replica({ range: 2 }, 'follower', 2)
  const isBehind = { ...leads, lastIndex: (leads.lastIndex + 1) as LogIndex }
  const newTerm = replica({ range: 2 }, 'follower', 3)

  it.each<[string, StatusAnswer[], number | null, boolean]>([
    ['the newest counts', [answer(1, [old]), answer(2, [young])], 2, false],
    ['nowhere, and all that was committed is applied', [answer(1, [leads]), answer(2, [follows])], null, true],
    ['nowhere, but one is silent', [answer(1, [leads]), answer(2, null)], null, false],
    ['nowhere, but a range has no leader who may have committed its birth', [answer(1, [follows])], null, false],
    ['nowhere, but a leader has not applied its log', [answer(1, [isBehind]), answer(2, [follows])], null, false],
    ['nowhere, but there is a newer term than the leader knows', [answer(1, [leads, newTerm])], null, false],
    ['one that waits for its state knows nothing of it, yet it is', [answer(1, [leads, empty])], null, false],
  ])('%s', (_, answers, generation, isNowhere) => {
    const held = heldOf(answers, 3 as RangeId)
    expect([held.newest?.generation ?? null, held.isNowhere]).toEqual([generation, isNowhere])
  })
})

describe('status', () => {
  it('asks every node; who does not answer within two seconds, or refuses connections, is down', async () => {
    const cluster = new FakeCluster()
    cluster.node(3).mode = 'refuse'
    const asked = outcomeOf(cluster.core.status())
    cluster.turn()
    await settled()
    cluster.turn()
    const arrival = cluster.node(1).takeOne('status')
    const replicas = [replica({ range: 2 }, 'leader', 1)]
    arrival.reply({ id: arrival.request.id, version: 0 as never, kind: 'status', status: nodeStatus(1, replicas) })
    cluster.clock.advance(2_100)
    await settled()
    expect(asked.value?.nodes.map(({ id, up }) => [id, up])).toEqual([
      [1, true],
      [2, false],
      [3, false],
    ])
    expect(asked.value?.ranges.map(({ id }) => id)).toEqual([2 as RangeId])
  })

  it('nodes that only another node knows of are asked too', async () => {
    const cluster = new FakeCluster({ endpoints: [addressOf(1)] })
    for (const node of cluster.nodes) {
      node.hello = { ...node.hello, nodes: [nodeInfo(1)] }
      node.answer = ({ request, reply }) => {
        void reply
        return request.kind === 'routes'
      }
    }
    const asked = outcomeOf(cluster.core.status())
    for (let step = 0; step < 20; step++) {
      await settled()
      cluster.clock.advance(10)
      for (const node of cluster.nodes) {
        for (const arrival of node.arrived.splice(0)) {
          const told = nodeStatus(Number(node.info.node), [])
          arrival.reply({ id: arrival.request.id, version: 0 as never, kind: 'status', status: told })
        }
      }
    }
    expect(asked.value?.nodes.map(({ id, up }) => [id, up])).toEqual([
      [1, true],
      [2, true],
      [3, true],
    ])
  })

  it('no node at all is UNAVAILABLE', async () => {
    const cluster = new FakeCluster()
    const asked = outcomeOf(cluster.core.status())
    cluster.turn()
    await settled()
    cluster.clock.advance(3_000)
    await settled()
    expect(asked.error).toMatchObject({ code: 'UNAVAILABLE' })
  })
})
