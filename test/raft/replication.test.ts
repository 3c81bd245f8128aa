import { expect, test } from 'vitest'
import type { Version } from '../../src/base/ids.js'
import type { Message } from '../../src/raft/types.js'
import { Cluster } from './cluster.js'
import { replica, voters } from './configuration.js'
import { testConfig } from './node.js'
import { entries, index, only, Replica, type Said, term } from './replica.js'

const three = voters(1, 2, 3)

interface AppendFields {
  readonly term: number
  readonly previous: readonly [index: number, term: number]
  readonly terms?: readonly number[]
  readonly commit?: number
  readonly allPersisted?: number
}

const append = (from: number, { previous, ...fields }: AppendFields): Said => ({
  type: 'append',
  from,
  term: term(fields.term),
  previousIndex: index(previous[0]),
  previousTerm: term(previous[1]),
  entries: entries(previous[0] + 1, fields.terms ?? []),
  commit: index(fields.commit ?? 0),
  allPersisted: index(fields.allPersisted ?? 0),
})

/** [to, previous index, number of entries] of each append. */
const sent = (messages: readonly Message[], to?: number) =>
  only(messages, 'append')
    .filter((message) => to === undefined || message.to === to)
    .map((message) => [message.to, message.previousIndex, message.entries.length])

/** Lets a peer answer heartbeats over `intervals`, and returns what it is sent. */
function heartbeats(raft: Replica, from: number, intervals: number): readonly Message[] {
  const messages: Message[] = []
  for (let n = 0; n < intervals; n += 1) {
    raft.tick(testConfig.heartbeatTicks)
    for (const { to, round } of only(raft.said(), 'heartbeat')) {
      if (to !== from) continue
      raft.hear({ type: 'heartbeatReply', from, term: raft.up.term, round, lastIndex: raft.up.lastIndex })
    }
    messages.push(...raft.said())
  }
  return messages
}

test("3.6.2: a new leader's first entry is of its own term, above every timestamp of its log", () => {
  const raft = new Replica({ configuration: three, log: [1, 2] })
  const [first] = only(raft.lead(2), 'append')
  expect(first?.previousIndex).toBe(2)
  expect(first?.entries).toMatchObject([{ index: 3, term: 3, kind: 'noop', timestamp: 2_003 }])
})

test('3.6.2: an entry of an older term is committed only together with one of the own term (figure 3.7)', () => {
  const raft = new Replica({ configuration: voters(1, 2, 3, 4, 5), log: [1, 2] })
  raft.lead(2, 3)
  raft.accepted(2, 2)
  raft.accepted(3, 2)
  expect(raft.up.commit).toBe(0)
  raft.accepted(2, 3)
  expect(raft.up.commit).toBe(0)
  raft.accepted(3, 3)
  expect(raft.up.commit).toBe(3)
})

test('10.2.1: a leader sends before its own write, and counts itself only after it', () => {
  const raft = new Replica({ configuration: three })
  raft.lead(2)
  raft.accepted(2, 1)
  expect(raft.up.commit).toBe(1)
  raft.said()
  raft.propose()
  const ready = raft.take()
  expect(sent(ready!.sendNow)).toEqual([[2, 1, 1]])
  raft.accepted(2, 2)
  expect(raft.up.commit).toBe(1)
  raft.persist()
  expect(raft.up.commit).toBe(2)
})

test('10.2.1: a majority of followers commits without the leader having written', () => {
  const raft = new Replica({ configuration: three })
  raft.lead(2)
  raft.accepted(2, 1)
  raft.accepted(3, 1)
  raft.propose()
  raft.take()
  raft.accepted(2, 2)
  raft.accepted(3, 2)
  expect(raft.up.commit).toBe(2)
  expect(raft.up.status().persisted).toBe(1)
})

test('3.8: a follower acknowledges only what it has written', () => {
  const raft = new Replica({ configuration: three, term: 1 })
  raft.hear(append(2, { term: 1, previous: [0, 0], terms: [1, 1] }))
  const ready = raft.take()
  expect(ready?.sendNow).toEqual([])
  expect(ready?.sendAfterPersist).toMatchObject([{ type: 'appendAccepted', matchIndex: 2 }])
  raft.persist()
  raft.hear(append(2, { term: 1, previous: [0, 0], terms: [1, 1] }))
  expect(raft.take()?.sendNow).toMatchObject([{ type: 'appendAccepted', matchIndex: 2 }])
})

test('appends of one turn are acknowledged together', () => {
  const raft = new Replica({ configuration: three, term: 1 })
  raft.hear(append(2, { term: 1, previous: [0, 0], terms: [1] }), append(2, { term: 1, previous: [1, 1], terms: [1] }))
  expect(raft.said()).toMatchObject([{ type: 'appendAccepted', matchIndex: 2 }])
})

test('an acknowledgement is void once the term has changed while its fsync ran', () => {
  const raft = new Replica({ configuration: three, term: 1 })
  raft.hear(append(2, { term: 1, previous: [0, 0], terms: [1] }))
  const [message] = raft.take()!.sendAfterPersist
  expect(raft.up.stillValid(message!)).toBe(true)
  raft.hear(append(3, { term: 2, previous: [0, 0], terms: [2] }))
  expect(raft.up.stillValid(message!)).toBe(false)
  expect(raft.persist()).toEqual([])
})

test('an acknowledgement that waits for takeReady is dropped when the term changes', () => {
  const raft = new Replica({ configuration: three, term: 1 })
  raft.hear(append(2, { term: 1, previous: [0, 0], terms: [1] }), append(3, { term: 2, previous: [5, 2] }))
  expect(raft.said().map(({ type }) => type)).toEqual(['appendRejected'])
})

test('a write of an entry that was replaced and came back counts only when the last write is done', () => {
  const raft = new Replica({ configuration: three, term: 1 })
  raft.hear(append(2, { term: 1, previous: [0, 0], terms: [1, 1, 1] }))
  raft.take()
  raft.hear(append(3, { term: 2, previous: [1, 1], terms: [2] }))
  raft.take()
  raft.hear(append(2, { term: 3, previous: [1, 1], terms: [1, 1] }))
  raft.take()
  raft.persist()
  expect(raft.up.status().persisted).toBe(1)
  expect(raft.persist()).toEqual([])
  expect(raft.up.status().persisted).toBe(1)
  expect(raft.persist()).toMatchObject([{ type: 'appendAccepted', matchIndex: 3 }])
  expect(raft.up.status().persisted).toBe(3)
})

test("3.5: a follower commits only up to where its log is known to be the leader's", () => {
  const raft = new Replica({ configuration: three, log: [1, 1, 1] })
  raft.hear(append(2, { term: 2, previous: [1, 1], commit: 3 }))
  expect(raft.up.commit).toBe(1)
})

test('a heartbeat tells a follower no commit beyond what it has acknowledged', () => {
  const raft = new Replica({ configuration: three })
  raft.lead(2)
  raft.propose()
  raft.said()
  raft.accepted(2, 2)
  raft.said()
  raft.accepted(3, 1)
  raft.tick(testConfig.heartbeatTicks)
  expect(only(raft.said(), 'heartbeat').map(({ to, commit }) => [to, commit])).toEqual([
    [2, 2],
    [3, 1],
  ])
})

test('a commit beyond the end of the log is for another log', () => {
  const raft = new Replica({ configuration: three, log: [1] })
  const fields = { type: 'heartbeat', from: 2, term: term(1), allPersisted: index(0), round: 1 } as const
  raft.hear({ ...fields, commit: index(3) })
  expect(raft.up.commit).toBe(0)
  raft.hear({ ...fields, commit: index(1) })
  expect(raft.up.commit).toBe(1)
})

test('3.5: a late or repeated append cuts nothing off', () => {
  const raft = new Replica({ configuration: three, log: [1, 1, 1, 1] })
  raft.hear(append(2, { term: 1, previous: [0, 0], terms: [1, 1] }))
  expect(raft.up.lastIndex).toBe(4)
  expect(raft.said()).toMatchObject([{ type: 'appendAccepted', matchIndex: 2 }])
})

test('3.5: a conflict replaces the log from there on', () => {
  const raft = new Replica({ configuration: three, log: [1, 1, 1, 1] })
  raft.hear(append(2, { term: 3, previous: [1, 1], terms: [1, 3] }))
  expect(raft.up.lastIndex).toBe(3)
  raft.said()
  expect(raft.disk.log.map(({ term }) => term)).toEqual([1, 1, 3])
})

test('an append that ends before the commit is acknowledged up to the commit', () => {
  const raft = new Replica({ configuration: three, log: [1, 1, 1], commit: 3, applied: 2 })
  raft.disk.truncateTo(index(2))
  raft.hear(append(2, { term: 2, previous: [0, 0], terms: [1] }))
  expect(raft.said()).toMatchObject([{ type: 'appendAccepted', matchIndex: 3 }])
})

test('3.5: a refusal names the last entry that is not of a later term than the refused one', () => {
  const raft = new Replica({ configuration: three, log: [1, 1, 2, 4, 4, 4] })
  raft.hear(append(2, { term: 5, previous: [6, 3] }))
  expect(raft.said()).toMatchObject([{ type: 'appendRejected', rejectedIndex: 6, hintIndex: 3, hintTerm: 2 }])
  raft.hear(append(2, { term: 5, previous: [9, 5] }))
  expect(raft.said()).toMatchObject([{ type: 'appendRejected', rejectedIndex: 9, hintIndex: 6, hintTerm: 4 }])
})

test('3.5: both sides skip a whole term per round', () => {
  const terms = (...lengths: readonly [term: number, length: number][]) =>
    lengths.flatMap(([term, length]) => Array.from({ length }, () => term))
  const cluster = new Cluster({ configuration: three, seed: 5 })
  const write = (id: number, log: readonly number[]) => {
    const node = cluster.node(id)
    node.disk.write({
      hardState: { term: term(9), vote: null, commit: index(0) },
      restored: null,
      entries: entries(1, log),
    })
    node.crash()
    node.start({ kind: 'follow' }, true)
  }
  write(1, terms([1, 10], [4, 20], [6, 20]))
  write(2, terms([1, 10], [4, 20], [6, 20]))
  write(3, terms([1, 10], [2, 30], [3, 30]))
  let refusals = 0
  const leader = cluster.elect(1)
  for (let n = 0; n < 100 && cluster.node(3).up.lastIndex !== leader.up.lastIndex; n += 1) {
    cluster.collect(leader)
    cluster.round()
    refusals += only(cluster.wire, 'appendRejected').length
  }
  expect(cluster.node(3).disk.log.map(({ term }) => term)).toEqual([...terms([1, 10], [4, 20], [6, 20]), 10])
  expect(refusals).toBeLessThanOrEqual(2)
})

test('10.2.1: a probe is one append, then a wait; after it appends run ahead within the window of messages', () => {
  const raft = new Replica({ configuration: three, config: { appendBytesMax: 1 } })
  expect(sent(raft.lead(2), 2)).toEqual([[2, 0, 1]])
  for (let n = 0; n < 6; n += 1) raft.propose()
  expect(sent(raft.said(), 2)).toEqual([])
  raft.accepted(2, 1)
  expect(sent(raft.said(), 2)).toEqual([1, 2, 3, 4].map((previous) => [2, previous, 1]))
  raft.accepted(2, 3)
  expect(sent(raft.said(), 2)).toEqual([5, 6].map((previous) => [2, previous, 1]))
})

test('10.2.1: appends run ahead within the window of bytes; a single large entry travels alone', () => {
  const raft = new Replica({ configuration: three })
  raft.lead(2)
  raft.accepted(2, 1)
  for (const bytes of [40, 30, 8, 8]) raft.propose(bytes)
  expect(sent(raft.said(), 2)).toEqual([
    [2, 1, 1],
    [2, 2, 1],
  ])
  raft.accepted(2, 2)
  expect(sent(raft.said(), 2)).toEqual([[2, 3, 2]])
})

test('a lost append and a lost acknowledgement are found out without a timer, as heartbeats are answered', () => {
  const raft = new Replica({ configuration: three })
  raft.lead(2)
  raft.accepted(2, 1)
  raft.propose()
  expect(sent(raft.said(), 2)).toEqual([[2, 1, 1]])
  expect(sent(heartbeats(raft, 2, 2), 2)).toEqual([[2, 2, 0]])
  raft.hear({
    type: 'appendRejected',
    from: 2,
    term: term(1),
    rejectedIndex: index(2),
    hintIndex: index(1),
    hintTerm: term(1),
  })
  expect(sent(raft.said(), 2)).toEqual([[2, 1, 1]])
  expect(sent(heartbeats(raft, 2, 2), 2)).toEqual([[2, 1, 1]])
})

test('refusals that are late, or of what is known to match, change nothing', () => {
  const raft = new Replica({ configuration: three })
  raft.lead(2)
  raft.accepted(2, 1)
  raft.propose()
  raft.said()
  const before = raft.up.status().progress
  const refuse = (rejected: number) => {
    const hint = { hintIndex: index(0), hintTerm: term(0) }
    raft.hear({ type: 'appendRejected', from: 2, term: term(1), rejectedIndex: index(rejected), ...hint })
  }
  for (const rejected of [0, 1, 7]) refuse(rejected)
  expect(raft.up.status().progress).toEqual(before)
  refuse(2)
  expect(raft.up.status().progress[0]).toMatchObject({
    replica: 2,
    match: 1,
    next: 2,
    state: 'probe',
    forgotten: false,
  })
})

test('a peer that cannot be reached is probed again once it answers heartbeats', () => {
  const raft = new Replica({ configuration: three })
  raft.lead(2)
  raft.accepted(2, 1)
  raft.said()
  raft.up.unreachable(replica(2))
  raft.propose()
  expect(sent(raft.said(), 2)).toEqual([])
  expect(raft.up.status().progress[0]?.state).toBe('probe')
  expect(sent(heartbeats(raft, 2, 1), 2)).toEqual([[2, 1, 1]])
})

test('what one boot of a peer acknowledged says nothing about the next', () => {
  const raft = new Replica({ configuration: three })
  raft.lead(2)
  raft.accepted(2, 1)
  raft.said()
  raft.hear({ type: 'heartbeatReply', from: 2, boot: 77, term: term(1), round: 0, lastIndex: index(1) })
  expect(raft.up.status().progress[0]).toMatchObject({ match: 0, next: 2, state: 'probe' })
  expect(sent(raft.said(), 2)).toEqual([[2, 1, 0]])
  raft.hear({ type: 'appendAccepted', from: 2, boot: 77, term: term(1), matchIndex: index(1) })
  expect(raft.up.status().progress[0]).toMatchObject({ match: 1, state: 'replicate', forgotten: false })
})

test('a replica whose log ends before what it acknowledged in the same boot counts for nothing', () => {
  const raft = new Replica({ configuration: three })
  raft.lead(2)
  raft.accepted(2, 1)
  raft.tick(testConfig.heartbeatTicks)
  const { round } = only(raft.said(), 'heartbeat')[0]!
  raft.hear({ type: 'heartbeatReply', from: 2, term: term(1), round, lastIndex: index(0) })
  expect(raft.up.status().progress[0]).toMatchObject({ replica: 2, match: 0, forgotten: true })
  raft.propose()
  expect(sent(raft.said(), 2)).toEqual([])
  raft.accepted(2, 2)
  expect(raft.up.commit).toBe(1)
  raft.accepted(3, 2)
  expect(raft.up.commit).toBe(2)
})

test('an overtaken answer to a heartbeat is not taken for a log that has shrunk', () => {
  const raft = new Replica({ configuration: three })
  raft.lead(2)
  raft.tick(testConfig.heartbeatTicks)
  const { round } = only(raft.said(), 'heartbeat')[0]!
  raft.accepted(2, 1)
  raft.hear({ type: 'heartbeatReply', from: 2, term: term(1), round, lastIndex: index(0) })
  expect(raft.up.status().progress[0]).toMatchObject({ match: 1, forgotten: false })
})

test('the leader knows the lowest index that all have on disk, learners too, and followers remember it', () => {
  const raft = new Replica({ configuration: { ...three, learners: [replica(4)] } })
  raft.lead(2)
  raft.accepted(2, 1)
  raft.accepted(3, 1)
  expect(raft.up.allPersisted).toBe(0)
  raft.accepted(4, 1)
  expect(raft.up.allPersisted).toBe(1)
  const follower = new Replica({ configuration: three, log: [1, 1] })
  follower.hear(append(2, { term: 1, previous: [2, 1], allPersisted: 2 }))
  follower.hear(append(2, { term: 1, previous: [2, 1], allPersisted: 1 }))
  expect(follower.up.allPersisted).toBe(2)
  follower.hear(append(2, { term: 1, previous: [2, 1], allPersisted: 9 }))
  expect(follower.up.allPersisted).toBe(2)
})

test('4.2.1: learners get every entry and count in no majority', () => {
  const raft = new Replica({ configuration: { ...three, learners: [replica(4)] } })
  expect(sent(raft.lead(2), 4)).toEqual([[4, 0, 1]])
  raft.accepted(4, 1)
  expect(raft.up.commit).toBe(0)
})

test('4.3: while a joint change is under way both majorities must have it', () => {
  const joint = { voters: [1, 2, 3].map(replica), outgoing: [1, 4, 5].map(replica), learners: [] }
  const raft = new Replica({ configuration: joint })
  raft.lead(2, 4)
  raft.accepted(2, 1)
  raft.accepted(3, 1)
  expect(raft.up.commit).toBe(0)
  raft.accepted(5, 1)
  expect(raft.up.commit).toBe(1)
})

test('acknowledgements of strangers and of other terms are ignored', () => {
  const raft = new Replica({ configuration: three, log: [1], term: 3 })
  raft.lead(2)
  raft.accepted(9, 2)
  raft.hear({ type: 'appendAccepted', from: 2, term: term(1), matchIndex: index(2) })
  expect(raft.up.commit).toBe(0)
})

test('only a leader takes proposals, each with a timestamp above the last', () => {
  const raft = new Replica({ configuration: three })
  const payload = new Uint8Array(1)
  expect(raft.up.propose({ kind: 'commands', timestamp: 5 as Version, payload })).toBe(null)
  raft.lead(2)
  expect(raft.up.propose({ kind: 'commands', timestamp: 5 as Version, payload })).toEqual({ index: 2, term: 1 })
  expect(raft.up.lastTimestamp).toBe(5)
  expect(() => raft.up.propose({ kind: 'commands', timestamp: 5 as Version, payload })).toThrow(
    'timestamps must increase',
  )
})

test('committed entries come in bounded pieces, from disk and then from memory', () => {
  const raft = new Replica({ configuration: voters(1), log: [1, 1, 1], applied: 1, commit: 1 })
  raft.lead()
  raft.propose(30)
  raft.propose(30)
  raft.said()
  expect(raft.up.commit).toBe(6)
  const pieces: number[][] = []
  for (let from = 2; from <= 6; ) {
    const piece = raft.up.committedEntries({ from: index(from), bytesMax: 2 }).map(({ index }) => index)
    pieces.push(piece)
    from += piece.length
  }
  expect(pieces).toEqual([[2, 3], [4], [5], [6]])
  expect(raft.up.committedEntries({ from: index(7), bytesMax: 2 })).toEqual([])
})

test('what is applied and persisted leaves the memory but for the tail; followers far behind are fed from disk', () => {
  const raft = new Replica({ configuration: voters(1, 2), config: { tailBytesMax: 10, appendBytesMax: 100 } })
  raft.lead(2)
  raft.accepted(2, 1)
  const reads: number[] = []
  const fromDisk = raft.disk.entries.bind(raft.disk)
  raft.disk.entries = (bounds) => {
    reads.push(bounds.from)
    return fromDisk(bounds)
  }
  for (let n = 0; n < 5; n += 1) raft.propose(6)
  raft.said()
  raft.accepted(2, 6)
  raft.apply()
  raft.hear({ type: 'heartbeatReply', from: 2, boot: 9, term: term(1), round: 0, lastIndex: index(6) })
  raft.said()
  expect(reads).toEqual([])
  expect(raft.up.committedEntries({ from: index(6), bytesMax: 99 })).toHaveLength(1)
  expect(reads).toEqual([])
  expect(raft.up.committedEntries({ from: index(3), bytesMax: 99 })).toHaveLength(3)
  expect(reads).toEqual([3])
})

test('3.4: two leaders in one term are a contradiction, not a message', () => {
  const raft = new Replica({ configuration: three, term: 1 })
  raft.hear(append(2, { term: 1, previous: [0, 0] }))
  expect(() => raft.hear(append(3, { term: 1, previous: [0, 0] }))).toThrow('two leaders in one term')
})

test('an entry that does not follow the last in index, term and timestamp is a contradiction', () => {
  const raft = new Replica({ configuration: three, log: [3] })
  expect(() => raft.hear(append(2, { term: 3, previous: [1, 3], terms: [2] }))).toThrow('terms go back')
  const gap = { ...append(2, { term: 3, previous: [1, 3] }), entries: entries(3, [3]) } as Said
  expect(() => raft.hear(gap)).toThrow('a gap in the log')
})

test('a replica with nothing to do hands out nothing, whatever its role', () => {
  const raft = new Replica({ configuration: three })
  expect(raft.take()).toBe(null)
  raft.lead(2)
  raft.accepted(2, 1)
  raft.accepted(3, 1)
  raft.said()
  if (raft.up.ticksUntilDue > 1) raft.up.tick(raft.up.ticksUntilDue - 1)
  expect(raft.take()).toBe(null)
  raft.tick(1)
  expect(raft.take()).not.toBe(null)
})

test('a commit alone is handed out as a hint that need not be synced', () => {
  const raft = new Replica({ configuration: three, log: [1] })
  raft.hear(append(2, { term: 1, previous: [1, 1], commit: 1 }))
  const ready = raft.take()
  expect(ready?.hardState).toEqual({ term: 1, vote: null, commit: 1 })
  expect(ready?.mustSync).toBe(false)
  raft.up.persisted({ hardState: ready!.hardState, restored: null, lastEntry: null })
  expect(() =>
    raft.up.persisted({ hardState: null, restored: null, lastEntry: { index: index(1), term: term(1) } }),
  ).toThrow('more was')
})

test('5.3: what leads up to a place that is known to be committed is committed, if the log has the place', () => {
  const raft = new Replica({ configuration: three, log: [1, 1, 2, 2] })
  raft.up.learnCommitted([
    { index: index(4), term: term(3) },
    { index: index(5), term: term(2) },
  ])
  expect(raft.up.commit).toBe(0)
  raft.up.learnCommitted([
    { index: index(4), term: term(3) },
    { index: index(3), term: term(2) },
    { index: index(1), term: term(1) },
  ])
  expect(raft.up.commit).toBe(3)
  raft.up.learnCommitted([{ index: index(2), term: term(1) }])
  expect(raft.up.commit).toBe(3)
})
