import type { Descriptor } from '../base/descriptor.js'
import { isJoint } from '../base/descriptor.js'
import type { Generation, ReplicaId } from '../base/ids.js'
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

/** Both get the same new generation; the child lives on the same nodes under replica ids of its own, counted from 1. */
export function cut(command: SplitCommand, descriptor: Descriptor): Halves {
  const { span, replicas } = descriptor
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
