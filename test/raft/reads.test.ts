import { expect, test } from 'vitest'
import type { Message, Ready } from '../../src/raft/types.js'
import { Cluster } from './cluster.js'
import { replica, voters } from './configuration.js'
import { type Node, testConfig } from './node.js'
import { index, only, Replica, term } from './replica.js'

const three = voters(1, 2, 3)

function leader(): Replica {
  const raft = new Replica({ configuration: three })
  raft.lead(2)
  raft.accepted(2, 1)
  raft.said()
  return raft
}

const rounds = (messages: readonly Message[]) => only(messages, 'heartbeat').map(({ to, round }) => [to, round])
const answer = (raft: Replica, from: number, round: number) =>
  raft.hear({ type: 'heartbeatReply', from, term: raft.up.term, round, lastIndex: raft.up.lastIndex })
const reads = (raft: Replica): Ready['reads'] => raft.take()?.reads ?? []

test('only a leader takes reads', () => {
  const raft = new Replica({ configuration: three })
  expect(raft.up.readIndex(1)).toBe(false)
})

test('6.4: a leader confirms no read before it has committed in its own term', () => {
  const raft = new Replica({ configuration: three, log: [1], commit: 1 })
  raft.lead(2)
  expect(raft.up.isReadyToServe()).toBe(false)
  expect(raft.up.readIndex(7)).toBe(true)
  raft.tick(testConfig.heartbeatTicks)
  expect(rounds(raft.said())).toEqual([
    [2, 1],
    [3, 1],
  ])
  answer(raft, 2, 1)
  answer(raft, 3, 1)
  expect(reads(raft)).toEqual([])
  raft.accepted(2, 2)
  expect(raft.up.isReadyToServe()).toBe(true)
  raft.said()
  answer(raft, 2, 2)
  expect(reads(raft)).toEqual([{ context: 7, index: 2 }])
})

test('6.4: a read joins no round whose heartbeats have left', () => {
  const raft = leader()
  raft.up.readIndex(1)
  expect(rounds(raft.said())).toContainEqual([2, 1])
  raft.up.readIndex(2)
  answer(raft, 2, 1)
  expect(reads(raft)).toEqual([{ context: 1, index: 1 }])
  answer(raft, 2, 1)
  expect(reads(raft)).toEqual([])
  answer(raft, 2, 2)
  expect(reads(raft)).toEqual([{ context: 2, index: 1 }])
})

test('6.4: many reads share a round, and a later answer confirms the earlier rounds', () => {
  const raft = leader()
  for (const context of [1, 2, 3]) raft.up.readIndex(context)
  expect(rounds(raft.said())).toHaveLength(2)
  raft.up.readIndex(4)
  raft.said()
  answer(raft, 3, 2)
  expect(reads(raft).map(({ context }) => context)).toEqual([1, 2, 3, 4])
})

test('6.4: the read point is the commit when the round begins', () => {
  const raft = leader()
  raft.up.readIndex(1)
  raft.propose()
  raft.said()
  raft.accepted(2, 2)
  expect(raft.up.commit).toBe(2)
  answer(raft, 3, 1)
  expect(reads(raft)).toEqual([{ context: 1, index: 1 }])
})

test('heartbeats that got lost are made good by the next ones', () => {
  const raft = leader()
  raft.up.readIndex(1)
  raft.said()
  raft.tick(testConfig.heartbeatTicks)
  expect(rounds(raft.said())).toContainEqual([3, 2])
  answer(raft, 3, 2)
  expect(reads(raft)).toEqual([{ context: 1, index: 1 }])
})

test('6.4: a minority confirms nothing, and neither do learners, strangers or one that has forgotten', () => {
  const raft = new Replica({ configuration: { ...voters(1, 2, 3, 4, 5), learners: [replica(6)] } })
  raft.lead(2, 3)
  raft.accepted(2, 1)
  raft.accepted(3, 1)
  raft.said()
  raft.up.readIndex(1)
  raft.said()
  for (const from of [4, 4, 6, 9]) answer(raft, from, 1)
  raft.hear({ type: 'heartbeatReply', from: 2, term: term(1), round: 1, lastIndex: index(0) })
  expect(reads(raft)).toEqual([])
  answer(raft, 5, 1)
  expect(reads(raft)).toEqual([{ context: 1, index: 1 }])
})

test('a stale context confirms nothing: rounds are numbered per term, and a later term echoes none', () => {
  const raft = new Replica({ configuration: three, term: 6 })
  const heartbeat = { type: 'heartbeat', from: 2, term: term(4), commit: index(0), allPersisted: index(0) } as const
  raft.hear({ ...heartbeat, round: 31 })
  expect(raft.said()).toMatchObject([{ type: 'heartbeatReply', term: 6, round: 0 }])
  const late = leader()
  late.up.readIndex(1)
  late.said()
  late.hear({ type: 'heartbeatReply', from: 2, term: term(0), round: 1, lastIndex: index(1) })
  expect(reads(late)).toEqual([])
})

test('6.4: who loses the lead fails all its reads, those on the way and those that wait', () => {
  const raft = leader()
  raft.up.readIndex(1)
  raft.said()
  raft.up.readIndex(2)
  raft.hear({ type: 'heartbeatReply', from: 3, term: term(5), round: 0, lastIndex: index(1) })
  expect(raft.take()?.failedReads).toEqual([1, 2])
})

test('a single voter confirms reads at once and alone', () => {
  const raft = new Replica({ configuration: voters(1) })
  raft.lead()
  raft.said()
  raft.up.readIndex(1)
  const ready = raft.take()
  expect(ready?.reads).toEqual([{ context: 1, index: 1 }])
  expect(ready?.sendNow).toEqual([])
})

test('4.3: while a joint change is under way both majorities must confirm', () => {
  const configuration = { voters: [1, 2, 3].map(replica), outgoing: [1, 4, 5].map(replica), learners: [] }
  const raft = new Replica({ configuration })
  raft.lead(2, 4)
  raft.accepted(2, 1)
  raft.accepted(4, 1)
  raft.said()
  raft.up.readIndex(1)
  raft.said()
  answer(raft, 2, 1)
  answer(raft, 3, 1)
  expect(reads(raft)).toEqual([])
  answer(raft, 4, 1)
  expect(reads(raft)).toEqual([{ context: 1, index: 1 }])
})

test('6.4: a deposed leader that does not know it confirms no read', () => {
  const answers: string[] = []
  const ready = (_: Node, { reads, failedReads }: Ready) => {
    for (const { context } of reads) answers.push(`read ${context}`)
    for (const context of failedReads) answers.push(`failed ${context}`)
  }
  const cluster = new Cluster({ configuration: three, seed: 8, events: { ready } })
  const old = cluster.elect(1)
  old.up.readIndex(1)
  cluster.collect(old)
  const late = cluster.wire.splice(0)
  for (let n = 0; n < 30 && cluster.leaders.length < 2; n += 1) {
    for (const id of [2, 3]) {
      const node = cluster.node(id)
      node.up.tick()
      cluster.collect(node)
      while (node.inFlight.length > 0) cluster.persist(node)
    }
    for (const message of cluster.wire.splice(0)) if (message.to !== old.id) cluster.deliver(message)
  }
  expect(cluster.leaders).toHaveLength(2)
  for (const message of late) cluster.deliver(message)
  cluster.settle()
  expect(answers).toEqual(['failed 1'])
})

test('a follower whose term is not on disk yet answers a heartbeat only after it is', () => {
  const raft = new Replica({ configuration: three })
  raft.hear({ type: 'heartbeat', from: 2, term: term(3), commit: index(0), allPersisted: index(0), round: 4 })
  const ready = raft.take()
  expect(ready?.sendNow).toEqual([])
  expect(ready?.sendAfterPersist).toMatchObject([{ type: 'heartbeatReply', round: 4 }])
})
