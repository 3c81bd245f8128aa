import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Descriptor, isJoint, type ReplicaDescriptor } from '../../src/base/descriptor.js'
import type { Generation, NodeId, RangeId, ReplicaId } from '../../src/base/ids.js'
import { replicasRefusal } from '../../src/kv/replicas.js'
import { configurationOf } from '../../src/store/configuration.js'
import { nextChange } from '../../src/store/membership/next-change.js'
import { Vacancies } from '../../src/store/membership/vacancies.js'
import { times } from '../property.js'
import { k, v } from './requests.js'

const replica = (id: number, node: number, role: ReplicaDescriptor['role'] = 'voter'): ReplicaDescriptor => ({
  replica: id as ReplicaId,
  node: node as NodeId,
  role,
})

function descriptorOf(replicas: readonly ReplicaDescriptor[], next = 4): Descriptor {
  const span = { start: k('a'), end: k('m') }
  const nextReplica = next as ReplicaId
  return { range: 2 as RangeId, span, generation: 1 as Generation, epoch: 0, replicas, nextReplica }
}

const three = [replica(1, 1), replica(2, 2), replica(3, 3)]

function next(
  descriptor: Descriptor,
  gone: readonly number[] = [],
  caughtUp: readonly number[] = [],
  answering: readonly number[] = [],
) {
  return nextChange({
    descriptor,
    answers: (id) => answering.includes(id),
    isGone: (id) => gone.includes(id),
    isCaughtUp: (id) => caughtUp.includes(id),
  })
}

describe('the next change of replicas', () => {
  it('is none where nobody is missing', () => {
    expect(next(descriptorOf(three))).toBeNull()
  })

  it('a voter that is gone gets a learner beside it, under an id never used', () => {
    const change = next(descriptorOf(three), [2])
    expect(change?.replicas).toEqual([...three, replica(4, 2, 'learner')])
    expect(change?.nextReplica).toBe(5)
    expect(change?.placed).toEqual({ replica: 4, for: 2 })
  })

  it('a learner takes the place of the voter of its node once it has caught up, not before, in a joint change', () => {
    const descriptor = descriptorOf([...three, replica(4, 2, 'learner')], 5)
    expect(next(descriptor, [2])).toBeNull()
    expect(next(descriptor, [], [4])?.replicas).toEqual([
      replica(1, 1),
      replica(2, 2, 'outgoing'),
      replica(3, 3),
      replica(4, 2, 'incoming'),
    ])
  })

  it('a joint change is left before anything else, by whoever leads', () => {
    const joint = [replica(1, 1), replica(2, 2, 'outgoing'), replica(3, 3), replica(4, 2, 'incoming')]
    expect(next(descriptorOf(joint, 5), [1, 4])?.replicas).toEqual([replica(1, 1), replica(3, 3), replica(4, 2)])
  })

  it('a voter that came after its node had said that it is gone keeps its place, and no learner stays beside it', () => {
    expect(next(descriptorOf(three), [2], [], [2])).toBeNull()
    const descriptor = descriptorOf([...three, replica(4, 2, 'learner')], 5)
    const change = next(descriptor, [2], [], [1, 2])
    expect([change?.replicas, change?.nextReplica, change?.placed]).toEqual([three, 5, null])
    expect(next(descriptor, [2], [], [1, 3])).toBeNull()
  })

  it('a learner that is gone is not made again under its id', () => {
    const change = next(descriptorOf([...three, replica(4, 2, 'learner')], 5), [2, 4])
    expect(change?.replicas).toEqual([...three, replica(5, 2, 'learner')])
    expect(change?.placed).toEqual({ replica: 5, for: 4 })
  })

  it('whoever is gone when: apply takes every step, a step changes one voter at most, and in the end all are voters again', () => {
    const arbitrary = fc.array(fc.record({ node: fc.integer({ min: 1, max: 3 }), at: fc.nat(20) }), { maxLength: 4 })
    fc.assert(
      fc.property(arbitrary, (wipes) => {
        let descriptor = descriptorOf(three)
        const gone = new Set<number>()
        for (let step = 0; step < 60; step++) {
          for (const wipe of wipes) {
            if (wipe.at !== step) continue
            for (const each of descriptor.replicas) if (each.node === wipe.node) gone.add(each.replica)
          }
          const change = next(
            descriptor,
            [...gone],
            descriptor.replicas.filter((each) => !gone.has(each.replica)).map((each) => each.replica),
          )
          if (change === null) continue
          const { replicas, nextReplica } = change
          const epoch = descriptor.epoch + 1
          expect(
            replicasRefusal({ kind: 'replicas', version: v(1), epoch, replicas, nextReplica }, descriptor, true),
          ).toBeNull()
          const [before, after] = [configurationOf(descriptor.replicas), configurationOf(replicas)]
          const added = after.voters.filter((id) => !before.voters.includes(id))
          const changed = before.voters.join() !== after.voters.join()
          expect(added.length).toBeLessThanOrEqual(1)
          // Voters change only while both sets decide.
          expect(!changed || isJoint({ replicas }) || isJoint(descriptor)).toBe(true)
          descriptor = { ...descriptor, epoch, replicas, nextReplica }
        }
        expect(descriptor.replicas.every(({ role }) => role === 'voter')).toBe(true)
        expect(descriptor.replicas.map(({ node }) => node).sort()).toEqual([1, 2, 3])
        expect(descriptor.replicas.some((each) => gone.has(each.replica))).toBe(false)
      }),
      times(500, 7),
    )
  })
})

describe('a replica counts as gone', () => {
  const node = 2 as NodeId
  const id = 2 as ReplicaId

  it('once its node has said so for a second, and says so still', () => {
    const vacancies = new Vacancies()
    for (let nowMs = 0; nowMs <= 900; nowMs += 100) vacancies.heard(id, { node, nonce: 5, nowMs })
    expect(vacancies.isGone(id, 950)).toBe(false)
    vacancies.heard(id, { node, nonce: 5, nowMs: 1_000 })
    expect(vacancies.isGone(id, 1_000)).toBe(true)
    expect(vacancies.isGone(id, 2_001)).toBe(false)
  })

  it('not by late copies of an old answer, nor by answers of two boots', () => {
    const vacancies = new Vacancies()
    vacancies.heard(id, { node, nonce: 5, nowMs: 0 })
    vacancies.heard(id, { node, nonce: 5, nowMs: 5_000 })
    expect(vacancies.isGone(id, 5_000)).toBe(false)
    vacancies.heard(id, { node, nonce: 6, nowMs: 5_900 })
    expect(vacancies.isGone(id, 6_100)).toBe(false)
  })

  it('and the id that stands in for it is made with the nonce given for it', () => {
    const vacancies = new Vacancies()
    vacancies.heard(id, { node, nonce: 5, nowMs: 0 })
    vacancies.placed({ replica: 4 as ReplicaId, for: id })
    expect(vacancies.nonceFor(4 as ReplicaId)).toBe(5)
    expect(vacancies.nonceFor(id)).toBeNull()
  })
})
