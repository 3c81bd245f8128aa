import { type Descriptor, isJoint, type ReplicaDescriptor } from '../../base/descriptor.js'
import type { ReplicaId } from '../../base/ids.js'

/** What the leader of a range knows when it looks whether its replicas are to change. */
export interface MembershipPicture {
  readonly descriptor: Descriptor
  /** Its node says that it has no such replica, and would take another in its place. */
  isGone(replica: ReplicaId): boolean
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
 * 3. A voter that is gone gets a learner beside it, under a new id.
 * 4. A learner beside a voter of the same node takes its place once it has caught up: a joint change, so that at no moment fewer
 *    voters decide than before.
 */
export function nextChange(picture: MembershipPicture): ReplicasChange | null {
  const { replicas } = picture.descriptor
  if (isJoint(picture.descriptor)) return change(picture, leave(replicas))
  const lost = replicas.find(({ replica, role }) => role === 'learner' && picture.isGone(replica))
  if (lost !== undefined) return replace(picture, lost)
  const hasLearner = (node: number) => replicas.some((each) => each.role === 'learner' && each.node === node)
  const gone = replicas.find(
    ({ replica, node, role }) => role === 'voter' && !hasLearner(node) && picture.isGone(replica),
  )
  if (gone !== undefined) return addLearner(picture, gone)
  return promote(picture)
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
