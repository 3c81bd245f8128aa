import { describe, expect, it } from 'vitest'
import type { Descriptor } from '../../src/base/descriptor.js'
import type { Generation, NodeId, RangeId, ReplicaId } from '../../src/base/ids.js'
import { overlaps } from '../../src/base/span.js'
import type { Message } from '../../src/raft/types.js'
import { Placement } from '../../src/store/membership/placement.js'
import type { PeerMessage } from '../../src/store/ports.js'
import type { Replica } from '../../src/store/replica.js'
import { SeededRandom } from '../../src/testing/random.js'
import { k } from './requests.js'

const range = 2 as RangeId
const leader = 1 as NodeId
const id = (replica: number) => replica as ReplicaId

const descriptor: Descriptor = {
  range,
  span: { start: k('a'), end: k('m') },
  generation: 1 as Generation,
  epoch: 3,
  replicas: [],
  nextReplica: id(9),
}

function replicaOf(of: number, parts: { id: number; hasState: boolean; from?: string; to?: string }): Replica {
  const span = { start: k(parts.from ?? 'a'), end: k(parts.to ?? 'm') }
  const fake = { range: of, ...parts, overlaps: (other: Descriptor['span']) => overlaps(span, other) }
  return fake as unknown as Replica
}

/** `missed`: the range was born while this node was not looking. */
function node(lowest = 0, missed = false) {
  const replicas = new Map<RangeId, Replica>()
  const sent: PeerMessage[] = []
  const created: number[] = []
  const voters: number[] = []
  const discarded: Replica[] = []
  const placement = new Placement({
    replicas,
    random: new SeededRandom(1),
    lowestAllowed: () => id(lowest),
    create: (_, replica) => created.push(replica),
    createMissed: (_, replica) => voters.push(replica),
    missed: { mayBe: () => missed, has: ({ span }) => missed && span === descriptor.span },
    discard: (replica) => discarded.push(replica),
    send: (_, message) => sent.push(message),
  })
  const append = (to: number, type: Message['type'] = 'append') =>
    placement.unknown(leader, { type, range, to } as unknown as Message)
  const place = (replica: number, nonce: number | null, by = descriptor) =>
    placement.place(leader, { type: 'place', replica: id(replica), descriptor: by, nonce })
  const nonce = () => sent.flatMap((message) => (message.type === 'vacant' ? [message.nonce] : [])).at(-1)!
  return { replicas, sent, created, voters, discarded, append, place, nonce }
}

describe('a node that is asked for a replica it has not got', () => {
  it('says so to a leader, and to nobody who asks for votes', () => {
    const { append, sent } = node()
    append(1, 'vote')
    append(1, 'preVote')
    expect(sent).toEqual([])
    append(1)
    append(1, 'heartbeat')
    expect(sent).toEqual(new Array(2).fill({ type: 'absent', range, replica: 1 }))
  })

  it('says nothing below its tombstone, nor makes anything', () => {
    const { append, place, sent, created } = node(5)
    append(4)
    place(4, null)
    expect([sent, created]).toEqual([[], []])
  })

  it('makes one for the nonce that it gave, once: a late or doubled place brings nothing back', () => {
    const { place, nonce, created } = node()
    place(4, 12_345)
    place(4, null)
    expect(created).toEqual([])
    const given = nonce()
    place(4, given)
    place(4, given)
    expect(created).toEqual([4])
    place(5, null)
    expect(nonce()).not.toBe(given)
  })

  it('does not call vacant what is on its way to the log: it would be replaced as soon as it is there', () => {
    const { place, nonce, sent, created } = node()
    place(4, null)
    place(4, nonce())
    sent.length = 0
    place(4, nonce())
    place(4, null)
    expect([created, sent]).toEqual([[4], []])
  })

  it('lets go of a replica with a state once a descriptor shows that it is out, and not for an older one', () => {
    const { append, place, replicas, discarded, sent } = node()
    replicas.set(range, replicaOf(range, { id: 5, hasState: true }))
    append(6)
    expect([discarded, sent]).toEqual([[], [{ type: 'absent', range, replica: 6 }]])
    const named = [5, 6].map((each) => ({ replica: id(each), node: leader, role: 'learner' as const }))
    place(6, null, { ...descriptor, replicas: named })
    place(4, null, { ...descriptor, replicas: [], nextReplica: id(5) })
    expect(discarded).toEqual([])
    place(6, null, { ...descriptor, replicas: named.slice(1) })
    expect(discarded).toEqual([replicas.get(range)])
  })

  it('is silent while another range lies there, with its state or without: a split ahead of it may make the replica', () => {
    const { place, replicas, sent } = node()
    for (const hasState of [true, false]) {
      replicas.set(7 as RangeId, replicaOf(7, { id: 1, hasState, from: 'l', to: 'z' }))
      place(4, null)
      expect(sent).toEqual([])
    }
    replicas.set(7 as RangeId, replicaOf(7, { id: 1, hasState: true, from: 'm', to: 'z' }))
    place(4, null)
    expect(sent).toHaveLength(1)
  })

  it('lets go of an empty one for a later id, never for an earlier id', () => {
    const { append, replicas, discarded, sent } = node()
    replicas.set(range, replicaOf(range, { id: 4, hasState: true }))
    append(3)
    replicas.set(range, replicaOf(range, { id: 4, hasState: false }))
    append(3)
    expect([discarded, sent]).toEqual([[], []])
    append(5)
    expect(discarded).toHaveLength(1)
    expect(sent).toEqual([{ type: 'absent', range, replica: 5 }])
  })
})

describe('a node that missed the birth of the range it is asked for', () => {
  it('says that it lacks a replica to who asks for votes, too: without it there may be too few to elect a leader', () => {
    const { append, sent } = node(0, true)
    append(1, 'preVote')
    append(1, 'vote')
    expect(sent).toEqual(new Array(2).fill({ type: 'absent', range, replica: 1 }))
  })

  it('makes the voter at the first word, once, and never says that it would take another', () => {
    const { place, sent, created, voters } = node(0, true)
    place(1, null)
    place(1, null)
    expect([voters, created, sent]).toEqual([[1], [], []])
  })

  it('waits while the parent lies there still, and asks for proof where it can not show that nothing of the range lived here', () => {
    const { place, replicas, sent, voters } = node(0, true)
    replicas.set(7 as RangeId, replicaOf(7, { id: 1, hasState: true }))
    place(1, null)
    expect([voters, sent]).toEqual([[], []])
    replicas.clear()
    place(1, null, { ...descriptor, span: { start: k('x'), end: null } })
    expect([voters, sent]).toEqual([[], [expect.objectContaining({ type: 'vacant' })]])
  })
})
