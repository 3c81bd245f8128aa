import { assert } from '../base/assert.js'
import type { ReplicaId } from '../base/ids.js'
import type { Configuration } from './types.js'

export type VoteResult = 'won' | 'lost' | 'pending'

export function isVoter(configuration: Configuration, replica: ReplicaId): boolean {
  return configuration.voters.includes(replica) || configuration.outgoing.includes(replica)
}

/** Every replica once: voters of both sets, and learners. */
export function allReplicas(configuration: Configuration): ReadonlySet<ReplicaId> {
  return new Set([...configuration.voters, ...configuration.outgoing, ...configuration.learners])
}

/**
 * The highest value that a majority of the voters has reached; while a joint change is under way a majority of each set
 * (thesis 4.3). The values may be match indexes, confirmed read rounds, or ticks at which a voter was last heard.
 */
export function majorityValue(configuration: Configuration, reached: (replica: ReplicaId) => number): number {
  const value = majorityOf(configuration.voters, reached)
  return configuration.outgoing.length === 0 ? value : Math.min(value, majorityOf(configuration.outgoing, reached))
}

function majorityOf(voters: readonly ReplicaId[], reached: (replica: ReplicaId) => number): number {
  assert(voters.length > 0, 'a majority of nobody')
  const ascending = voters.map(reached).sort((a, b) => a - b)
  return ascending[Math.floor((ascending.length - 1) / 2)]!
}

/** 'lost' as soon as no majority (of both sets when joint) can be reached any more. Answers of others are ignored. */
export function voteResult(configuration: Configuration, votes: ReadonlyMap<ReplicaId, boolean>): VoteResult {
  const result = resultOf(configuration.voters, votes)
  if (configuration.outgoing.length === 0 || result === 'lost') return result
  const outgoing = resultOf(configuration.outgoing, votes)
  return outgoing === 'won' ? result : outgoing
}

function resultOf(voters: readonly ReplicaId[], votes: ReadonlyMap<ReplicaId, boolean>): VoteResult {
  assert(voters.length > 0, 'a vote among nobody')
  const majority = Math.floor(voters.length / 2) + 1
  let granted = 0
  let refused = 0
  for (const voter of voters) {
    const vote = votes.get(voter)
    if (vote === true) granted += 1
    if (vote === false) refused += 1
  }
  if (granted >= majority) return 'won'
  return voters.length - refused < majority ? 'lost' : 'pending'
}
