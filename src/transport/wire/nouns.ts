import type { Descriptor, NodeInfo, ReplicaDescriptor, ReplicaRole } from '../../base/descriptor.js'
import type { ClusterId, Generation, Key, NodeId, RangeId, ReplicaId } from '../../base/ids.js'
import type { Codec } from '../../kv/types.js'
import { type Reader, WireError } from './reader.js'
import { bytes, varint, type Writer } from './writer.js'

const NODE = { node: varint(1), clientAddress: bytes(2), peerAddress: bytes(3), pid: varint(4) }
const REPLICA = { replica: varint(1), node: varint(2), role: varint(3) }
const DESCRIPTOR = {
  range: varint(1),
  start: bytes(2),
  end: bytes(3),
  generation: varint(4),
  epoch: varint(5),
  replicas: bytes(6),
  nextReplica: varint(7),
}

/** By their numbers on the wire. */
const codecs: readonly Codec[] = ['bytes', 'utf8', 'json', 'msgpack']
const roles: readonly ReplicaRole[] = ['voter', 'learner', 'incoming', 'outgoing']

const ADDRESS_CHARACTERS_MAX = 300

export function codecNumber(codec: Codec): number {
  return codecs.indexOf(codec)
}

export function codecOf(number: number): Codec {
  const codec = codecs[number]
  if (codec === undefined) throw new WireError(`codec ${number} is not known, expected 0 to ${codecs.length - 1}`)
  return codec
}

/** An id that the cluster hands out: from 1. */
export function idOf<Id extends number>(value: number, what: string): Id {
  if (value < 1) throw new WireError(`${what} is ${value}, expected 1 or more`)
  return value as Id
}

export function clusterOf(value: string): ClusterId {
  if (!/^[0-9a-f]{32}$/.test(value)) throw new WireError(`cluster id is ${show(value)}, expected 32 hex digits`)
  return value as ClusterId
}

export function addressOf(value: string, what: string): string {
  if (value.length > ADDRESS_CHARACTERS_MAX || !/^\S+:\d{1,5}$/.test(value)) {
    throw new WireError(`${what} is ${show(value)}, expected host:port`)
  }
  return value
}

/** Someone else's string in a message of ours: quoted, and short. */
export function show(value: string): string {
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value)
}

export function writeNode(writer: Writer, tag: number, info: NodeInfo): void {
  writer.open(tag)
  writer.uint(NODE.node, info.node)
  writer.utf8(NODE.clientAddress, info.clientAddress)
  writer.utf8(NODE.peerAddress, info.peerAddress)
  writer.uint(NODE.pid, info.pid)
  writer.close()
}

export function readNode(reader: Reader): NodeInfo {
  const outer = reader.enter()
  let node = 0
  let clientAddress = ''
  let peerAddress = ''
  let pid = 0
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === NODE.node) node = reader.uint()
    else if (tag === NODE.clientAddress) clientAddress = reader.utf8()
    else if (tag === NODE.peerAddress) peerAddress = reader.utf8()
    else if (tag === NODE.pid) pid = reader.uint()
    else reader.skip()
  }
  reader.leave(outer)
  return {
    node: idOf<NodeId>(node, 'node id'),
    clientAddress: addressOf(clientAddress, 'client address'),
    peerAddress: addressOf(peerAddress, 'peer address'),
    pid,
  }
}

export function writeDescriptor(writer: Writer, tag: number, descriptor: Descriptor): void {
  writer.open(tag)
  writer.uint(DESCRIPTOR.range, descriptor.range)
  writer.latin1(DESCRIPTOR.start, descriptor.span.start)
  if (descriptor.span.end !== null) writer.latin1(DESCRIPTOR.end, descriptor.span.end)
  writer.uint(DESCRIPTOR.generation, descriptor.generation)
  writer.uint(DESCRIPTOR.epoch, descriptor.epoch)
  for (const { replica, node, role } of descriptor.replicas) {
    writer.open(DESCRIPTOR.replicas)
    writer.uint(REPLICA.replica, replica)
    writer.uint(REPLICA.node, node)
    writer.uint(REPLICA.role, roles.indexOf(role))
    writer.close()
  }
  writer.uint(DESCRIPTOR.nextReplica, descriptor.nextReplica)
  writer.close()
}

export function readDescriptor(reader: Reader): Descriptor {
  const outer = reader.enter()
  let range = 0
  let start = ''
  let end: string | null = null
  let generation = 0
  let epoch = 0
  let nextReplica = 0
  const replicas: ReplicaDescriptor[] = []
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === DESCRIPTOR.range) range = reader.uint()
    else if (tag === DESCRIPTOR.start) start = reader.latin1()
    else if (tag === DESCRIPTOR.end) end = reader.latin1()
    else if (tag === DESCRIPTOR.generation) generation = reader.uint()
    else if (tag === DESCRIPTOR.epoch) epoch = reader.uint()
    else if (tag === DESCRIPTOR.replicas) replicas.push(readReplica(reader))
    else if (tag === DESCRIPTOR.nextReplica) nextReplica = reader.uint()
    else reader.skip()
  }
  reader.leave(outer)
  if (end !== null && start >= end) throw new WireError(`the span of range ${range} is upside down or empty`)
  return {
    range: idOf<RangeId>(range, 'range id'),
    span: { start: start as Key, end: end as Key | null },
    generation: generation as Generation,
    epoch,
    replicas,
    nextReplica: idOf<ReplicaId>(nextReplica, 'next replica id'),
  }
}

function readReplica(reader: Reader): ReplicaDescriptor {
  const outer = reader.enter()
  let replica = 0
  let node = 0
  let role = 0
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === REPLICA.replica) replica = reader.uint()
    else if (tag === REPLICA.node) node = reader.uint()
    else if (tag === REPLICA.role) role = reader.uint()
    else reader.skip()
  }
  reader.leave(outer)
  const known = roles[role]
  if (known === undefined) {
    throw new WireError(`replica role ${role} is not known, expected 0 to ${roles.length - 1}`)
  }
  return {
    replica: idOf<ReplicaId>(replica, 'replica id'),
    node: idOf<NodeId>(node, 'node id'),
    role: known,
  }
}

/** A message of integers only, given in the order of `tags`; those left out are 0. */
export function readNumbers(reader: Reader, tags: readonly number[]): number[] {
  const outer = reader.enter()
  const numbers = tags.map(() => 0)
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    const at = tags.indexOf(tag)
    if (at >= 0) numbers[at] = reader.uint()
    else reader.skip()
  }
  reader.leave(outer)
  return numbers
}
