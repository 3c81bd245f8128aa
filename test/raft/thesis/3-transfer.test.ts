import { expect, test } from 'vitest'
import { Cluster } from '../cluster.js'
import { configuration, replica, voters } from '../configuration.js'
import { testConfig } from '../node.js'
import { index, only, Replica, type Said, term } from '../replica.js'

const three = voters(1, 2, 3)

function leader(configuration = three): Replica {
  const raft = new Replica({ configuration })
  raft.lead(2)
  raft.accepted(2, 1)
  raft.said()
  return raft
}

const heartbeat = (from: number, inTerm: number): Said => {
  return { type: 'heartbeat', from, term: term(inTerm), commit: index(0), allPersisted: index(0), round: 1 }
}
const vote = (from: number, inTerm: number, transfer: boolean): Said => {
  return { type: 'vote', from, term: term(inTerm), lastIndex: index(99), lastTerm: term(inTerm - 1), transfer }
}

test('3.10: the lead is handed to who has the whole log, at once or when it has', () => {
  const raft = leader()
  raft.propose()
  raft.said()
  expect(raft.up.transferLead(replica(2))).toBe(true)
  expect(only(raft.said(), 'timeoutNow')).toEqual([])
  raft.accepted(2, 2)
  expect(only(raft.said(), 'timeoutNow').map(({ to }) => to)).toEqual([2])
  const ready = leader()
  ready.up.transferLead(replica(2))
  expect(only(ready.said(), 'timeoutNow')).toHaveLength(1)
})

test('3.10: while the lead is handed on no proposal is taken, and no other transfer begins', () => {
  const raft = leader()
  raft.up.transferLead(replica(2))
  expect([raft.up.isTransferring, raft.up.canPropose(), raft.up.canChangeConfiguration()]).toEqual([true, false, false])
  expect(() => raft.propose()).toThrow('while the lead is handed on')
  expect(raft.up.transferLead(replica(3))).toBe(false)
  expect(raft.up.transferLead(replica(2))).toBe(true)
})

test('3.10: a transfer that does not come about is given up after an election timeout', () => {
  const raft = leader()
  raft.up.transferLead(replica(2))
  raft.said()
  let asked = 0
  for (let n = 0; n < testConfig.electionTicksMin + testConfig.heartbeatTicks; n += 1) {
    raft.tick(1)
    raft.hear({ type: 'heartbeatReply', from: 3, term: term(1), round: 0, lastIndex: index(1) })
    asked += only(raft.said(), 'timeoutNow').length
  }
  expect(asked, 'a lost request is made good').toBeGreaterThan(0)
  expect([raft.up.role, raft.up.isTransferring, raft.up.canPropose()]).toEqual(['leader', false, true])
})

test('3.10: the lead is handed to voters only', () => {
  const raft = leader(configuration({ voters: [1, 2, 3], learners: [4] }))
  raft.accepted(4, 1)
  for (const id of [1, 4, 9]) expect(raft.up.transferLead(replica(id))).toBe(false)
  const follower = new Replica({ configuration: three })
  expect(follower.up.transferLead(replica(2))).toBe(false)
})

test('3.10: who is asked by its leader campaigns at once, without pre-vote', () => {
  const raft = new Replica({ configuration: three, term: 4 })
  raft.hear(heartbeat(2, 4), { type: 'timeoutNow', from: 2, term: term(4) })
  expect([raft.up.role, raft.up.term]).toEqual(['candidate', 5])
  expect(only(raft.said(), 'vote').every(({ transfer }) => transfer)).toBe(true)
})

test('3.10: nobody but the leader of the term is obeyed, and only by a voter that may campaign', () => {
  const stranger = new Replica({ configuration: three, term: 4 })
  stranger.hear(heartbeat(2, 4), { type: 'timeoutNow', from: 3, term: term(4) })
  stranger.hear({ type: 'timeoutNow', from: 2, term: term(3) })
  expect(stranger.up.role).toBe('follower')
  const unfit = new Replica({ configuration: three, term: 4 })
  unfit.up.setFitness({ mayCampaign: false, needsSnapshot: false })
  unfit.hear(heartbeat(2, 4), { type: 'timeoutNow', from: 2, term: term(4) })
  expect(unfit.up.role).toBe('follower')
})

test('3.10: a whole transfer takes no election timeout', () => {
  const cluster = new Cluster({ configuration: three, seed: 6 })
  const old = cluster.elect(1)
  old.up.transferLead(replica(3))
  cluster.settle()
  expect(cluster.leaders.map(({ id }) => id)).toEqual([3])
  expect(cluster.node(3).up.isReadyToServe()).toBe(true)
})

test('6.4.1: a leader that has begun to hand the lead on has no lease for the rest of its term', () => {
  const raft = leader()
  expect(raft.up.mayLease).toBe(true)
  raft.up.transferLead(replica(2))
  expect(raft.up.mayLease).toBe(false)
  for (let n = 0; n < 3 * testConfig.electionTicksMin; n += 1) {
    raft.tick(1)
    raft.hear({ type: 'heartbeatReply', from: 3, term: term(1), round: 0, lastIndex: index(1) })
  }
  expect([raft.up.role, raft.up.isTransferring, raft.up.mayLease]).toEqual(['leader', false, false])
})

test('6.4.1: a voter is bound to the leader it heard for an election timeout, also after it learned of a later term', () => {
  const raft = new Replica({ configuration: three, term: 4 })
  raft.hear(heartbeat(2, 4))
  raft.hear({ type: 'preVoteReply', from: 3, term: term(5), granted: false })
  raft.said()
  expect([raft.up.term, raft.up.leader]).toEqual([5, null])
  raft.hear(vote(3, 5, false), vote(3, 6, false))
  expect(raft.said()).toEqual([])
  raft.tick(testConfig.electionTicksMin)
  raft.hear(vote(3, 6, false))
  expect(only(raft.said(), 'voteReply').map(({ granted }) => granted)).toEqual([true])
})

test('6.4.1: who was just started votes for nobody in one election timeout, but for whom a leader asked to campaign', () => {
  const raft = new Replica({ configuration: three, term: 4, fresh: true })
  raft.tick(testConfig.electionTicksMin - 1)
  raft.hear(vote(3, 5, false))
  expect(raft.said()).toEqual([])
  raft.hear(vote(3, 5, true))
  expect(only(raft.said(), 'voteReply').map(({ granted }) => granted)).toEqual([true])
})

test('6.4.1: rounds of broadcasts tell how far a majority has answered', () => {
  const raft = leader()
  expect(raft.up.readRounds).toEqual({ last: 0, confirmed: 0 })
  raft.tick(testConfig.heartbeatTicks)
  raft.said()
  expect(raft.up.readRounds).toEqual({ last: 1, confirmed: 0 })
  raft.hear({ type: 'heartbeatReply', from: 3, term: term(1), round: 1, lastIndex: index(1) })
  expect(raft.up.readRounds).toEqual({ last: 1, confirmed: 1 })
  raft.up.stepDown()
  expect(raft.up.readRounds).toEqual({ last: 0, confirmed: 0 })
})

test('a replica that may not campaign gives up the lead, votes and acknowledges', () => {
  const raft = leader()
  raft.up.setFitness({ mayCampaign: false, needsSnapshot: false })
  expect(raft.up.role).toBe('follower')
  for (let n = 0; n < 100; n += 1) raft.tick(1)
  expect(raft.up.role).toBe('follower')
  raft.hear(vote(3, 7, false))
  expect(only(raft.said(), 'voteReply').map(({ granted }) => granted)).toEqual([true])
})

test('the bytes that wait to be committed are bounded: the last command may exceed the bound', () => {
  const raft = new Replica({ configuration: three, config: { uncommittedBytesMax: 20 } })
  raft.lead(2)
  raft.accepted(2, 1)
  raft.propose(15)
  expect(raft.up.canPropose()).toBe(true)
  raft.propose(15)
  expect(raft.up.canPropose()).toBe(false)
  expect(() => raft.propose(1)).toThrow('proposed beyond the bound')
  raft.said()
  raft.accepted(2, 2)
  expect(raft.up.canPropose()).toBe(true)
})
