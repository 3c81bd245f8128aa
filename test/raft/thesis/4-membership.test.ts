import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Version } from '../../../src/base/ids.js'
import { mayFollow } from '../../../src/raft/configurations.js'
import type { Configuration, Entry } from '../../../src/raft/types.js'
import { Cluster } from '../cluster.js'
import { configuration, encodeConfiguration, replica, voters } from '../configuration.js'
import { entry, index, only, Replica, type Said, term } from '../replica.js'

const three = voters(1, 2, 3)

function configurationEntry(at: { index: number; term: number }, next: Configuration): Entry {
  return { ...entry(at), kind: 'configuration', payload: encodeConfiguration(next) }
}

function append(previous: readonly [number, number], inTerm: number, entries: readonly Entry[], commit = 0): Said {
  const [previousIndex, previousTerm] = [index(previous[0]), term(previous[1])]
  const place = { previousIndex, previousTerm, commit: index(commit), allPersisted: index(0) }
  return { type: 'append', from: 2, term: term(inTerm), ...place, entries }
}

/** Leads, with its first entry committed, and proposes configurations. */
class Leader extends Replica {
  constructor(configuration: Configuration, log: readonly number[] = []) {
    super({ configuration, log })
    const others = [...configuration.voters, ...configuration.outgoing].filter((id) => id !== 1)
    this.lead(...others)
    for (const id of others) this.accepted(id, this.up.lastIndex)
    this.said()
  }

  change(next: Configuration): boolean {
    const timestamp = (this.up.lastTimestamp + 1) as Version
    return this.up.propose({ kind: 'configuration', timestamp, payload: encodeConfiguration(next) }) !== null
  }
}

test('4.1: a configuration is in force as soon as it is in the log, and goes when its entry is cut', () => {
  const raft = new Replica({ configuration: three, term: 1 })
  const four = configuration({ voters: [1, 2, 3], learners: [4] })
  raft.hear(append([0, 0], 1, [entry({ index: 1, term: 1 }), configurationEntry({ index: 2, term: 1 }, four)]))
  expect(raft.up.commit).toBe(0)
  expect(raft.up.configuration).toEqual(four)
  raft.hear(append([1, 1], 2, [entry({ index: 2, term: 2 })]))
  expect(raft.up.configuration).toEqual(three)
})

test('4.1: after a restart the last configuration of the log is in force, committed or not', () => {
  const raft = new Replica({ configuration: three, term: 1 })
  const changes = [configuration({ voters: [1, 2, 3], learners: [4] }), configuration({ voters: [1, 2] })]
  raft.hear(append([0, 0], 1, [configurationEntry({ index: 1, term: 1 }, changes[0]!)], 1))
  raft.hear(append([1, 1], 1, [configurationEntry({ index: 2, term: 1 }, changes[1]!)], 1))
  raft.said()
  raft.crash()
  raft.start()
  expect(raft.up.configuration).toEqual(changes[1])
  raft.hear(append([1, 1], 2, [entry({ index: 2, term: 2 })]))
  expect(raft.up.configuration).toEqual(changes[0])
})

test('4.1: no change before an entry of the own term is committed', () => {
  const raft = new Replica({ configuration: three, log: [1] })
  raft.lead(2)
  raft.accepted(2, 1)
  expect(raft.up.canChangeConfiguration()).toBe(false)
  const payload = encodeConfiguration(configuration({ voters: [1, 2] }))
  expect(raft.up.propose({ kind: 'configuration', timestamp: 99_999 as Version, payload })).toBe(null)
  raft.accepted(2, 2)
  expect(raft.up.canChangeConfiguration()).toBe(true)
})

test('4.1: one change at a time', () => {
  const raft = new Leader(three)
  expect(raft.change(configuration({ voters: [1, 2, 3], learners: [4] }))).toBe(true)
  expect(raft.up.canChangeConfiguration()).toBe(false)
  expect(raft.change(configuration({ voters: [1, 2, 3] }))).toBe(false)
  raft.said()
  raft.accepted(3, 2)
  expect(raft.up.canChangeConfiguration()).toBe(true)
})

test('4.1: the majorities of a configuration and of the one that follows it always meet', () => {
  const ids = fc.uniqueArray(fc.integer({ min: 1, max: 5 }).map(replica), { minLength: 1, maxLength: 4 })
  const sets = fc.record({ voters: ids, outgoing: fc.oneof(fc.constant([]), ids), learners: fc.constant([]) })
  const pairs = fc.tuple(sets, sets, fc.constantFrom('any', 'into', 'out of')).map(([current, next, kind]) => {
    if (kind === 'into') return { current: { ...current, outgoing: [] }, next: { ...next, outgoing: current.voters } }
    return { current, next: kind === 'out of' ? { ...current, outgoing: [] } : next }
  })
  let followed = 0
  fc.assert(
    fc.property(pairs, ({ current, next }) => {
      if (!mayFollow(current, next)) return true
      followed += 1
      return quorums(current).every((one) => quorums(next).every((other) => (one & other) !== 0))
    }),
    { seed: 41, numRuns: 3_000 },
  )
  expect(followed).toBeGreaterThan(1_000)
})

/** Every set of the five replicas, as bits, that holds more than half of each set of voters. */
function quorums({ voters, outgoing }: Configuration): number[] {
  const sets = [voters, outgoing].filter((set) => set.length > 0)
  const has = (bits: number, id: number) => ((bits >> id) & 1) === 1
  const isQuorum = (bits: number) => sets.every((set) => set.filter((id) => has(bits, id)).length * 2 > set.length)
  return Array.from({ length: 64 }, (_, bits) => bits).filter(isQuorum)
}

test.each([
  ['one voter more', three, voters(1, 2, 3, 4), true],
  ['one voter less', three, voters(1, 2), true],
  ['one for another at once', three, voters(1, 2, 4), false],
  ['nobody', three, voters(), false],
  ['one named twice', three, voters(1, 2, 2), false],
  ['a voter that is a learner', three, configuration({ voters: [1, 2, 3], learners: [3] }), false],
  ['into a joint change', three, configuration({ voters: [1, 4], outgoing: [1, 2, 3] }), true],
  ['into one that leaves others', three, configuration({ voters: [1, 2], outgoing: [1, 2] }), false],
  ['out of it', configuration({ voters: [1, 4], outgoing: [1, 2, 3] }), voters(1, 4), true],
  ['out of it backwards', configuration({ voters: [1, 4], outgoing: [1, 2, 3] }), three, false],
  [
    'on in it',
    configuration({ voters: [1, 4], outgoing: [1, 2, 3] }),
    configuration({ voters: [1], outgoing: [1, 4] }),
    false,
  ],
])('4.1, 4.3: %s', (_, current, next, may) => {
  expect(mayFollow(current, next)).toBe(may)
})

test('4.2.1: who is new is a learner first, gets the log, and votes once it has acknowledged some of it', () => {
  const raft = new Leader(three)
  expect(raft.change(voters(1, 2, 3, 4))).toBe(false)
  raft.change(configuration({ voters: [1, 2, 3], learners: [4] }))
  expect(only(raft.said(), 'append').some(({ to }) => to === 4)).toBe(true)
  raft.accepted(2, 2)
  expect(raft.up.commit).toBe(2)
  expect(raft.change(voters(1, 2, 3, 4))).toBe(false)
  raft.accepted(4, 2)
  expect(raft.change(voters(1, 2, 3, 4))).toBe(true)
})

test('4.2.1: a learner counts in no majority, neither for commits nor for votes nor for reads', () => {
  const raft = new Leader(configuration({ voters: [1, 2, 3], learners: [4, 5, 6] }))
  raft.propose()
  raft.up.readIndex(1)
  raft.said()
  for (const from of [4, 5, 6]) {
    raft.accepted(from, 2)
    raft.hear({ type: 'heartbeatReply', from, term: term(1), round: 1, lastIndex: index(2) })
  }
  expect(raft.up.commit).toBe(1)
  expect(raft.take()?.reads ?? []).toEqual([])
})

test('4.2.2: a leader that is out leads until that is committed, without counting itself, and hands the lead on', () => {
  const raft = new Leader(three)
  expect(raft.change(configuration({ voters: [2, 3] }))).toBe(true)
  raft.said()
  raft.accepted(2, 2)
  expect([raft.up.role, raft.up.commit]).toEqual(['leader', 1])
  raft.accepted(3, 2)
  expect([raft.up.role, raft.up.commit]).toEqual(['follower', 2])
  expect(only(raft.said(), 'timeoutNow').map(({ to }) => to)).toEqual([2])
})

test('4.2.2: who is out by a change that is not known to be committed campaigns, and leads to commit it', () => {
  const cluster = new Cluster({ configuration: voters(1, 2), seed: 7 })
  const leader = cluster.elect(1)
  expect(cluster.change(leader, configuration({ voters: [2] }))).toBe(true)
  cluster.collect(leader)
  cluster.persist(leader)
  cluster.wire = []
  leader.crash()
  leader.start()
  cluster.run(60)
  expect(cluster.node(2).up.role).toBe('leader')
  expect(cluster.node(2).up.configuration).toEqual(voters(2))
})

test('4.2.2: who is out by a committed change never campaigns', () => {
  const raft = new Replica({ configuration: three, term: 1 })
  raft.hear(append([0, 0], 1, [configurationEntry({ index: 1, term: 1 }, voters(2, 3))], 1))
  raft.tick(1)
  for (let n = 0; n < 100; n += 1) raft.tick(1)
  expect(raft.up.role).toBe('follower')
})

test('4.2.3: a voter that was removed and does not know it disturbs nobody', () => {
  const cluster = new Cluster({ configuration: three, seed: 9 })
  const leader = cluster.elect(1)
  cluster.change(leader, voters(1, 2))
  const isFor3 = ({ to }: { to: number }) => to === 3
  for (let n = 0; n < 100; n += 1) {
    cluster.tick()
    for (const node of cluster.up) cluster.collect(node)
    for (const node of cluster.up) while (node.inFlight.length > 0) cluster.persist(node)
    for (const message of cluster.wire.splice(0)) if (!isFor3(message) || message.from === 2) cluster.deliver(message)
  }
  expect(cluster.node(3).up.configuration).toEqual(three)
  expect(cluster.node(3).up.role).toBe('preCandidate')
  expect([leader.up.role, leader.up.term]).toEqual(['leader', 1])
})

test.each([1, 2, 3, 4])(
  '4.2.4: at every step of a replacement, replica %i may go down with the change in some logs only',
  (down) => {
    const cluster = new Cluster({ configuration: three, seed: 40 + down })
    cluster.elect(1)
    cluster.place(4, null).start({ kind: 'follow' }, true)
    const steps = [
      configuration({ voters: [1, 2, 3], learners: [4] }),
      configuration({ voters: [1, 2, 4], outgoing: [1, 2, 3] }),
      voters(1, 2, 4),
    ]
    for (const step of steps) {
      expect(cluster.change(cluster.leaders[0]!, step)).toBe(true)
      cluster.collect(cluster.leaders[0]!)
      cluster.node(down).crash()
      cluster.run(60)
      expect(cluster.leaders).toHaveLength(1)
      const leader = cluster.leaders[0]!
      expect(cluster.propose(leader)).toBe(true)
      cluster.settle()
      expect(leader.up.commit).toBe(leader.up.lastIndex)
      // Who went down with the change in its log alone, before any other had it, took it along.
      if (JSON.stringify(leader.up.configuration) !== JSON.stringify(step)) cluster.change(leader, step)
      cluster.node(down).start()
      cluster.run(30)
      expect(cluster.leaders[0]!.up.configuration).toEqual(step)
    }
  },
)

test('4.3: in a joint configuration elections need both majorities', () => {
  const raft = new Replica({ configuration: configuration({ voters: [1, 4, 5], outgoing: [1, 2, 3] }) })
  raft.loseLeader()
  const grant = (from: number) => raft.hear({ type: 'preVoteReply', from, term: term(1), granted: true })
  grant(4)
  grant(5)
  expect(raft.up.role).toBe('preCandidate')
  grant(2)
  expect(raft.up.role).toBe('candidate')
})

test('4.3: a joint change is left by the leave alone, by any leader, once it is committed', () => {
  const joint = configuration({ voters: [1, 4, 5], outgoing: [1, 2, 3] })
  const raft = new Leader(joint)
  expect(raft.change(three)).toBe(false)
  expect(raft.change(configuration({ voters: [1, 4], outgoing: [1, 4, 5] }))).toBe(false)
  expect(raft.change(voters(1, 4, 5))).toBe(true)
  expect(raft.up.status().progress.map(({ replica }) => replica)).toEqual([4, 5])
})

test('4.3: a follower that holds an uncommitted leave elects nobody by the old voters in the term of the new ones', () => {
  // 1 and 2 are left over from 1, 2, 3; 4 holds the leave to 2, 4, 5 that 3 has never heard of.
  const raft = new Replica({ configuration: configuration({ voters: [1, 4, 5], outgoing: [1, 2, 3] }), log: [1] })
  raft.hear(append([1, 1], 1, [configurationEntry({ index: 2, term: 1 }, voters(1, 4, 5))]))
  raft.said()
  raft.loseLeader()
  for (const from of [2, 3]) raft.hear({ type: 'preVoteReply', from, term: term(2), granted: true })
  expect(raft.up.role).toBe('preCandidate')
  expect(new Set(only(raft.said(), 'preVote').map(({ to }) => to))).toEqual(new Set([4, 5]))
})

test('6.4: a read whose round is open while the configuration changes is confirmed by majorities of the present one', () => {
  const raft = new Leader(configuration({ voters: [1, 2, 3], learners: [4, 5] }))
  raft.accepted(4, 1)
  raft.accepted(5, 1)
  raft.up.readIndex(1)
  raft.said()
  raft.change(configuration({ voters: [1, 4, 5], outgoing: [1, 2, 3] }))
  const answer = (from: number) =>
    raft.hear({ type: 'heartbeatReply', from, term: term(1), round: 1, lastIndex: index(2) })
  answer(2)
  expect(raft.take()?.reads).toEqual([])
  answer(4)
  expect(raft.take()?.reads).toEqual([{ context: 1, index: 1 }])
})

test('a change that is refused leaves no trace', () => {
  const raft = new Leader(three)
  const before = [raft.up.lastIndex, raft.up.status().progress.length]
  expect(raft.change(voters(1, 8, 9))).toBe(false)
  expect([raft.up.lastIndex, raft.up.status().progress.length]).toEqual(before)
})
