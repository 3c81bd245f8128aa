import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ReplicaId } from '../../src/base/ids.js'
import { allReplicas, isVoter, majorityValue, voteResult } from '../../src/raft/quorum.js'
import type { Configuration } from '../../src/raft/types.js'
import { replica, voters } from './configuration.js'

const idSet = (minLength: number) =>
  fc.uniqueArray(fc.integer({ min: 1, max: 9 }).map(replica), { minLength, maxLength: 7 })
const configurations: fc.Arbitrary<Configuration> = fc.record({
  voters: idSet(1),
  outgoing: idSet(0),
  learners: idSet(0),
})
const run = { seed: 52, numRuns: 1_000 }

/** The dumb twin: of all subsets that hold more than half of each voter set, is there one that is all in? */
function someQuorum(configuration: Configuration, isIn: (id: ReplicaId) => boolean): boolean {
  const ids = [...new Set([...configuration.voters, ...configuration.outgoing])]
  const sets = [configuration.voters, configuration.outgoing].filter((set) => set.length > 0)
  for (let bits = 0; bits < 2 ** ids.length; bits += 1) {
    const subset = ids.filter((_, position) => Math.floor(bits / 2 ** position) % 2 === 1)
    const isQuorum = sets.every((set) => set.filter((id) => subset.includes(id)).length > set.length / 2)
    if (isQuorum && subset.every(isIn)) return true
  }
  return false
}

test('the majority value is the highest that a quorum has reached', () => {
  fc.assert(
    fc.property(configurations, fc.array(fc.nat(5), { minLength: 10, maxLength: 10 }), (configuration, values) => {
      const reached = (id: ReplicaId) => values[id]!
      const value = majorityValue(configuration, reached)
      expect(someQuorum(configuration, (id) => reached(id) >= value)).toBe(true)
      expect(someQuorum(configuration, (id) => reached(id) >= value + 1)).toBe(false)
    }),
    run,
  )
})

test('an election is won by a quorum of grants and lost when none is possible any more', () => {
  const answers = fc.array(fc.constantFrom(true, false, null), { minLength: 10, maxLength: 10 })
  fc.assert(
    fc.property(configurations, answers, (configuration, answers) => {
      const votes = new Map<ReplicaId, boolean>()
      answers.forEach((answer, id) => {
        if (answer !== null) votes.set(replica(id), answer)
      })
      const isWon = someQuorum(configuration, (id) => votes.get(id) === true)
      const isOpen = someQuorum(configuration, (id) => votes.get(id) !== false)
      expect(voteResult(configuration, votes)).toBe(isWon ? 'won' : isOpen ? 'pending' : 'lost')
    }),
    run,
  )
})

test('learners count in no majority', () => {
  const configuration = { ...voters(1, 2, 3), learners: [4, 5, 6, 7].map(replica) }
  expect(majorityValue(configuration, (id) => (id >= 4 ? 9 : 1))).toBe(1)
  expect(voteResult(configuration, new Map([4, 5, 6, 7].map((id) => [replica(id), true])))).toBe('pending')
  expect(isVoter(configuration, replica(4))).toBe(false)
  expect(allReplicas(configuration).size).toBe(7)
})

test('a joint configuration needs both majorities', () => {
  const joint: Configuration = { voters: [1, 2, 3].map(replica), outgoing: [3, 4, 5].map(replica), learners: [] }
  const grants = (...ids: number[]) => new Map(ids.map((id) => [replica(id), true]))
  expect(voteResult(joint, grants(1, 2, 3))).toBe('pending')
  expect(voteResult(joint, grants(1, 3, 5))).toBe('won')
  expect(voteResult(joint, new Map([...grants(1, 2, 3), [replica(4), false], [replica(5), false]]))).toBe('lost')
})
