import { assert } from '../../base/assert.js'
import type { Descriptor, NodeInfo, ReplicaDescriptor, ReplicaRole } from '../../base/descriptor.js'
import type { Generation, Key, NodeId, RangeId, ReplicaId, SessionId, Version } from '../../base/ids.js'
import type { Codec, Origin } from '../../kv/types.js'
import { codecs } from '../../kv/types.js'
import type { ByteReader, ByteWriter } from './bytes.js'
import { DamagedError, UnknownFormatError } from './errors.js'

/** Codec tags as stored; never renumbered. */
const codecTags: Readonly<Record<Codec, number>> = { bytes: 0, utf8: 1, json: 2, msgpack: 3 }

export function codecTag(codec: Codec): number {
  return codecTags[codec]
}

export function codecOf(tag: number): Codec {
  const codec = codecs[tag]
  if (codec === undefined) throw new UnknownFormatError(`a value with codec tag ${tag}`)
  return codec
}

/** Session ids of one payload: written out where they first appear, a small number from then on. */
export class SessionNames {
  readonly #numbers = new Map<SessionId, number>()
  #last: SessionId | null = null
  #lastNumber = 0

  reset(): void {
    if (this.#numbers.size > 0) this.#numbers.clear()
    this.#last = null
  }

  write(writer: ByteWriter, session: SessionId): void {
    if (session === this.#last) {
      writer.varint(this.#lastNumber)
      return
    }
    let number = this.#numbers.get(session)
    if (number === undefined) {
      number = this.#numbers.size
      this.#numbers.set(session, number)
      writer.varint(number)
      writer.binary(session)
    } else {
      writer.varint(number)
    }
    this.#last = session
    this.#lastNumber = number
  }
}

function readSession(reader: ByteReader, names: SessionId[]): SessionId {
  const number = reader.varint()
  if (number === names.length) names.push(reader.binary() as SessionId)
  const name = names[number]
  if (name === undefined) throw new DamagedError(`session number ${number} of ${names.length}`)
  return name
}

export function writeOrigin(writer: ByteWriter, sessions: SessionNames, origin: Origin): void {
  sessions.write(writer, origin.session)
  writer.varint(origin.sequence)
  writer.uint56(origin.firstSent)
  writer.varint(origin.lowest)
}

export function readOrigin(reader: ByteReader, names: SessionId[]): Origin {
  return {
    session: readSession(reader, names),
    sequence: reader.varint(),
    firstSent: reader.uint56() as Version,
    lowest: reader.varint(),
  }
}

/** By their tags as stored; never moved. */
const roles: readonly ReplicaRole[] = ['voter', 'learner', 'incoming', 'outgoing']

export function writeDescriptor(writer: ByteWriter, descriptor: Descriptor): void {
  const { span } = descriptor
  writer.varint(descriptor.range)
  writer.binary(span.start)
  writer.uint8(span.end === null ? 0 : 1)
  if (span.end !== null) writer.binary(span.end)
  writer.varint(descriptor.generation)
  writer.varint(descriptor.epoch)
  writer.varint(descriptor.nextReplica)
  writeReplicas(writer, descriptor.replicas)
}

export function writeReplicas(writer: ByteWriter, replicas: readonly ReplicaDescriptor[]): void {
  writer.varint(replicas.length)
  for (const { replica, node, role } of replicas) {
    const tag = roles.indexOf(role)
    assert(tag >= 0, 'unknown role', role)
    writer.varint(replica)
    writer.varint(node)
    writer.uint8(tag)
  }
}

export function readDescriptor(reader: ByteReader): Descriptor {
  const range = reader.varint() as RangeId
  const start = reader.binary() as Key
  const end = reader.uint8() === 0 ? null : (reader.binary() as Key)
  const generation = reader.varint() as Generation
  const epoch = reader.varint()
  const nextReplica = reader.varint() as ReplicaId
  return { range, span: { start, end }, generation, epoch, replicas: readReplicas(reader), nextReplica }
}

export function readReplicas(reader: ByteReader): ReplicaDescriptor[] {
  const replicas: ReplicaDescriptor[] = []
  for (let left = reader.count(); left > 0; left--) {
    const replica = reader.varint() as ReplicaId
    const node = reader.varint() as NodeId
    const tag = reader.uint8()
    const role = roles[tag]
    if (role === undefined) throw new UnknownFormatError(`a replica with role ${tag}`)
    replicas.push({ replica, node, role })
  }
  return replicas
}

export function writeNode(writer: ByteWriter, info: NodeInfo): void {
  writer.varint(info.node)
  writer.text(info.clientAddress)
  writer.text(info.peerAddress)
  writer.varint(info.pid)
}

export function readNode(reader: ByteReader): NodeInfo {
  return {
    node: reader.varint() as NodeId,
    clientAddress: reader.text(),
    peerAddress: reader.text(),
    pid: reader.varint(),
  }
}
