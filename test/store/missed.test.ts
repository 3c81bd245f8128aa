import { describe, expect, it } from 'vitest'
import type { Descriptor } from '../../src/base/descriptor.js'
import type { Generation, LogIndex, RangeId, ReplicaId, Term } from '../../src/base/ids.js'
import type { RecoveredRange, Vacated } from '../../src/storage/types.js'
import { Missed, vacatedBy } from '../../src/store/membership/missed.js'
import type { Replica } from '../../src/store/replica.js'
import { Bench } from './bench.js'
import { append, heartbeat, preVote, vote } from './followers.js'
import { DATA, k } from './requests.js'
import { sendSnapshot } from './snapshots.js'

const ONE = 1 as ReplicaId
const TWO = 2 as ReplicaId
const CHILD = 9 as RangeId

function descriptorOf(parts: {
  start: string
  end: string | null
  generation: number
  replicas?: number[]
}): Descriptor {
  const { start, end, generation, replicas = [1, 2, 3] } = parts
  return {
    range: CHILD,
    span: { start: k(start), end: end === null ? null : k(end) },
    generation: generation as Generation,
    epoch: 0,
    replicas: replicas.map((id) => ({ replica: id as ReplicaId, node: id as never, role: 'voter' })),
    nextReplica: 9 as ReplicaId,
  }
}

describe('what a snapshot takes from a replica', () => {
  const before = descriptorOf({ start: 'a', end: null, generation: 3 })
  const after = descriptorOf({ start: 'a', end: 'm', generation: 4 })

  it('is what it held as a member; a state older than its own id says nothing of what this node did since', () => {
    expect(vacatedBy(ONE, { before, after })).toEqual({ span: before.span, generation: 3 })
    expect(vacatedBy(4 as ReplicaId, { before, after })).toBeNull()
  })

  it('is nothing where the span is the same', () => {
    expect(vacatedBy(ONE, { before, after: { ...before, epoch: 7 } })).toBeNull()
  })
})

describe('the birth of a range was missed', () => {
  const vacated = { span: { start: k('a'), end: null }, generation: 3 as Generation }
  const child = descriptorOf({ start: 'm', end: 'z', generation: 4 })

  function missedBy(parts: { vacated?: Vacated | null; end?: string; knows?: RangeId; lowest?: number }) {
    const { end = 'm' } = parts
    const parent = { range: DATA, vacated: parts.vacated === undefined ? vacated : parts.vacated }
    const descriptor = descriptorOf({ start: 'a', end, generation: 5 })
    const known = parts.knows === undefined ? [] : [[parts.knows, {} as RecoveredRange] as const]
    return new Missed({
      replicas: new Map([[DATA, { ...parent, descriptor } as unknown as Replica]]),
      log: { recovered: new Map(known) },
      lowestAllowed: () => (parts.lowest ?? 0) as ReplicaId,
    })
  }

  it('if it lies in what a snapshot took, under a later generation', () => {
    const missed = missedBy({})
    expect([missed.mayBe(CHILD), missed.has(child)]).toEqual([true, true])
    expect(missed.has({ ...child, generation: 3 as Generation })).toBe(false)
    expect(missedBy({ vacated: { ...vacated, span: { start: k('a'), end: k('m') } } }).has(child)).toBe(false)
  })

  it('not while the parent lies there, nor where no snapshot took anything', () => {
    expect(missedBy({ end: 'n' }).has(child)).toBe(false)
    const none = missedBy({ vacated: null })
    expect([none.mayBe(CHILD), none.has(child)]).toEqual([false, false])
  })

  it.each([
    ['lives here', { range: DATA }],
    ['is in the log, were it only by a vote', { knows: CHILD }],
    ['left a tombstone', { lowest: 1 }],
  ])('not if a replica of it %s', (_, parts: { range?: RangeId; knows?: RangeId; lowest?: number }) => {
    const { range = CHILD } = parts
    const missed = missedBy(parts)
    expect([missed.mayBe(range), missed.has({ ...child, range })]).toEqual([false, false])
  })
})

/** Node 1, whose data range was taken past a split by a snapshot: [m, ...) is the child's now. */
async function past(): Promise<Bench> {
  const bench = await Bench.open({ nodes: 3 })
  const { span } = bench.replica(DATA).descriptor
  await sendSnapshot(bench, { span: { ...span, end: k('m') }, generation: 2 as Generation })
  await bench.runWhile(() => bench.messagesTo(2, 'snapshotPull').length < 2)
  return bench
}

/** Node 2, which has applied the child's descriptor, leading or not, says where replica 1 is to be. */
function place(bench: Bench): void {
  const descriptor = descriptorOf({ start: 'm', end: null, generation: 2 })
  bench.receive(2, { type: 'place', replica: ONE, descriptor, nonce: null })
}

async function placed(): Promise<Bench> {
  const bench = await past()
  place(bench)
  await bench.runWhile(() => bench.store.replica(CHILD) === undefined)
  return bench
}

const of = { range: CHILD }
/** Until a replica that was just started is bound to nobody. */
const FREE_MS = 600

describe('the voter of a range whose birth was missed', () => {
  it('is asked for by who wants its vote, and made at the first word, over a restart too', async () => {
    const bench = await past()
    bench.receive(2, preVote(2, 1, of))
    await bench.runFor(5)
    expect(bench.messagesTo(2, 'absent')).toEqual([{ type: 'absent', range: CHILD, replica: ONE }])
    bench.crash()
    await bench.start()
    place(bench)
    await bench.runWhile(() => bench.store.replica(CHILD) === undefined)
    expect(bench.replica(CHILD)).toMatchObject({ id: ONE, hasState: false })
    expect(bench.messagesTo(2, 'vacant')).toEqual([])
  })

  it('votes for nobody within one election timeout, and then without a state', async () => {
    const bench = await placed()
    bench.receive(2, vote(2, 1, of))
    await bench.runFor(400)
    expect(bench.messagesTo(2, 'voteReply')).toEqual([])
    await bench.runFor(FREE_MS)
    bench.receive(2, vote(2, 1, { ...of, lastIndex: 7 as LogIndex, lastTerm: 1 as Term }))
    await bench.runFor(20)
    expect(bench.messagesTo(2, 'voteReply')).toMatchObject([{ range: CHILD, granted: true, term: 1 }])
  })

  it('acknowledges nothing before it has a state, and asks for one', async () => {
    const bench = await placed()
    bench.receive(2, append(2, 1, [], of), heartbeat(2, 1, CHILD))
    await bench.runFor(20)
    expect(bench.messagesTo(2, 'appendAccepted').filter((each) => 'range' in each && each.range === CHILD)).toEqual([])
    expect(bench.messagesTo(2, 'appendRejected')).toMatchObject([{ range: CHILD, needsSnapshot: true }])
    expect(bench.messagesTo(2, 'heartbeatReply').at(-1)).toMatchObject({ range: CHILD, needsSnapshot: true })
  })

  it('goes on where it was, with its vote, after a crash before its snapshot came', async () => {
    const bench = await placed()
    await bench.runFor(FREE_MS)
    bench.receive(2, vote(2, 4, of))
    await bench.runFor(20)
    bench.crash()
    await bench.start()
    expect(bench.replica(CHILD)).toMatchObject({ id: ONE, hasState: false })
    await bench.runFor(FREE_MS)
    bench.receive(3, vote(3, 4, of))
    bench.receive(3, vote(3, 5, of))
    await bench.runFor(20)
    expect(bench.messagesTo(3, 'voteReply')).toMatchObject([
      { term: 4, granted: false },
      { term: 5, granted: true },
    ])
  })

  it('is not made again once it is out, however often it is asked for', async () => {
    const bench = await placed()
    bench.receive(2, { type: 'removed', range: CHILD, replica: ONE })
    await bench.runWhile(() => bench.store.replica(CHILD) !== undefined)
    for (const restarted of [false, true]) {
      if (restarted) {
        await bench.runFor(100)
        bench.crash()
        await bench.start()
      }
      bench.receive(2, preVote(2, 1, of), { ...heartbeat(2, 1, CHILD), to: TWO })
      place(bench)
      await bench.runFor(50)
      expect(bench.store.replica(CHILD)).toBeUndefined()
    }
    expect(bench.failures).toEqual([])
  })
})
