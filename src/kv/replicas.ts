import type { Descriptor } from '../base/descriptor.js'
import type { ReplicaId } from '../base/ids.js'
import type { Outcome, ReplicasCommand } from './types.js'

/**
 * Why these replicas can't follow on those of `descriptor`, or null. Asked before such an entry is proposed: raft goes by it from
 * the moment it stands in the log, so one that apply refuses would part the two.
 */
export function replicasRefusal(command: ReplicasCommand, descriptor: Descriptor, isAlone: boolean): Outcome | null {
  if (!isAlone) return invalid('a change of replicas must be the only command of its entry')
  if (command.epoch !== descriptor.epoch + 1) {
    return invalid(`a change of replicas to epoch ${command.epoch} does not follow on epoch ${descriptor.epoch}`)
  }
  if (command.nextReplica < descriptor.nextReplica) return invalid('replica ids are never given twice')
  const known = new Map(descriptor.replicas.map(({ replica, node }) => [replica, node]))
  const named = new Set<ReplicaId>()
  for (const { replica, node } of command.replicas) {
    if (named.has(replica)) return invalid(`replica ${replica} stands twice among the replicas`)
    named.add(replica)
    const isNew = replica >= descriptor.nextReplica && replica < command.nextReplica
    if (!isNew && !known.has(replica)) return invalid(`replica id ${replica} was given before, or never`)
    if (!isNew && known.get(replica) !== node) return invalid(`replica ${replica} lives on another node`)
  }
  if (!command.replicas.some(({ role }) => role === 'voter' || role === 'incoming')) return invalid('nobody would vote')
  return null
}

export function withReplicas(descriptor: Descriptor, command: ReplicasCommand): Descriptor {
  const { epoch, replicas, nextReplica } = command
  return { ...descriptor, epoch, replicas, nextReplica }
}

function invalid(reason: string): Outcome {
  return { kind: 'invalid', reason }
}
