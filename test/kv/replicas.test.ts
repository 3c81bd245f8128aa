import { describe, expect, test } from 'vitest'
import type { ReplicaDescriptor } from '../../src/base/descriptor.js'
import { isJoint } from '../../src/base/descriptor.js'
import type { Generation, NodeId, RangeId, ReplicaId } from '../../src/base/ids.js'
import type { ReplicasCommand, SplitCommand } from '../../src/kv/types.js'
import { bookkeeping, descriptor, digestOf, Harness, k, put, REPLICAS, v, writeAt } from './helpers.js'

/** What `descriptor()` has: replicas 4, 2 and 9 on nodes 1, 3 and 2, epoch 3, next id 10. */
const change = (version: number, parts: Partial<ReplicasCommand> = {}): ReplicasCommand => ({
  kind: 'replicas',
  version: v(version),
  epoch: 4,
  replicas: REPLICAS,
  nextReplica: 10 as ReplicaId,
  ...parts,
})
const replica = (id: number, node: number, role: ReplicaDescriptor['role']): ReplicaDescriptor => ({
  replica: id as ReplicaId,
  node: node as NodeId,
  role,
})
const splitAt = (version: number): SplitCommand => ({
  kind: 'split',
  version: v(version),
  origin: null,
  generation: 1 as Generation,
  at: k('m'),
  child: 7 as RangeId,
})

describe('a change of replicas', () => {
  test('takes the place of the old ones, and is told; span and generation stay', () => {
    const range = new Harness()
    const replicas = [...REPLICAS, replica(10, 4, 'learner')]
    const applied = range.apply(change(1, { replicas, nextReplica: 11 as ReplicaId }))
    const expected = descriptor({ replicas, epoch: 4, nextReplica: 11 as ReplicaId })
    expect(applied).toMatchObject({ outcomes: [{ kind: 'done', version: 1 }], replicas: expected, journal: null })
    expect(range.machine.bookkeeping.descriptor).toEqual(expected)
    expect(range.apply(writeAt(2, [put('a', '1')])).outcomes[0]?.kind).toBe('written')
    expect(range.apply(change(3, { epoch: 5, replicas, nextReplica: 11 as ReplicaId })).replicas?.epoch).toBe(5)
  })

  test('is told by nothing else', () => {
    const range = new Harness()
    expect(range.apply(writeAt(1, [put('a', '1')])).replicas).toBeNull()
    expect(range.apply(splitAt(2)).replicas).toBeNull()
  })

  test.each([
    ['of an epoch that was', { epoch: 3 }],
    ['that leaves an epoch out', { epoch: 5 }],
    ['that gives a replica id back', { nextReplica: 9 as ReplicaId }],
    ['with one id twice', { replicas: [...REPLICAS, REPLICAS[0]!] }],
    ['with an id that was given before and let go', { replicas: [...REPLICAS, replica(5, 4, 'learner')] }],
    ['with an id that is not given yet', { replicas: [...REPLICAS, replica(10, 4, 'learner')] }],
    ['that moves a replica to another node', { replicas: [replica(4, 5, 'voter'), ...REPLICAS.slice(1)] }],
    ['after which nobody votes', { replicas: [replica(4, 1, 'outgoing'), replica(2, 3, 'learner')] }],
    ['without replicas', { replicas: [] }],
  ])('%s is invalid and changes nothing', (_, wrong) => {
    const range = new Harness()
    const applied = range.apply(change(1, wrong))
    expect(applied.outcomes[0]?.kind).toBe('invalid')
    expect(applied.replicas).toBeNull()
    expect(range.machine.bookkeeping.descriptor).toEqual(descriptor())
  })

  test('is alone in its entry, or invalid: raft goes by an entry, not by a command', () => {
    const range = new Harness()
    const applied = range.apply(change(1), writeAt(2, [put('a', '1')]))
    expect(applied.outcomes.map(({ kind }) => kind)).toEqual(['invalid', 'written'])
    expect(range.apply(writeAt(3, [put('a', '1')]), change(4)).replicas).toBeNull()
  })
})

describe('a split', () => {
  const joint = [replica(4, 1, 'voter'), replica(2, 3, 'outgoing'), replica(9, 2, 'incoming')]

  test('is refused while the voters change, and done once the change is', () => {
    const range = new Harness(bookkeeping({ descriptor: descriptor({ replicas: joint }) }))
    expect(isJoint(range.machine.bookkeeping.descriptor)).toBe(true)
    const applied = range.apply(splitAt(1))
    expect(applied.outcomes).toEqual([{ kind: 'notNow', reason: 'a range is not split while its voters change' }])
    expect(applied.split).toBeNull()
    range.apply(change(2, { replicas: [replica(4, 1, 'voter'), replica(9, 2, 'voter')] }))
    expect(range.apply(splitAt(3)).split).not.toBeNull()
  })

  test('leaves learners learners, under new ids, and the floor of what was collected', () => {
    const range = new Harness(bookkeeping({ collectionFloor: v(1) }))
    const { bookkeeping: child } = range.apply(splitAt(2)).split!
    expect(child.descriptor.replicas).toEqual([
      replica(1, 1, 'voter'),
      replica(2, 3, 'voter'),
      replica(3, 2, 'learner'),
    ])
    expect([child.descriptor.epoch, child.descriptor.nextReplica, child.collectionFloor]).toEqual([0, 4, 1])
  })
})

describe('the collection floor', () => {
  test('is raised by command and never lowered', () => {
    const range = new Harness()
    expect(range.machine.bookkeeping.collectionFloor).toBe(0)
    range.apply({ kind: 'collectionFloor', version: v(10), floor: v(8) })
    expect(range.machine.bookkeeping.collectionFloor).toBe(8)
    const { outcomes } = range.apply({ kind: 'collectionFloor', version: v(11), floor: v(5) })
    expect([outcomes, range.machine.bookkeeping.collectionFloor]).toEqual([[{ kind: 'done', version: 11 }], 8])
  })

  test('does not lie in the future', () => {
    const range = new Harness()
    expect(range.apply({ kind: 'collectionFloor', version: v(10), floor: v(11) }).outcomes[0]?.kind).toBe('invalid')
    expect(range.apply({ kind: 'collectionFloor', version: v(12), floor: v(Number.NaN) }).outcomes[0]?.kind).toBe(
      'invalid',
    )
    expect(range.machine.bookkeeping.collectionFloor).toBe(0)
    range.apply({ kind: 'collectionFloor', version: v(13), floor: v(13) })
    expect(range.machine.bookkeeping.collectionFloor).toBe(13)
  })
})

describe('a digest', () => {
  test('is of all that was written up to and in its entry', () => {
    const range = new Harness()
    expect(range.apply({ kind: 'digest', version: v(1) }).digest).toBe(0)
    expect(range.apply(writeAt(2, [put('a', '1')])).digest).toBeNull()
    const applied = range.apply(
      writeAt(3, [put('b', '1')]),
      { kind: 'digest', version: v(4) },
      writeAt(5, [put('c', '1')]),
    )
    const written = ['a', 'b', 'c'].map((key, at) => {
      const version = [2, 3, 5][at]!
      return digestOf({ key: k(key), version, codec: 'utf8', value: Uint8Array.from(Buffer.from('1')) })
    })
    expect(applied.digest).toBe(written.reduce((sum, each) => (sum + each) % 2 ** 48, 0))
    expect(applied).toMatchObject({
      outcomes: [{ kind: 'written' }, { kind: 'done', version: 4 }, { kind: 'written' }],
    })
    expect(applied.digest).toBe(range.machine.bookkeeping.digest)
  })
})
