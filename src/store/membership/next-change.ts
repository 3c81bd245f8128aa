import { type Descriptor, isJoint, type ReplicaDescriptor } from '../../base/descriptor.js'
import type { NodeId, ReplicaId } from '../../base/ids.js'

/** What the leader of a range knows when it looks whether its replicas are to change. */
export interface MembershipPicture {
  readonly descriptor: Descriptor
  /** Its node says that it has no such replica, and would take another in its place. */
  isGone(replica: ReplicaId): boolean
  /** It has acknowledged something to this leader, and does still. */
  answers(replica: ReplicaId): boolean
  /** The learner's log reaches what was committed a while ago. */
  isCaughtUp(replica: ReplicaId): boolean
}

export interface ReplicasChange {
  readonly replicas: readonly ReplicaDescriptor[]
  readonly nextReplica: ReplicaId
  /** The id that this change places on a node for the first time, and the one it stands in for. */
  readonly placed: { readonly replica: ReplicaId; readonly for: ReplicaId } | null
}

/**
 * The one next step by which replicas that are gone for ever are replaced on their own node, or null. It goes by the descriptor
 * alone and by what can be asked again, so any leader can finish what another began:
 *
 * 1. A joint change is left (thesis 4.3).
 * 2. A learner that is gone makes way for a new id: it may have been a voter in an entry that this leader never saw.
 * 3. A learner beside a voter that answers goes: that one had only not come yet. A node that has a split ahead of it says of the child's
 *    voter that it has none, and makes it when it gets there; beside it the learner is never made.
 * 4. A voter that is gone gets a learner beside it, under a new id.
 * 5. A learner beside a voter of the same node takes its place once it has caught up: a joint change, so that at no moment fewer
 *    voters decide than before.
 */
export function nextChange(picture: MembershipPicture): ReplicasChange | null {
  const { replicas } = picture.descriptor
  if (isJoint(picture.descriptor)) return change(picture, leave(replicas))
  const lost = replicas.find(({ replica, role }) => role === 'learner' && picture.isGone(replica))
  if (lost !== undefined) return replace(picture, lost)
  const needless = replicas.find((each) => each.role === 'learner' && voterAnswers(picture, each.node))
  if (needless !== undefined) {
    const rest = replicas.filter((each) => each !== needless)
    return change(picture, rest)
  }
  const hasLearner = (node: number) => replicas.some((each) => each.role === 'learner' && each.node === node)
  const gone = replicas.find(
    ({ replica, node, role }) =>
      role === 'voter' && !hasLearner(node) && !picture.answers(replica) && picture.isGone(replica),
  )
  if (gone !== undefined) return addLearner(picture, gone)
  return promote(picture)
}

function voterAnswers(picture: MembershipPicture, on: NodeId): boolean {
  const { replicas } = picture.descriptor
  return replicas.some(({ replica, node, role }) => node === on && role === 'voter' && picture.answers(replica))
}

function leave(replicas: readonly ReplicaDescriptor[]): readonly ReplicaDescriptor[] {
  return replicas
    .filter(({ role }) => role !== 'outgoing')
    .map((each) => (each.role === 'incoming' ? { ...each, role: 'voter' } : each))
}

function replace(picture: MembershipPicture, lost: ReplicaDescriptor): ReplicasChange {
  const { replicas, nextReplica } = picture.descriptor
  const others = replicas.filter((each) => each !== lost)
  return {
    replicas: [...others, { replica: nextReplica, node: lost.node, role: 'learner' }],
    nextReplica: (nextReplica + 1) as ReplicaId,
    placed: { replica: nextReplica, for: lost.replica },
  }
}

function addLearner(picture: MembershipPicture, gone: ReplicaDescriptor): ReplicasChange {
  const { replicas, nextReplica } = picture.descriptor
  return {
    replicas: [...replicas, { replica: nextReplica, node: gone.node, role: 'learner' }],
    nextReplica: (nextReplica + 1) as ReplicaId,
    placed: { replica: nextReplica, for: gone.replica },
  }
}

function promote(picture: MembershipPicture): ReplicasChange | null {
  const { replicas } = picture.descriptor
  const learner = replicas.find(
    ({ replica, node, role }) =>
      role === 'learner' &&
      replicas.some((each) => each.role === 'voter' && each.node === node) &&
      picture.isCaughtUp(replica),
  )
  if (learner === undefined) return null
  return change(
    picture,
    replicas.map((each): ReplicaDescriptor => {
      if (each === learner) return { ...each, role: 'incoming' }
      return each.node === learner.node && each.role === 'voter' ? { ...each, role: 'outgoing' } : each
    }),
  )
}

function change(picture: MembershipPicture, replicas: readonly ReplicaDescriptor[]): ReplicasChange {
  return { replicas, nextReplica: picture.descriptor.nextReplica, placed: null }
}
