import type { Descriptor, ReplicaDescriptor } from '../base/descriptor.js'
import { isJoint } from '../base/descriptor.js'
import type { Generation, NodeId, ReplicaId } from '../base/ids.js'
import { META_RANGE } from '../base/ids.js'
import { contains } from '../base/span.js'
import type { Outcome, SplitCommand } from './types.js'

/** The two halves as they are described after the split. */
export interface Halves {
  readonly parent: Descriptor
  readonly child: Descriptor
}

/** Why a split can't be done here, or null. It must end its entry: what comes behind it would be of another generation. */
export function splitRefusal(command: SplitCommand, descriptor: Descriptor, endsEntry: boolean): Outcome | null {
  if (command.generation !== descriptor.generation) return { kind: 'rangeMoved' }
  if (descriptor.range === META_RANGE) return { kind: 'invalid', reason: 'the meta range never splits' }
  if (!endsEntry) return { kind: 'invalid', reason: 'a split must be the last command of its entry' }
  if (command.child === descriptor.range) return { kind: 'invalid', reason: 'a child needs a range id of its own' }
  if (command.at === descriptor.span.start || !contains(descriptor.span, command.at)) {
    return { kind: 'invalid', reason: 'the split key must lie inside the range, behind its first key' }
  }
  // Last: what can never be done is not to be tried again.
  if (isJoint(descriptor)) return { kind: 'notNow', reason: 'a range is not split while its voters change' }
  return null
}

/**
 * Both get the same new generation; the child lives on the same nodes under replica ids of its own, counted from 1. One on each node: where
 * a replica that is gone is being replaced, the node has two ids in the parent and is a voter of the child, of which it has lost nothing.
 */
export function cut(command: SplitCommand, descriptor: Descriptor): Halves {
  const { span } = descriptor
  const replicas = onePerNode(descriptor.replicas)
  const generation = (descriptor.generation + 1) as Generation
  return {
    parent: { ...descriptor, span: { start: span.start, end: command.at }, generation },
    child: {
      range: command.child,
      span: { start: command.at, end: span.end },
      generation,
      epoch: 0,
      replicas: replicas.map(({ node, role }, at) => ({ replica: (at + 1) as ReplicaId, node, role })),
      nextReplica: (replicas.length + 1) as ReplicaId,
    },
  }
}

/** In their order; a voter before a learner. */
function onePerNode(replicas: readonly ReplicaDescriptor[]): readonly ReplicaDescriptor[] {
  const isFirst = (at: number): boolean => replicas.findIndex(({ node }) => node === replicas[at]!.node) === at
  const isVoter = (of: NodeId): boolean => replicas.some(({ node, role }) => node === of && role !== 'learner')
  return replicas
    .filter((_, at) => isFirst(at))
    .map((each) => ({ ...each, role: isVoter(each.node) ? 'voter' : 'learner' }))
}
