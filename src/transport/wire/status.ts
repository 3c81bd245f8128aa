import type { Descriptor, NodeInfo } from '../../base/descriptor.js'
import type { LogIndex, NodeId, ReplicaId, Term } from '../../base/ids.js'
import type { NodeStatus, ReplicaStatus } from '../../kv/requests.js'
import { clusterOf, idOf, readDescriptor, readNode, writeDescriptor, writeNode } from './nouns.js'
import { type Reader, WireError } from './reader.js'
import { REPLICA_STATUS, STATUS } from './reply-tags.js'
import type { Writer } from './writer.js'

const roles: readonly ReplicaStatus['role'][] = ['follower', 'preCandidate', 'candidate', 'leader']

export function writeStatus(writer: Writer, tag: number, status: NodeStatus): void {
  writer.open(tag)
  writer.utf8(STATUS.cluster, status.cluster)
  writeNode(writer, STATUS.node, status.node)
  for (const node of status.nodes) writeNode(writer, STATUS.nodes, node)
  for (const replica of status.replicas) writeReplica(writer, replica)
  writer.uint(STATUS.uptimeMs, Math.round(status.uptimeMs))
  writer.uint(STATUS.overlayBytes, status.overlayBytes)
  writer.uint(STATUS.logBytes, status.logBytes)
  writer.close()
}

function writeReplica(writer: Writer, status: ReplicaStatus): void {
  writer.open(STATUS.replicas)
  writeDescriptor(writer, REPLICA_STATUS.descriptor, status.descriptor)
  writer.uint(REPLICA_STATUS.replica, status.replica)
  writer.uint(REPLICA_STATUS.role, roles.indexOf(status.role))
  writer.uint(REPLICA_STATUS.term, status.term)
  writer.uint(REPLICA_STATUS.leader, status.leader ?? 0)
  writer.uint(REPLICA_STATUS.applied, status.applied)
  writer.uint(REPLICA_STATUS.commit, status.commit)
  writer.uint(REPLICA_STATUS.lastIndex, status.lastIndex)
  writer.uint(REPLICA_STATUS.digest, status.digest)
  writer.flag(REPLICA_STATUS.stateless, !status.hasState)
  writer.close()
}

export function readStatus(reader: Reader): NodeStatus {
  const outer = reader.enter()
  let cluster = ''
  let node: NodeInfo | null = null
  const nodes: NodeInfo[] = []
  const replicas: ReplicaStatus[] = []
  let uptimeMs = 0
  let overlayBytes = 0
  let logBytes = 0
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === STATUS.cluster) cluster = reader.utf8()
    else if (tag === STATUS.node) node = readNode(reader)
    else if (tag === STATUS.nodes) nodes.push(readNode(reader))
    else if (tag === STATUS.replicas) replicas.push(readReplica(reader))
    else if (tag === STATUS.uptimeMs) uptimeMs = reader.uint()
    else if (tag === STATUS.overlayBytes) overlayBytes = reader.uint()
    else if (tag === STATUS.logBytes) logBytes = reader.uint()
    else reader.skip()
  }
  reader.leave(outer)
  if (node === null) throw new WireError('a status names no node')
  return { cluster: clusterOf(cluster), node, nodes, replicas, uptimeMs, overlayBytes, logBytes }
}

function readReplica(reader: Reader): ReplicaStatus {
  const outer = reader.enter()
  let descriptor: Descriptor | null = null
  let stateless = false
  const numbers = { replica: 0, role: 0, term: 0, leader: 0, applied: 0, commit: 0, lastIndex: 0, digest: 0 }
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === REPLICA_STATUS.descriptor) descriptor = readDescriptor(reader)
    else if (tag === REPLICA_STATUS.replica) numbers.replica = reader.uint()
    else if (tag === REPLICA_STATUS.role) numbers.role = reader.uint()
    else if (tag === REPLICA_STATUS.term) numbers.term = reader.uint()
    else if (tag === REPLICA_STATUS.leader) numbers.leader = reader.uint()
    else if (tag === REPLICA_STATUS.applied) numbers.applied = reader.uint()
    else if (tag === REPLICA_STATUS.commit) numbers.commit = reader.uint()
    else if (tag === REPLICA_STATUS.lastIndex) numbers.lastIndex = reader.uint()
    else if (tag === REPLICA_STATUS.digest) numbers.digest = reader.uint()
    else if (tag === REPLICA_STATUS.stateless) stateless = reader.flag()
    else reader.skip()
  }
  reader.leave(outer)
  const role = roles[numbers.role]
  if (descriptor === null) throw new WireError('the status of a replica names no range')
  if (role === undefined) throw new WireError(`role ${numbers.role} is not known, expected 0 to ${roles.length - 1}`)
  return {
    descriptor,
    replica: idOf<ReplicaId>(numbers.replica, 'replica id'),
    role,
    term: numbers.term as Term,
    leader: numbers.leader === 0 ? null : (numbers.leader as NodeId),
    applied: numbers.applied as LogIndex,
    commit: numbers.commit as LogIndex,
    lastIndex: numbers.lastIndex as LogIndex,
    hasState: !stateless,
    digest: numbers.digest,
  }
}
