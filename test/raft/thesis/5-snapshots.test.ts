import { expect, test } from 'vitest'
import type { Version } from '../../../src/base/ids.js'
import type { Entry, Message, SnapshotPoint } from '../../../src/raft/types.js'
import { Cluster } from '../cluster.js'
import { configuration, encodeConfiguration, nobody, replica, voters } from '../configuration.js'
import { testConfig } from '../node.js'
import { entries, entry, index, only, Replica, type Said, term } from '../replica.js'

const three = voters(1, 2, 3)

const append = (previous: readonly [number, number], inTerm: number, sent: readonly Entry[], commit = 0): Said => ({
  type: 'append',
  from: 2,
  term: term(inTerm),
  previousIndex: index(previous[0]),
  previousTerm: term(previous[1]),
  entries: sent,
  commit: index(commit),
  allPersisted: index(0),
})
const reply = (from: number, parts: { round?: number; last: number; needs?: boolean; boot?: number }): Said => ({
  type: 'heartbeatReply',
  from,
  boot: parts.boot ?? from,
  term: term(1),
  round: parts.round ?? 0,
  lastIndex: index(parts.last),
  needsSnapshot: parts.needs ?? false,
})
const refusal = (rejected: number, hint: readonly [number, number], needsSnapshot = false): Said => ({
  type: 'appendRejected',
  from: 2,
  term: term(1),
  rejectedIndex: index(rejected),
  hintIndex: index(hint[0]),
  hintTerm: term(hint[1]),
  needsSnapshot,
})

function point(at: number, inTerm: number, config = three): SnapshotPoint {
  return { index: index(at), term: term(inTerm), timestamp: (inTerm * 1_000 + at) as Version, configuration: config }
}

/** A staged snapshot with `at` entries of the given term. */
function restore(raft: Replica, at: SnapshotPoint): boolean {
  const applied = entries(
    1,
    Array.from({ length: at.index }, () => at.term),
  )
  return raft.restore({ point: at, state: { birth: at.configuration, applied } })
}

/** Leads 2 and 3 in term 1, with six entries that 3 has and 2 has not, and a log that begins behind the fourth. */
function leaderOfTruncated(): Replica {
  const raft = new Replica({ configuration: three })
  raft.lead(3)
  raft.accepted(3, 1)
  for (let n = 0; n < 5; n += 1) raft.propose()
  raft.said()
  raft.accepted(3, 6)
  raft.apply()
  raft.checkpoint(2)
  return raft
}

const appends = (messages: readonly Message[], to: number) =>
  only(messages, 'append')
    .filter((message) => message.to === to)
    .map(({ previousIndex, entries }) => [previousIndex, entries.length])
const state = (raft: Replica) => raft.up.status().progress.find(({ replica }) => replica === 2)
const asked = (raft: Replica) => {
  const asked: number[] = []
  for (let ready = raft.take(); ready !== null; ready = raft.take()) asked.push(...ready.snapshots)
  while (raft.inFlight.length > 0) raft.persist()
  return asked
}

test('5: who lacks what is no longer in the log is asked to be sent a snapshot, once, and gets no appends meanwhile', () => {
  const raft = leaderOfTruncated()
  raft.hear(reply(2, { last: 0 }))
  raft.said()
  raft.hear(refusal(4, [0, 0]))
  expect(state(raft)).toMatchObject({ state: 'snapshot', match: 0 })
  expect(asked(raft)).toEqual([2])
  raft.hear(reply(2, { last: 0 }))
  raft.propose()
  expect(asked(raft)).toEqual([])
  expect(appends(raft.said(), 2)).toEqual([])
})

test('5: whose log parts from ours below the place where ours begins needs a snapshot', () => {
  const raft = leaderOfTruncated()
  raft.hear(refusal(0, [0, 0]))
  // Its place was unknown when the log was cut: it is probed where the log begins.
  for (let n = 0; n < 2; n += 1) {
    raft.tick(testConfig.heartbeatTicks)
    raft.said()
    raft.hear(reply(2, { last: 9 }))
  }
  expect(appends(raft.said(), 2)).toEqual([[4, 2]])
  raft.hear(refusal(4, [3, 1]))
  expect(state(raft)).toMatchObject({ state: 'snapshot' })
})

test('5: who matches where the log begins needs none', () => {
  const raft = leaderOfTruncated()
  for (let n = 0; n < 2; n += 1) {
    raft.tick(testConfig.heartbeatTicks)
    raft.said()
    raft.hear(reply(2, { last: 5 }))
  }
  expect(appends(raft.said(), 2)).toEqual([[4, 2]])
  raft.accepted(2, 6)
  expect(state(raft)).toMatchObject({ state: 'replicate', match: 6 })
})

test('5: who does not answer appends, and whose place fell below where the log begins meanwhile, needs a snapshot', () => {
  const raft = new Replica({ configuration: three })
  raft.lead(3)
  raft.accepted(2, 1)
  raft.accepted(3, 1)
  // More than its window: it was sent up to 5.
  for (let n = 0; n < 6; n += 1) {
    raft.propose()
    raft.said()
    raft.accepted(3, n + 2)
  }
  expect(state(raft)).toMatchObject({ state: 'replicate', match: 1, next: 6 })
  raft.apply()
  raft.checkpoint(1)
  for (let n = 0; n < 2; n += 1) {
    raft.tick(testConfig.heartbeatTicks)
    raft.hear(reply(2, { last: 5 }), reply(3, { last: 7 }))
  }
  expect(asked(raft)).toEqual([2])
  expect(state(raft)).toMatchObject({ state: 'snapshot', match: 1 })
})

test('5: after a snapshot appends go on behind it; after one that failed it is probed again an election timeout later', () => {
  const raft = leaderOfTruncated()
  raft.hear(refusal(0, [0, 0], true))
  expect(asked(raft)).toEqual([2])
  raft.up.snapshotSent(replica(2), { index: index(6) })
  expect(state(raft)).toMatchObject({ state: 'probe', next: 7 })
  raft.accepted(2, 6)
  expect(state(raft)).toMatchObject({ state: 'replicate', match: 6, next: 7 })

  const failed = leaderOfTruncated()
  failed.hear(refusal(0, [0, 0], true))
  asked(failed)
  failed.up.snapshotSent(replica(2), null)
  failed.hear(reply(2, { last: 0, needs: true }), reply(3, { last: 6 }))
  expect(asked(failed)).toEqual([])
  for (let n = 0; n < testConfig.electionTicksMin; n += 1) {
    failed.tick(1)
    failed.hear(reply(3, { last: 6 }))
  }
  failed.said()
  failed.hear(reply(2, { last: 0, needs: true }))
  expect(appends(failed.said(), 2)).toEqual([[4, 2]])
  failed.hear(refusal(4, [0, 0], true))
  expect(asked(failed)).toEqual([2])
})

test('5: one stream at a time goes to a replica, also when it was started again meanwhile', () => {
  const raft = leaderOfTruncated()
  raft.hear(refusal(0, [0, 0], true))
  expect(asked(raft)).toEqual([2])
  raft.hear(reply(2, { last: 0, needs: true, boot: 77 }))
  expect(asked(raft)).toEqual([])
  raft.hear({ ...refusal(4, [0, 0], true), boot: 77 })
  expect(asked(raft)).toEqual([])
})

test('5: nobody streams to who does not answer', () => {
  const raft = leaderOfTruncated()
  raft.accepted(2, 1)
  for (let n = 0; n < 20; n += 1) {
    raft.tick(1)
    raft.hear(reply(3, { last: 6 }))
    expect(asked(raft)).toEqual([])
  }
})

test('5: a replica whose state is lost says so, goes on acknowledging, and does not campaign', () => {
  const raft = new Replica({ configuration: three, log: [1], term: 1 })
  raft.up.setFitness({ mayCampaign: false, needsSnapshot: true })
  raft.hear(append([1, 1], 1, [entry({ index: 2, term: 1 })]))
  expect(only(raft.said(), 'appendAccepted').map(({ matchIndex }) => matchIndex)).toEqual([2])
  raft.hear({ type: 'heartbeat', from: 2, term: term(1), commit: index(2), allPersisted: index(0), round: 1 })
  expect(only(raft.said(), 'heartbeatReply').map(({ needsSnapshot }) => needsSnapshot)).toEqual([true])
  const leader = leaderOfTruncated()
  leader.accepted(2, 6)
  leader.hear(reply(2, { last: 6, needs: true }))
  expect(asked(leader)).toEqual([2])
  expect(state(leader)).toMatchObject({ state: 'replicate', match: 6 })
  leader.propose()
  expect(appends(leader.said(), 2)).toEqual([[6, 1]])
})

test('5: a restored snapshot is acknowledged once its switch is on disk, and not before', () => {
  const raft = new Replica({ configuration: three, term: 3 })
  raft.hear(append([9, 3], 3, []))
  raft.said()
  expect(restore(raft, point(8, 2))).toBe(true)
  const ready = raft.take()
  expect(ready).toMatchObject({
    restored: { index: 8, term: 2 },
    mustSync: true,
    hardState: { commit: 8 },
    entries: [],
  })
  expect(only(ready!.sendNow, 'appendAccepted')).toEqual([])
  expect(raft.up.status().persisted).toBe(0)
  expect(only(raft.persist(), 'appendAccepted').map(({ matchIndex }) => matchIndex)).toEqual([8])
  expect(raft.up.status()).toMatchObject({ persisted: 8, commit: 8, lastIndex: 8 })
})

test('5: what is appended right behind a restored snapshot is acknowledged after both', () => {
  const raft = new Replica({ configuration: three, term: 3 })
  raft.hear(append([9, 3], 3, []))
  raft.said()
  restore(raft, point(8, 3))
  raft.take()
  raft.hear(append([8, 3], 3, entries(9, [3])))
  expect(raft.take()).toMatchObject({ restored: null, sendNow: [], entries: [{ index: 9 }] })
  expect(only(raft.persist(), 'appendAccepted').map(({ matchIndex }) => matchIndex)).toEqual([8])
  expect(only(raft.persist(), 'appendAccepted').map(({ matchIndex }) => matchIndex)).toEqual([9])
})

test('5: a log that has the place keeps what lies behind it; another log is replaced', () => {
  const within = new Replica({ configuration: three, log: [1, 1, 2, 2, 2], commit: 1 })
  expect(restore(within, point(3, 2))).toBe(true)
  expect(within.up.lastIndex).toBe(5)
  within.said()
  expect(within.disk.lastIndex).toBe(5)
  const other = new Replica({ configuration: three, log: [1, 1, 1, 1, 1], commit: 1, term: 2 })
  expect(restore(other, point(3, 2))).toBe(true)
  expect(other.up.lastIndex).toBe(3)
  other.said()
  expect([other.disk.lastIndex, other.disk.truncated]).toEqual([3, { index: 3, term: 2 }])
})

test('5: entries of the snapshot that were not written yet never are, those behind it are', () => {
  const raft = new Replica({ configuration: three, term: 1 })
  raft.hear(append([0, 0], 1, entries(1, [1, 1, 1, 1])))
  expect(restore(raft, point(3, 1))).toBe(true)
  const ready = raft.take()
  expect(ready).toMatchObject({ restored: { index: 3 }, entries: [{ index: 4 }] })
  raft.persist()
  expect(raft.up.status().persisted).toBe(4)
  expect(raft.disk.lastIndex).toBe(4)
})

test('5: a write of the replaced log that ends after the restore counts for nothing', () => {
  const raft = new Replica({ configuration: three, term: 2 })
  raft.hear({ ...append([0, 0], 2, entries(1, [1, 1, 1, 1, 1])) })
  raft.take()
  restore(raft, point(3, 2))
  raft.take()
  raft.persist()
  expect(raft.up.status().persisted).toBe(0)
  raft.persist()
  expect(raft.up.status().persisted).toBe(3)
})

test('5: a snapshot of what is here already is thrown away, and so is any that comes to a leader', () => {
  const raft = new Replica({ configuration: three, log: [1, 1, 1], commit: 3 })
  expect(restore(raft, point(3, 1))).toBe(false)
  raft.up.setFitness({ mayCampaign: false, needsSnapshot: true })
  expect(restore(raft, point(3, 1))).toBe(true)
  const leader = new Replica({ configuration: three })
  leader.lead(2)
  expect(restore(leader, point(9, 1))).toBe(false)
})

test('5: the configuration comes with the snapshot, that of entries behind it stays in force', () => {
  const next = configuration({ voters: [1, 2, 3], learners: [4] })
  const raft = new Replica({ configuration: three, term: 1 })
  const change = { ...entry({ index: 3, term: 1 }), kind: 'configuration' as const, payload: encodeConfiguration(next) }
  raft.hear(append([0, 0], 1, [...entries(1, [1, 1]), change]))
  restore(raft, point(2, 1, voters(1, 2)))
  expect(raft.up.configuration).toEqual(next)
  raft.hear(append([2, 1], 2, entries(3, [2])))
  expect(raft.up.configuration).toEqual(voters(1, 2))
})

test('5: an append that begins below the truncation point is taken from there on', () => {
  const raft = new Replica({ configuration: three, log: [1, 1, 1, 1], commit: 4, applied: 4 })
  raft.truncateTo(4)
  raft.hear(append([1, 1], 1, entries(2, [1, 1, 1, 1]), 5))
  expect([raft.up.lastIndex, raft.up.commit]).toEqual([5, 5])
})

test('4.2.1: a replica without a state takes no appends, asks for a snapshot, and neither votes nor campaigns', () => {
  const raft = new Replica({ configuration: nobody })
  raft.hear(append([0, 0], 1, entries(1, [1])))
  expect(raft.said()).toMatchObject([{ type: 'appendRejected', needsSnapshot: true }])
  const place = { lastIndex: index(9), lastTerm: term(9) }
  raft.tick(testConfig.electionTicksMin)
  raft.hear({ type: 'vote', from: 3, term: term(9), ...place, transfer: true })
  raft.hear({ type: 'preVote', from: 3, term: term(9), ...place })
  expect(raft.said()).toEqual([])
  for (let n = 0; n < 100; n += 1) raft.tick(1)
  expect([raft.up.role, raft.up.term]).toEqual(['follower', 1])
})

test('4.2.1: one whose log vouches for its id votes without a state, once a term, and acknowledges nothing before it has one', () => {
  const raft = new Replica({ configuration: nobody, vouched: true })
  const place = { lastIndex: index(9), lastTerm: term(8) }
  raft.hear({ type: 'preVote', from: 3, term: term(9), ...place })
  raft.hear({ type: 'vote', from: 3, term: term(9), ...place, transfer: false })
  raft.hear({ type: 'vote', from: 2, term: term(9), ...place, transfer: false })
  expect(raft.said()).toMatchObject([
    { type: 'preVoteReply', to: 3, granted: true },
    { type: 'voteReply', to: 3, granted: true },
    { type: 'voteReply', to: 2, granted: false },
  ])
  raft.hear(append([0, 0], 9, entries(1, [9])))
  expect(raft.said()).toMatchObject([{ type: 'appendRejected', needsSnapshot: true }])
  for (let n = 0; n < 100; n += 1) raft.tick(1)
  expect([raft.up.role, raft.up.term]).toEqual(['follower', 9])
})

test('4.2.1: what a replica without a state refused before it had its snapshot asks for no second one', () => {
  const raft = leaderOfTruncated()
  raft.accepted(2, 6)
  raft.hear(refusal(6, [0, 0], true))
  expect([state(raft)?.state, asked(raft)]).toEqual(['replicate', []])
})

test('5: a replica that was down while the log was truncated catches up by a snapshot', () => {
  const cluster = new Cluster({ configuration: three, seed: 12 })
  const leader = cluster.elect(1)
  cluster.node(3).crash()
  for (let n = 0; n < 9; n += 1) {
    cluster.propose(leader)
    cluster.settle()
  }
  leader.checkpoint(1)
  cluster.node(3).start()
  cluster.run(40)
  expect(cluster.node(3).appliedIndex).toBe(leader.up.lastIndex)
  expect(cluster.node(3).disk.truncated.index).toBeGreaterThan(5)
})

test('what was lost of a configuration is in force again once it is repaired', () => {
  const next = configuration({ voters: [1, 2, 3], learners: [4] })
  const raft = new Replica({ configuration: three, log: [1, 1], term: 1 })
  expect(raft.up.configuration).toEqual(three)
  const lost = { ...entry({ index: 2, term: 1 }), kind: 'configuration' as const, payload: encodeConfiguration(next) }
  raft.up.repaired({ ...lost, term: term(2) })
  expect(raft.up.configuration).toEqual(three)
  raft.up.repaired(lost)
  expect(raft.up.configuration).toEqual(next)
})
