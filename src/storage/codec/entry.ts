import { crc32 } from 'node:zlib'
import { assertNever } from '../../base/assert.js'
import type { Generation, Key, RangeId, ReplicaId, SessionId, Version } from '../../base/ids.js'
import type {
  AllocateCommand,
  Command,
  Condition,
  PublishCommand,
  ReplicasCommand,
  SplitCommand,
  Write,
  WriteCommand,
} from '../../kv/types.js'
import { ByteReader, ByteWriter } from './bytes.js'
import { DamagedError, UnknownFormatError } from './errors.js'
import { FORMAT, readFlags, readFormat, writeFlags } from './head.js'
import {
  codecOf,
  codecTag,
  readDescriptor,
  readNode,
  readOrigin,
  readReplicas,
  SessionNames,
  writeDescriptor,
  writeNode,
  writeOrigin,
  writeReplicas,
} from './parts.js'

// Entry payload: format (1), crc32 of all that follows (4), flags and optional fields (head.ts), number of commands,
// commands. Written by hand because it is on the path of every write on every replica: see docs/decisions/0003.

const CHECKSUM_AT = 1
const BODY_AT = 5

/** Kinds as stored; never renumbered. */
const Kind = {
  write: 1,
  split: 2,
  sessionFloor: 3,
  publish: 4,
  allocate: 5,
  replicas: 6,
  collectionFloor: 7,
  digest: 8,
} as const
const ConditionKind = { version: 0, absent: 1, value: 2 } as const
const WriteKind = { put: 0, delete: 1 } as const
const counters: readonly AllocateCommand['counter'][] = ['range', 'node']

const HAS_ORIGIN = 1
const WANT_VALUE = 2

const writer = new ByteWriter()
const sessions = new SessionNames()

/** The payload of an entry; owns its memory. */
export function encodeCommands(commands: readonly Command[]): Uint8Array {
  writer.reset()
  sessions.reset()
  writer.uint8(FORMAT)
  writer.uint32(0)
  writeFlags(writer, 0)
  writer.varint(commands.length)
  for (const command of commands) writeCommand(command)
  writer.patchUint32(CHECKSUM_AT, crc32(writer.view().subarray(BODY_AT)))
  return writer.copy()
}

/**
 * What encodeCommands was given. Values are views of `payload`; keys and session ids are strings of their own.
 * Throws DamagedError (the bytes are not what was written) or UnknownFormatError (written by a newer program).
 */
export function decodeCommands(payload: Uint8Array): readonly Command[] {
  const reader = new ByteReader(payload)
  readFormat(reader, 'an entry')
  const checksum = reader.uint32()
  const actual = crc32(payload.subarray(BODY_AT))
  if (checksum !== actual) throw new DamagedError(`an entry of ${payload.length} bytes has a wrong checksum`)
  readFlags(reader, 'an entry', 0)
  const names: SessionId[] = []
  const commands: Command[] = []
  for (let left = reader.count(); left > 0; left--) commands.push(readCommand(reader, names))
  if (reader.left > 0) throw new DamagedError(`an entry with ${reader.left} bytes too many`)
  return commands
}

function writeCommand(command: Command): void {
  switch (command.kind) {
    case 'write':
      writeWrite(command)
      return
    case 'split':
      writeStart(Kind.split, command.version, command.origin === null ? 0 : HAS_ORIGIN)
      if (command.origin !== null) writeOrigin(writer, sessions, command.origin)
      writer.varint(command.generation)
      writer.binary(command.at)
      writer.varint(command.child)
      return
    case 'sessionFloor':
      writeStart(Kind.sessionFloor, command.version, 0)
      writer.uint56(command.floor)
      return
    case 'publish':
      writeStart(Kind.publish, command.version, 0)
      writer.varint(command.descriptors.length)
      for (const descriptor of command.descriptors) writeDescriptor(writer, descriptor)
      writer.varint(command.nodes.length)
      for (const node of command.nodes) writeNode(writer, node)
      return
    case 'allocate':
      writeStart(Kind.allocate, command.version, 0)
      writer.uint8(counters.indexOf(command.counter))
      writer.varint(command.count)
      writer.uint8(command.token === null ? 0 : 1)
      if (command.token !== null) writer.text(command.token)
      return
    case 'replicas':
      writeStart(Kind.replicas, command.version, 0)
      writer.varint(command.epoch)
      writer.varint(command.nextReplica)
      writeReplicas(writer, command.replicas)
      return
    case 'collectionFloor':
      writeStart(Kind.collectionFloor, command.version, 0)
      writer.uint56(command.floor)
      return
    case 'digest':
      writeStart(Kind.digest, command.version, 0)
      return
    default:
      assertNever(command)
  }
}

function writeStart(kind: number, version: Version, bits: number): void {
  writer.uint8(kind)
  writer.uint8(bits)
  writer.uint56(version)
}

function writeWrite(command: WriteCommand): void {
  const { origin } = command
  writeStart(Kind.write, command.version, (origin === null ? 0 : HAS_ORIGIN) | (command.wantValue ? WANT_VALUE : 0))
  if (origin !== null) writeOrigin(writer, sessions, origin)
  writer.varint(command.generation)
  writer.varint(command.conditions.length)
  for (const condition of command.conditions) writeCondition(condition)
  writer.varint(command.writes.length)
  for (const write of command.writes) {
    writer.uint8(WriteKind[write.kind])
    writer.binary(write.key)
    if (write.kind === 'put') {
      writer.uint8(codecTag(write.codec))
      writer.blob(write.value)
    }
  }
}

function writeCondition(condition: Condition): void {
  writer.uint8(ConditionKind[condition.kind])
  writer.binary(condition.key)
  if (condition.kind === 'version') writer.uint56(condition.version)
  if (condition.kind === 'value') {
    writer.uint8(codecTag(condition.codec))
    writer.blob(condition.value)
  }
}

function readCommand(reader: ByteReader, names: SessionId[]): Command {
  const kind = reader.uint8()
  const bits = reader.uint8()
  const version = reader.uint56() as Version
  const known = kind === Kind.write ? HAS_ORIGIN | WANT_VALUE : kind === Kind.split ? HAS_ORIGIN : 0
  if ((bits & ~known) !== 0) throw new UnknownFormatError(`a command of kind ${kind} with bits 0x${bits.toString(16)}`)
  switch (kind) {
    case Kind.write:
      return readWrite(reader, names, { version, bits })
    case Kind.split:
      return readSplit(reader, names, { version, bits })
    case Kind.sessionFloor:
      return { kind: 'sessionFloor', version, floor: reader.uint56() as Version }
    case Kind.publish:
      return readPublish(reader, version)
    case Kind.allocate:
      return readAllocate(reader, version)
    case Kind.replicas:
      return readReplicasCommand(reader, version)
    case Kind.collectionFloor:
      return { kind: 'collectionFloor', version, floor: reader.uint56() as Version }
    case Kind.digest:
      return { kind: 'digest', version }
    default:
      throw new UnknownFormatError(`a command of kind ${kind}`)
  }
}

interface CommandStart {
  readonly version: Version
  readonly bits: number
}

function readWrite(reader: ByteReader, names: SessionId[], { version, bits }: CommandStart): WriteCommand {
  const origin = (bits & HAS_ORIGIN) !== 0 ? readOrigin(reader, names) : null
  const generation = reader.varint() as Generation
  const conditions: Condition[] = []
  for (let left = reader.count(); left > 0; left--) conditions.push(readCondition(reader))
  const writes: Write[] = []
  for (let left = reader.count(); left > 0; left--) writes.push(readOneWrite(reader))
  return { kind: 'write', version, origin, generation, conditions, writes, wantValue: (bits & WANT_VALUE) !== 0 }
}

function readCondition(reader: ByteReader): Condition {
  const kind = reader.uint8()
  const key = reader.binary() as Key
  switch (kind) {
    case ConditionKind.version:
      return { kind: 'version', key, version: reader.uint56() as Version }
    case ConditionKind.absent:
      return { kind: 'absent', key }
    case ConditionKind.value:
      return { kind: 'value', key, codec: codecOf(reader.uint8()), value: reader.blobView() }
    default:
      throw new UnknownFormatError(`a condition of kind ${kind}`)
  }
}

function readOneWrite(reader: ByteReader): Write {
  const kind = reader.uint8()
  const key = reader.binary() as Key
  switch (kind) {
    case WriteKind.put:
      return { kind: 'put', key, codec: codecOf(reader.uint8()), value: reader.blobView() }
    case WriteKind.delete:
      return { kind: 'delete', key }
    default:
      throw new UnknownFormatError(`a write of kind ${kind}`)
  }
}

function readSplit(reader: ByteReader, names: SessionId[], { version, bits }: CommandStart): SplitCommand {
  const origin = (bits & HAS_ORIGIN) !== 0 ? readOrigin(reader, names) : null
  const generation = reader.varint() as Generation
  return { kind: 'split', version, origin, generation, at: reader.binary() as Key, child: reader.varint() as RangeId }
}

function readPublish(reader: ByteReader, version: Version): PublishCommand {
  const descriptors = []
  for (let left = reader.count(); left > 0; left--) descriptors.push(readDescriptor(reader))
  const nodes = []
  for (let left = reader.count(); left > 0; left--) nodes.push(readNode(reader))
  return { kind: 'publish', version, descriptors, nodes }
}

function readAllocate(reader: ByteReader, version: Version): AllocateCommand {
  const tag = reader.uint8()
  const counter = counters[tag]
  if (counter === undefined) throw new UnknownFormatError(`an id counter with tag ${tag}`)
  const count = reader.varint()
  return { kind: 'allocate', version, counter, count, token: reader.uint8() === 0 ? null : reader.text() }
}

function readReplicasCommand(reader: ByteReader, version: Version): ReplicasCommand {
  const epoch = reader.varint()
  const nextReplica = reader.varint() as ReplicaId
  return { kind: 'replicas', version, epoch, replicas: readReplicas(reader), nextReplica }
}
