import type { ReplicaDescriptor } from '../base/descriptor.js'
import type { Configuration } from '../raft/types.js'

/** What the core goes by: the new voters, the old ones while a joint change is under way, and who only listens. */
export function configurationOf(replicas: readonly ReplicaDescriptor[]): Configuration {
  const idsOf = (...roles: readonly ReplicaDescriptor['role'][]) =>
    replicas.filter(({ role }) => roles.includes(role)).map(({ replica }) => replica)
  const isJoint = replicas.some(({ role }) => role === 'incoming' || role === 'outgoing')
  return {
    voters: idsOf('voter', 'incoming'),
    outgoing: isJoint ? idsOf('voter', 'outgoing') : [],
    learners: idsOf('learner'),
  }
}

/** Whether both name the same replicas in the same parts. */
export function isSameConfiguration(a: Configuration, b: Configuration): boolean {
  const same = (x: readonly number[], y: readonly number[]) => x.length === y.length && x.every((id) => y.includes(id))
  return same(a.voters, b.voters) && same(a.outgoing, b.outgoing) && same(a.learners, b.learners)
}
