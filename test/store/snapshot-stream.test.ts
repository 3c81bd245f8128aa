import { describe, expect, it } from 'vitest'
import type { BootId, LogIndex, NodeId, RangeId, ReplicaId, StorageId, Term } from '../../src/base/ids.js'
import { limits } from '../../src/base/limits.js'
import { silentLogger } from '../../src/base/ports.js'
import type { StateRecord } from '../../src/kv/types.js'
import type { StateChunk, StateStore } from '../../src/storage/types.js'
import type { PeerMessage, SnapshotChunkMessage, SnapshotOfferMessage } from '../../src/store/ports.js'
import type { Replica } from '../../src/store/replica.js'
import { SnapshotReceiver } from '../../src/store/snapshots/receiver.js'
import { SnapshotSender } from '../../src/store/snapshots/sender.js'
import { k, v } from './requests.js'

const range = 2 as RangeId
const [leader, learner] = [1 as ReplicaId, 4 as ReplicaId]
const [from, to] = [1 as NodeId, 3 as NodeId]
const storage = 5 as StorageId

const records = Array.from(
  { length: 10 },
  (_, at): StateRecord => ({ key: k(`k${at}`), version: v(at + 1), codec: 'bytes', value: Uint8Array.of(at) }),
)

/** Gives three records per page; keeps every answer until it is let go, if told to. */
class FakeState {
  reads = 0
  held = 0
  isDamaged = false
  /** A deletion that was begun before the hold lands. */
  gone = new Set<string>()
  /** Reads that wait; null: each is answered at once. */
  slow: (() => void)[] | null = null

  hold() {
    this.held++
    return () => {
      this.held--
    }
  }

  readSnapshot(
    page: { after: { key: string } | null },
    done: (records: readonly StateRecord[] | null, more: boolean) => void,
  ) {
    this.reads++
    if (this.isDamaged) return done(null, false)
    const rest = records.filter(({ key }) => key > (page.after?.key ?? '') && !this.gone.has(key))
    const answer = () => done(rest.slice(0, 3), rest.length > 3)
    if (this.slow === null) answer()
    else this.slow.push(answer)
  }

  readJournal(_page: unknown, done: (records: readonly never[], more: boolean) => void) {
    done([], false)
  }
}

const bookkeeping = {
  descriptor: { range, span: { start: k('a'), end: k('z') }, replicas: [] },
  clock: v(10),
  sessionFloor: v(0),
  lineage: [],
  splits: [],
}

/** Sums by name and labels. */
function counting() {
  const counted: Record<string, number> = {}
  const metrics = {
    count(name: string, by: number, label = '') {
      const sum = `${name} ${label}`
      counted[sum] = (counted[sum] ?? 0) + by
    },
  }
  return { counted, metrics }
}

function sending({ bytesPerSecond = 1e9, boot = 0 } = {}) {
  const { counted, metrics } = counting()
  const state = new FakeState()
  const sent: PeerMessage[] = []
  const results: (number | null)[] = []
  let nowMs = 0
  const replica = {
    range,
    id: leader,
    hasState: true,
    applied: 7,
    appliedTerm: 2,
    machine: { bookkeeping },
    storages: [{ span: bookkeeping.descriptor.span, storage: 1 }],
    nodeOf: () => to,
    takeTicks: () => {},
    raft: {
      term: 3,
      status: () => ({ progress: [] }),
      snapshotSent: (_: ReplicaId, done: { index: LogIndex } | null) => results.push(done?.index ?? null),
    },
  } as unknown as Replica
  const sender = new SnapshotSender({
    boot: boot as BootId,
    state: state as unknown as StateStore,
    encodeChunk: (chunk) => Uint8Array.from(Buffer.from(JSON.stringify(chunk.records.map(({ key }) => key)))),
    send: (_, message) => sent.push(message),
    monotonicMs: () => nowMs,
    touch: () => {},
    logger: silentLogger,
    metrics,
    chunkBytes: 1_000,
    bytesPerSecond,
  })
  const pull = (sequence: number, id = 1) =>
    sender.pulled(to, { type: 'snapshotPull', range, from: learner, to: leader, id, sequence })
  const chunks = () => sent.filter((message): message is SnapshotChunkMessage => message.type === 'snapshotChunk')
  const pass = (ms: number) => {
    nowMs += ms
    sender.look()
  }
  return { state, sent, results, replica, sender, pull, chunks, pass, counted }
}

describe('snapshots are counted', () => {
  it('on their way out, by what became of them, with the bytes of their chunks', () => {
    const { sender, replica, pull, counted, pass, chunks } = sending()
    sender.start(replica, learner)
    for (let sequence = 1; sequence <= 6; sequence++) pull(sequence)
    sender.start(replica, learner)
    sender.refused(to, { type: 'snapshotRefused', range, from: learner, to: leader, id: 2, reason: 'has it' })
    sender.start(replica, learner)
    pass(limits.snapshotIdleMs + 1)
    expect(counted).toEqual({
      'snapshot_bytes_total out': chunks().reduce((sum, { bytes }) => sum + bytes.length, 0),
      'snapshots_total out done': 1,
      'snapshots_total out refused': 1,
      'snapshots_total out failed': 1,
    })
  })

  it('on their way in, too', () => {
    const { offer, allocated, chunk, written, installs, counted, pass } = receiving()
    offer()
    allocated()
    chunk(1, true)
    written()
    installs[0]!(true)
    offer({ to: 5 as ReplicaId })
    offer({ id: 2 })
    allocated()
    pass(limits.snapshotIdleMs + 1)
    expect(counted).toEqual({
      'snapshot_bytes_total in': 1,
      'snapshots_total in done': 1,
      'snapshots_total in refused': 1,
      'snapshots_total in failed': 1,
    })
  })
})

describe('a snapshot on its way out', () => {
  it('is read only as it is pulled, chunk by chunk, and done once the chunk behind the last is asked for', () => {
    const { sender, replica, state, pull, chunks, results } = sending()
    sender.start(replica, learner)
    expect(state.reads).toBe(0)
    for (let sequence = 1; sequence <= 5; sequence++) pull(sequence)
    expect(chunks().map(({ sequence, last }) => [sequence, last])).toEqual([
      [1, false],
      [2, false],
      [3, false],
      [4, false],
      // The journal, which holds nothing.
      [5, true],
    ])
    expect(chunks().flatMap(({ bytes }) => JSON.parse(Buffer.from(bytes).toString()))).toEqual(
      records.map(({ key }) => key),
    )
    expect([results, state.held]).toEqual([[], 1])
    pull(6)
    expect([results, state.held, sender.open]).toEqual([[7], 0, 0])
  })

  it('a chunk that got lost comes again, the same; one ahead or long past does not', () => {
    const { sender, replica, pull, chunks } = sending()
    sender.start(replica, learner)
    pull(1)
    pull(2)
    pull(2)
    expect(chunks()[2]).toEqual(chunks()[1])
    pull(1)
    pull(4)
    expect(chunks()).toHaveLength(3)
  })

  it('a chunk that is pulled again is the one that was sent first, whatever is deleted meanwhile', () => {
    const { sender, replica, state, pull, chunks } = sending()
    sender.start(replica, learner)
    pull(1)
    pull(2)
    state.gone = new Set([k('k4')])
    pull(2)
    expect(chunks()[2]).toEqual(chunks()[1])
    pull(3)
    expect(JSON.parse(Buffer.from(chunks()[3]!.bytes).toString())[0]).toBe(k('k6'))
  })

  it('a pull that comes again when the chunk behind is being read already is not answered with what comes behind that', () => {
    const { sender, replica, state, pull, chunks, pass } = sending()
    sender.start(replica, learner)
    pull(1)
    state.slow = []
    pull(2)
    pull(1)
    state.slow.shift()!()
    state.slow = null
    pass(100)
    for (let sequence = 3; sequence <= 6; sequence++) pull(sequence)
    const keys = chunks().flatMap(({ bytes }) => JSON.parse(Buffer.from(bytes).toString()) as string[])
    expect(chunks().map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5])
    expect(keys).toEqual(records.map(({ key }) => key))
  })

  it('waits for the rate of all snapshots together', () => {
    const { sender, replica, pull, chunks, pass } = sending({ bytesPerSecond: 40 })
    sender.start(replica, learner)
    for (let sequence = 1; sequence <= 3; sequence++) pull(sequence)
    expect(chunks().length).toBeLessThan(3)
    pass(5_000)
    pull(3)
    pass(5_000)
    expect(chunks().length).toBe(3)
  })

  it('is offered again while nobody answers, and given up when neither end moves it', () => {
    const { sender, replica, sent, results, state, pass } = sending()
    sender.start(replica, learner)
    pass(1_000)
    expect(sent.filter(({ type }) => type === 'snapshotOffer')).toHaveLength(2)
    pass(limits.snapshotIdleMs)
    expect([results, state.held]).toEqual([[null], 0])
  })

  it('is offered again after its last chunk: the receiver may be done, and the word of it lost', () => {
    const { sender, replica, pull, sent, pass, results } = sending()
    sender.start(replica, learner)
    for (let sequence = 1; sequence <= 4; sequence++) pull(sequence)
    const offers = () => sent.filter(({ type }) => type === 'snapshotOffer').length
    pass(1_500)
    expect(offers()).toBe(1)
    pull(5)
    pass(500)
    expect(offers()).toBe(1)
    pass(1_000)
    expect(offers()).toBe(2)
    sender.refused(to, { type: 'snapshotRefused', range, from: learner, to: leader, id: 1, reason: 'has it' })
    expect(results).toEqual([null])
  })

  it('begins anew for a receiver that was started again and has nothing of it', () => {
    const all = sending()
    all.sender.start(all.replica, learner)
    for (let sequence = 1; sequence <= 5; sequence++) all.pull(sequence)
    all.pull(1)
    expect([all.results, all.sender.open]).toEqual([[null], 0])
    expect(all.sent.at(-1)).toMatchObject({ type: 'snapshotRefused', id: 1 })

    const broken = sending()
    broken.sender.start(broken.replica, learner)
    broken.pull(1)
    broken.sender.peerDown(2 as NodeId)
    expect(broken.results).toEqual([])
    broken.sender.peerDown(to)
    expect([broken.results, broken.state.held]).toEqual([[null], 0])
  })

  it('is one of few: what is asked for beyond is refused to the core, which asks again', () => {
    const { sender, replica, results } = sending()
    for (let at = 0; at < limits.snapshotsOutMax + 1; at++) sender.start(replica, (learner + at) as ReplicaId)
    expect([sender.open, results]).toEqual([limits.snapshotsOutMax, [null]])
  })

  it('is the only one to its receiver: one from before the lead was lost ends, and the core hears nothing of that', () => {
    const { sender, replica, state, sent, results, pull, pass } = sending()
    sender.start(replica, learner)
    pull(1)
    sender.start(replica, learner)
    expect([sender.open, state.held, results]).toEqual([1, 1, []])
    pull(2)
    expect(sent.at(-1)).toMatchObject({ type: 'snapshotRefused', id: 1 })
    pull(1, 2)
    pass(limits.snapshotIdleMs)
    expect(results).toEqual([])
    pass(1)
    expect(results).toEqual([null])
  })

  it('has an id that no start of the node before has given: what is pulled of one is not the other', () => {
    const ids = [11, 12].flatMap((boot) => {
      const { sender, replica, sent } = sending({ boot })
      for (let n = 0; n < 3; n++) sender.start(replica, learner)
      return sent.map((message) => (message as SnapshotOfferMessage).id)
    })
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('ends where its state is damaged, and where its replica goes: nothing read of it leaves then', () => {
    const { sender, replica, state, pull, chunks, results } = sending()
    sender.start(replica, learner)
    state.isDamaged = true
    pull(1)
    sender.start(replica, learner)
    sender.drop(replica)
    expect([chunks(), results]).toEqual([[], [null, null]])
  })

  it('is refused to who asks for one that is not there', () => {
    const { pull, sent } = sending()
    pull(1, 99)
    expect(sent).toMatchObject([{ type: 'snapshotRefused', id: 99 }])
  })
})

function receiving() {
  const { counted, metrics } = counting()
  let held = 0
  const sent: PeerMessage[] = []
  const ingested: StateChunk[] = []
  const dropped: StorageId[] = []
  const installs: ((installed: boolean) => void)[] = []
  const allocations: (() => void)[] = []
  let ingest: (() => void)[] = []
  let nowMs = 0
  let other: Replica | null = null
  const replica = { range, id: learner, hasState: false, applied: 0, goesOnBefore: () => false } as unknown as Replica
  const replicas = new Map([[range, replica]])
  const receiver = new SnapshotReceiver({
    replicas,
    state: {
      ingest: (chunk, done) => {
        ingested.push(chunk)
        ingest.push(done)
      },
      dropStorage: (id) => dropped.push(id),
      hold: () => {
        held++
        return () => {
          held--
        }
      },
    },
    decodeChunk: (bytes) => (bytes.length === 0 ? null : { records: [], journals: [] }),
    allocateStorage: (done) => allocations.push(() => done(storage)),
    overlapping: () => other,
    install: (_, __, ___, done) => installs.push(done),
    send: (_, message) => sent.push(message),
    monotonicMs: () => nowMs,
    touch: () => {},
    logger: silentLogger,
    metrics,
  })
  const offer = (parts: Partial<SnapshotOfferMessage> = {}) =>
    receiver.offered(from, {
      type: 'snapshotOffer',
      range,
      from: leader,
      to: learner,
      id: 1,
      term: 3 as Term,
      index: 7 as LogIndex,
      entryTerm: 2 as Term,
      timestamp: v(10),
      bookkeeping,
      ...parts,
    } as unknown as SnapshotOfferMessage)
  const chunk = (sequence: number, last = false, bytes = Uint8Array.of(1)) =>
    receiver.chunk(from, { type: 'snapshotChunk', range, from: leader, to: learner, id: 1, sequence, last, bytes })
  const written = () => {
    const done = ingest
    ingest = []
    for (const each of done) each()
  }
  const pulls = () => sent.flatMap((message) => (message.type === 'snapshotPull' ? [message.sequence] : []))
  const refusals = () => sent.filter(({ type }) => type === 'snapshotRefused').length
  const pass = (ms: number) => {
    nowMs += ms
    receiver.look()
  }
  const allocated = () => {
    for (const each of allocations.splice(0)) each()
  }
  const overlap = (by: Replica | null) => {
    other = by
  }
  return {
    receiver,
    replica,
    replicas,
    ingested,
    dropped,
    installs,
    offer,
    chunk,
    written,
    pulls,
    refusals,
    pass,
    allocated,
    overlap,
    counted,
    held: () => held,
  }
}

describe('a snapshot on its way in', () => {
  it('pulls nothing before its storage id is durable in our log, and the next chunk only when the last is written', () => {
    const { offer, allocated, chunk, written, pulls, ingested, installs } = receiving()
    offer()
    expect(pulls()).toEqual([])
    allocated()
    chunk(1)
    chunk(1)
    chunk(2)
    expect([pulls(), ingested.length]).toEqual([[1], 1])
    written()
    chunk(2, true)
    expect([pulls(), installs.length]).toEqual([[1, 2], 0])
    written()
    expect(installs).toHaveLength(1)
    // Whoever asks for more than there is has made all of it durable.
    expect(pulls()).toEqual([1, 2])
    installs[0]!(true)
    expect(pulls()).toEqual([1, 2, 3])
  })

  it('leaves nothing behind where it is given up: by silence, by the sender, or because it can not be installed', () => {
    const silent = receiving()
    silent.offer()
    silent.allocated()
    silent.pass(limits.snapshotIdleMs + 1)
    expect(silent.dropped).toEqual([storage])

    const ended = receiving()
    ended.offer()
    ended.allocated()
    ended.chunk(1)
    const refusal = { type: 'snapshotRefused', range, from: leader, to: learner, id: 1, reason: '' } as const
    ended.receiver.refused(from, refusal)
    expect(ended.dropped).toEqual([])
    ended.written()
    expect(ended.dropped).toEqual([storage])

    const overtaken = receiving()
    overtaken.offer()
    overtaken.allocated()
    overtaken.chunk(1, true)
    overtaken.written()
    overtaken.installs[0]!(false)
    expect([overtaken.dropped, overtaken.refusals(), overtaken.receiver.open]).toEqual([[storage], 1, 0])
  })

  it('holds collection back while it is taken in, and no longer: it may bring journals back that other floors have passed', () => {
    const installed = receiving()
    installed.offer()
    expect(installed.held()).toBe(0)
    installed.allocated()
    installed.chunk(1, true)
    installed.written()
    expect(installed.held()).toBe(1)
    installed.installs[0]!(true)
    expect(installed.held()).toBe(0)

    const silent = receiving()
    silent.offer()
    silent.allocated()
    silent.pass(limits.snapshotIdleMs + 1)
    const ended = receiving()
    ended.offer()
    ended.allocated()
    ended.chunk(1)
    ended.receiver.refused(from, { type: 'snapshotRefused', range, from: leader, to: learner, id: 1, reason: '' })
    expect([silent.held(), ended.held()]).toEqual([0, 1])
    ended.written()
    expect(ended.held()).toBe(0)
  })

  it('asks again for a chunk that does not come or comes damaged', () => {
    const { offer, allocated, chunk, pulls, pass, ingested } = receiving()
    offer()
    allocated()
    chunk(1, false, new Uint8Array(0))
    pass(1_000)
    expect([pulls(), ingested]).toEqual([[1, 1], []])
  })

  it('is refused for a replica that is not here, has as much or more to apply, over the span of another, and beyond a few at once', () => {
    const { offer, replica, replicas, refusals, overlap, receiver } = receiving()
    offer({ to: 5 as ReplicaId })
    offer({ range: 9 as RangeId })
    overlap({ range: 8 } as unknown as Replica)
    offer()
    overlap(null)
    Object.assign(replica, { hasState: true, applied: 7 })
    offer()
    expect([refusals(), receiver.open]).toEqual([4, 0])
    Object.assign(replica, { hasState: true, applied: 3, goesOnBefore: () => true })
    offer()
    expect([refusals(), receiver.open]).toEqual([5, 0])
    for (let at = 0; at < limits.snapshotsInMax + 1; at++) {
      const other = (10 + at) as RangeId
      replicas.set(other, { ...replica, range: other, goesOnBefore: () => false } as unknown as Replica)
      offer({ range: other, id: at })
    }
    expect([refusals(), receiver.open]).toEqual([6, limits.snapshotsInMax])
  })
})
