import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Role } from '../../src/raft/types.js'
import { times } from '../property.js'
import { Cluster } from './cluster.js'
import { replica, voters } from './configuration.js'
import { testConfig } from './node.js'
import { index, only, Replica, type Said, term } from './replica.js'

const three = voters(1, 2, 3)
const heartbeat = (from: number, inTerm: number): Said => ({
  type: 'heartbeat',
  from,
  term: term(inTerm),
  commit: index(0),
  allPersisted: index(0),
  round: 1,
})
const vote = (from: number, inTerm: number, transfer = false): Said => ({
  type: 'vote',
  from,
  term: term(inTerm),
  lastIndex: index(99),
  lastTerm: term(inTerm - 1),
  transfer,
})
const preVote = (from: number, inTerm: number): Said => ({
  type: 'preVote',
  from,
  term: term(inTerm),
  lastIndex: index(99),
  lastTerm: term(inTerm - 1),
})

test('9.6: a follower whose wait is over asks for pre-votes and raises nobody to a new term', () => {
  const raft = new Replica({ configuration: three, term: 4 })
  raft.loseLeader()
  expect(raft.up.role).toBe('preCandidate')
  expect(raft.up.term).toBe(4)
  expect(only(raft.said(), 'preVote').map(({ to, term }) => [to, term])).toEqual([
    [2, 5],
    [3, 5],
  ])
})

test('3.4: waits are drawn from [min, max) anew', () => {
  const waits = new Set<number>()
  const raft = new Replica({ configuration: three, term: 1 })
  for (let n = 0; n < 200; n += 1) {
    raft.hear(heartbeat(2, 1))
    let wait = 0
    for (; raft.up.role === 'follower'; wait += 1) raft.up.tick()
    waits.add(wait)
  }
  expect([...waits].sort((a, b) => a - b)).toEqual([6, 7, 8, 9, 10, 11])
})

test('3.4: a vote request leaves only after the candidate has written its own vote', () => {
  const raft = new Replica({ configuration: three, term: 4 })
  raft.loseLeader()
  raft.said()
  raft.hear({ type: 'preVoteReply', from: 2, term: term(5), granted: true })
  expect(raft.up.role).toBe('candidate')
  const ready = raft.take()
  expect(ready?.hardState).toEqual({ term: 5, vote: 1, commit: 0 })
  expect(ready?.mustSync).toBe(true)
  expect(ready?.sendNow).toEqual([])
  expect(raft.persist().map(({ type, to }) => [type, to])).toEqual([
    ['vote', 2],
    ['vote', 3],
  ])
})

test('3.4: a single voter leads only once its vote is on disk, and commits only after its own fsync', () => {
  const raft = new Replica({ configuration: voters(1) })
  raft.loseLeader()
  expect(raft.up.role).toBe('candidate')
  raft.take()
  raft.persist()
  expect(raft.up.role).toBe('leader')
  raft.take()
  expect(raft.up.commit).toBe(0)
  raft.persist()
  expect(raft.up.commit).toBe(1)
  expect(raft.up.isReadyToServe()).toBe(true)
})

test('3.4: a granted vote leaves only after it is written', () => {
  const raft = new Replica({ configuration: three })
  raft.hear(vote(2, 1))
  const ready = raft.take()
  expect(ready?.sendNow).toEqual([])
  expect(only(ready!.sendAfterPersist, 'voteReply')[0]?.granted).toBe(true)
})

test('3.4: one vote a term, also over a restart; the same candidate may be told again', () => {
  const raft = new Replica({ configuration: three, term: 5, vote: 2 })
  raft.hear(vote(3, 5), vote(2, 5))
  expect(only(raft.said(), 'voteReply').map(({ to, granted }) => [to, granted])).toEqual([
    [3, false],
    [2, true],
  ])
})

test('3.4: a prospective leader that falls back in its term keeps its vote', () => {
  const raft = new Replica({ configuration: three, term: 4 })
  raft.loseLeader()
  raft.hear({ type: 'preVoteReply', from: 2, term: term(5), granted: true })
  raft.hear({ type: 'voteReply', from: 2, term: term(5), granted: false })
  raft.hear({ type: 'voteReply', from: 3, term: term(5), granted: false })
  expect(raft.up.role).toBe('follower')
  raft.said()
  raft.hear(vote(3, 5))
  expect(only(raft.said(), 'voteReply')[0]?.granted).toBe(false)
})

test('9.6: a granted pre-vote binds nobody: no term, no vote, no new wait', () => {
  const raft = new Replica({ configuration: three, term: 4 })
  raft.tick(testConfig.electionTicksMin - 1)
  raft.hear(preVote(2, 5), preVote(3, 5))
  expect(only(raft.said(), 'preVoteReply').map(({ granted, term }) => [granted, term])).toEqual([
    [true, 5],
    [true, 5],
  ])
  expect(raft.up.term).toBe(4)
  raft.tick(testConfig.electionTicksMax - testConfig.electionTicksMin)
  expect(raft.up.role).toBe('preCandidate')
})

test.each([
  { lastTerm: 2, lastIndex: 9, granted: false, why: 'an older last term' },
  { lastTerm: 3, lastIndex: 2, granted: false, why: 'a shorter log' },
  { lastTerm: 3, lastIndex: 3, granted: true, why: 'an equal log' },
  { lastTerm: 4, lastIndex: 1, granted: true, why: 'a later last term' },
])('3.6.1: votes go by the logs: $why is granted: $granted', ({ lastTerm, lastIndex, granted }) => {
  const position = { lastTerm: term(lastTerm), lastIndex: index(lastIndex) }
  for (const request of [preVote(2, 6), vote(2, 6)]) {
    const raft = new Replica({ configuration: three, log: [1, 3, 3] })
    raft.hear({ ...request, ...position } as Said)
    const [reply] = raft.said()
    expect(reply).toMatchObject({ granted })
  }
})

test('4.2.3: who hears from a live leader ignores votes and pre-votes, and does not learn their term', () => {
  const raft = new Replica({ configuration: three, term: 4 })
  raft.hear(heartbeat(2, 4))
  raft.said()
  raft.tick(testConfig.electionTicksMin - 1)
  raft.hear(vote(3, 9), preVote(3, 9))
  expect(raft.said()).toEqual([])
  expect(raft.up.term).toBe(4)
  raft.hear(vote(3, 9, true))
  expect(raft.up.term).toBe(9)
  expect(only(raft.said(), 'voteReply')[0]?.granted).toBe(true)
})

test('4.2.3: a leader is not deposed by a candidate that nobody asked for', () => {
  const raft = new Replica({ configuration: three })
  raft.lead(2)
  raft.hear(vote(3, 9), preVote(3, 9))
  expect(raft.up.role).toBe('leader')
})

test('6.2: a leader that hears from no majority for an election timeout steps down in its term', () => {
  const raft = new Replica({ configuration: three })
  raft.lead(2)
  raft.tick(testConfig.electionTicksMin + testConfig.heartbeatTicks)
  expect(raft.up.role).toBe('follower')
  expect(raft.up.term).toBe(1)
  expect(raft.take()?.leadership).toEqual({ role: 'follower', term: 1, leader: null })
})

test('6.2: a leader stays while a majority answers, and learners do not count', () => {
  const raft = new Replica({ configuration: { ...three, learners: [replica(4)] } })
  raft.lead(2)
  const answer = (from: number) =>
    raft.hear({ type: 'heartbeatReply', from, term: term(1), round: 0, lastIndex: index(1) })
  for (let n = 0; n < 50; n += 1) {
    raft.tick(1)
    answer(3)
  }
  expect(raft.up.role).toBe('leader')
  for (let n = 0; n < 8; n += 1) {
    raft.tick(1)
    answer(4)
  }
  expect(raft.up.role).toBe('follower')
})

test('3.4: votes of other terms, of learners and of strangers are not counted', () => {
  const raft = new Replica({ configuration: { ...voters(1, 2, 3, 4, 5), learners: [replica(6)] }, term: 4 })
  raft.loseLeader()
  raft.hear({ type: 'preVoteReply', from: 2, term: term(4), granted: true })
  raft.hear({ type: 'preVoteReply', from: 3, term: term(7), granted: true })
  raft.hear({ type: 'preVoteReply', from: 6, term: term(5), granted: true })
  raft.hear({ type: 'preVoteReply', from: 9, term: term(5), granted: true })
  expect(raft.up.role).toBe('preCandidate')
  raft.hear({ type: 'preVoteReply', from: 2, term: term(5), granted: true })
  raft.hear({ type: 'preVoteReply', from: 2, term: term(5), granted: true })
  expect(raft.up.role).toBe('preCandidate')
  raft.hear({ type: 'preVoteReply', from: 3, term: term(5), granted: true })
  expect(raft.up.role).toBe('candidate')
  raft.said()
  raft.hear({ type: 'voteReply', from: 2, term: term(4), granted: true })
  raft.hear({ type: 'voteReply', from: 6, term: term(5), granted: true })
  raft.hear({ type: 'voteReply', from: 3, term: term(5), granted: true })
  raft.hear({ type: 'voteReply', from: 3, term: term(5), granted: true })
  expect(raft.up.role).toBe('candidate')
  raft.hear({ type: 'voteReply', from: 2, term: term(5), granted: true })
  expect(raft.up.role).toBe('leader')
})

test('4.2.1: a learner never campaigns but may give its vote: its configuration may be the old one', () => {
  const raft = new Replica({ configuration: { ...voters(2, 3), learners: [replica(1)] } })
  raft.tick(200)
  expect(raft.up.role).toBe('follower')
  raft.hear(vote(2, 1))
  expect(only(raft.said(), 'voteReply')[0]?.granted).toBe(true)
})

test('3.4: a request for votes is repeated each heartbeat interval to who has not answered', () => {
  const raft = new Replica({ configuration: three, config: { electionTicksMax: 7 } })
  raft.tick(6)
  raft.hear({ type: 'preVoteReply', from: 3, term: term(0), granted: false })
  raft.said()
  raft.tick(testConfig.heartbeatTicks)
  expect(raft.said().map(({ type, to }) => [type, to])).toEqual([['preVote', 2]])
})

test('3.3: any message of a later term makes a candidate and a leader follow', () => {
  const raft = new Replica({ configuration: three })
  raft.lead(2)
  raft.hear({
    type: 'appendRejected',
    from: 3,
    term: term(8),
    rejectedIndex: index(1),
    hintIndex: index(0),
    hintTerm: term(0),
  })
  expect(raft.up.role).toBe('follower')
  expect(raft.up.term).toBe(8)
  expect(raft.take()?.hardState).toMatchObject({ term: 8, vote: null })
})

test('3.4: a candidate that hears the leader of its term follows it', () => {
  const raft = new Replica({ configuration: three })
  raft.loseLeader()
  raft.hear({ type: 'preVoteReply', from: 2, term: term(1), granted: true })
  raft.hear(heartbeat(3, 1))
  expect(raft.up.role).toBe('follower')
  expect(raft.up.leader).toBe(3)
})

test('9.6: a replica that was cut off comes back without deposing the leader', () => {
  const cluster = new Cluster({ configuration: three, seed: 3 })
  const leader = cluster.elect(1)
  for (let n = 0; n < 100; n += 1) {
    cluster.tick()
    cluster.collect(cluster.node(3))
    cluster.wire = cluster.wire.filter(({ from, to }) => from !== 3 && to !== 3)
    for (const id of [1, 2]) {
      cluster.collect(cluster.node(id))
      cluster.persist(cluster.node(id))
    }
    for (const message of cluster.wire.splice(0)) if (message.to !== 3) cluster.deliver(message)
  }
  expect(cluster.node(3).up.role).toBe('preCandidate')
  cluster.settle()
  cluster.tick(2)
  cluster.settle()
  expect(leader.up.role).toBe('leader')
  expect(leader.up.term).toBe(1)
  expect(cluster.node(3).up.leader).toBe(1)
})

test('9.6: a replica ahead of its leader in term says so, and is not deaf to it for ever', () => {
  const cluster = new Cluster({ configuration: three, seed: 4 })
  cluster.elect(1)
  cluster
    .node(3)
    .disk.write({ hardState: { term: term(7), vote: null, commit: index(1) }, restored: null, entries: [] })
  cluster.node(3).crash()
  cluster.node(3).start()
  for (let n = 0; n < 60; n += 1) {
    cluster.tick()
    cluster.round()
  }
  expect(cluster.leaders).toHaveLength(1)
  expect(cluster.leaders[0]!.up.term).toBeGreaterThan(7)
  expect(cluster.node(3).up.leader).toBe(cluster.leaders[0]!.id)
})

test('messages to another range, to another replica id or from itself are ignored', () => {
  const raft = new Replica({ configuration: three })
  raft.hear({ ...vote(2, 3), range: 99 } as unknown as Said, { ...vote(2, 3), to: 2 } as unknown as Said, vote(1, 3))
  expect(raft.up.term).toBe(0)
  expect(raft.said()).toEqual([])
})

test("a split's child where the parent leads campaigns at once, and no live leader holds its votes back", () => {
  const raft = new Replica({ configuration: three, start: { kind: 'campaign' } })
  expect(raft.up.role).toBe('candidate')
  expect(only(raft.said(), 'vote').map(({ term, transfer }) => [term, transfer])).toEqual([
    [1, true],
    [1, true],
  ])
})

test("a split's child elsewhere votes for nobody but the parent's leader during one election timeout", () => {
  const raft = new Replica({ configuration: three, start: { kind: 'yield', to: replica(2) } })
  raft.hear(preVote(3, 1), vote(3, 1, true))
  expect(raft.said().map((message) => 'granted' in message && message.granted)).toEqual([false, false])
  raft.hear(vote(2, 1, true))
  expect(only(raft.said(), 'voteReply')[0]?.granted).toBe(true)
  const late = new Replica({ configuration: three, start: { kind: 'yield', to: null } })
  late.tick(testConfig.electionTicksMin)
  late.hear(vote(3, 5))
  expect(only(late.said(), 'voteReply')[0]?.granted).toBe(true)
})

test('a disk that has not finished a write for an election timeout is no place for a leader', () => {
  const raft = new Replica({ configuration: three })
  raft.lead(2)
  raft.propose()
  raft.take()
  for (let n = 0; n < testConfig.electionTicksMin + testConfig.heartbeatTicks; n += 1) {
    raft.tick(1)
    for (const from of [2, 3]) {
      raft.hear({ type: 'heartbeatReply', from, term: term(1), round: 0, lastIndex: index(1) })
    }
  }
  expect(raft.up.role).toBe('follower')
  raft.tick(100)
  expect(raft.up.role).toBe('follower')
  while (raft.inFlight.length > 0) raft.persist()
  raft.loseLeader()
  expect(raft.up.role).toBe('preCandidate')
})

test('ticks told late and all at once, before the next message, are as ticks told one by one', () => {
  const ticks = fc.integer({ min: 1, max: 9 }).map((count) => ({ ticks: count, from: 0 }))
  const heard = fc.constantFrom(2, 3).map((from) => ({ ticks: 0, from }))
  const run = (steps: readonly { ticks: number; from: number }[]) => {
    const [punctual, late] = [new Replica({ configuration: three }), new Replica({ configuration: three })]
    let untold = 0
    const tell = () => {
      if (untold > 0) late.up.tick(untold)
      untold = 0
    }
    for (const step of steps) {
      for (let count = 0; count < step.ticks; count++) {
        punctual.tick(1)
        untold++
        if (untold === late.up.ticksUntilDue) tell()
        expect(late.said()).toEqual(punctual.said())
      }
      if (step.from === 0) continue
      tell()
      const said = whatHelps(punctual.up.role, punctual.up.term, step.from)
      for (const raft of [punctual, late]) raft.hear(said)
      expect(late.said()).toEqual(punctual.said())
    }
    tell()
    expect([late.up.role, late.up.term]).toEqual([punctual.up.role, punctual.up.term])
  }
  fc.assert(fc.property(fc.array(fc.oneof(ticks, heard), { maxLength: 80 }), run), times(500, 17))
})

/** What a replica in this role waits for. */
function whatHelps(role: Role, inTerm: number, from: number): Said {
  if (role === 'preCandidate') return { type: 'preVoteReply', from, term: term(inTerm + 1), granted: true }
  if (role === 'candidate') return { type: 'voteReply', from, term: term(inTerm), granted: true }
  if (role === 'leader') return { type: 'appendAccepted', from, term: term(inTerm), matchIndex: index(1) }
  return heartbeat(from, inTerm + 1)
}
