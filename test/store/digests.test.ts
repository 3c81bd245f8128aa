import { describe, expect, it } from 'vitest'
import type { ReplicaDescriptor } from '../../src/base/descriptor.js'
import type { LogIndex, NodeId, RangeId, ReplicaId } from '../../src/base/ids.js'
import type { DigestMessage, PeerMessage } from '../../src/store/ports.js'
import type { Replica } from '../../src/store/replica.js'
import { Digests } from '../../src/store/upkeep/digests.js'

const range = 2 as RangeId
const replicas: readonly ReplicaDescriptor[] = [1, 2, 3].map((id) => ({
  replica: id as ReplicaId,
  node: id as NodeId,
  role: 'voter',
}))

/** The digests of replica 1, with what it sent and whether it gave itself up. */
function first() {
  const sent: { to: NodeId; message: PeerMessage }[] = []
  const diverged: string[] = []
  const replica = { range, id: 1, applied: 7, hasState: true, descriptor: { replicas } } as unknown as Replica
  const digests = new Digests({
    replicas: new Map([[range, replica]]),
    send: (to, message) => sent.push({ to, message }),
    touch: () => {},
    onDivergence: (_, what) => diverged.push(what),
  })
  const told = (from: number, digest: number, index = 7): void =>
    digests.told({ type: 'digest', range, from, to: 1, index, digest } as unknown as DigestMessage)
  return { digests, replica, sent, diverged, told }
}

describe('replicas that compare their digests', () => {
  it('tell all others what they had written by that entry', () => {
    const { digests, replica, sent } = first()
    digests.applied(replica, 42)
    const message = { type: 'digest', range, from: 1, index: 7 as LogIndex, digest: 42 }
    expect(sent).toEqual([
      { to: 2, message: { ...message, to: 2 } },
      { to: 3, message: { ...message, to: 3 } },
    ])
  })

  it('the one whom a majority contradicts gives its state up, whoever speaks first', () => {
    const { digests, replica, told, diverged } = first()
    told(2, 43)
    digests.applied(replica, 42)
    expect(diverged).toHaveLength(0)
    told(3, 43)
    expect(diverged).toHaveLength(1)
  })

  it('one that another contradicts does not, nor where all three differ, nor for another entry', () => {
    const { digests, replica, told, diverged } = first()
    digests.applied(replica, 42)
    told(2, 43)
    told(2, 43)
    told(3, 44)
    told(3, 43, 6)
    expect(diverged).toHaveLength(0)
  })

  it('a majority that agrees is no divergence', () => {
    const { digests, replica, told, diverged } = first()
    digests.applied(replica, 42)
    told(2, 42)
    told(3, 43)
    expect(diverged).toHaveLength(0)
  })
})
