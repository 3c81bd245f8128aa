import { crc32 } from 'node:zlib'
import { assertNever } from '../../base/assert.js'
import type { Key, RangeId, SessionId, Version } from '../../base/ids.js'
import type { FailedCondition, JournalRecord, Outcome } from '../../kv/types.js'
import { ByteReader, ByteWriter } from './bytes.js'
import { DamagedError, UnknownFormatError } from './errors.js'
import { readHead, writeHead } from './head.js'
import { codecOf, codecTag, readOrigin, SessionNames, writeOrigin } from './parts.js'

// Journal value: head (head.ts), timestamp, outcomes, changes, then crc32 over physical key and all before it.

const CHECKSUM_BYTES = 4

/** Kinds as stored; never renumbered. */
const Kind = {
  written: 1,
  conditionFailed: 2,
  split: 3,
  done: 4,
  allocated: 5,
  rangeMoved: 6,
  sessionExpired: 7,
  invalid: 8,
  notNow: 9,
} as const

const writer = new ByteWriter()
const sessions = new SessionNames()

/** The stored value of a journal record under `physicalKey`; owns its memory. The same record gives the same bytes. */
export function encodeJournal(physicalKey: Uint8Array, record: JournalRecord): Uint8Array {
  writer.reset()
  sessions.reset()
  writeHead(writer, 0)
  writer.uint56(record.timestamp)
  writer.varint(record.outcomes.length)
  for (const { origin, outcome } of record.outcomes) {
    writeOrigin(writer, sessions, origin)
    writeOutcome(outcome)
  }
  writer.varint(record.changes.length)
  for (const change of record.changes) {
    writer.binary(change.key)
    writer.uint56(change.version)
  }
  writer.uint32(crc32(writer.view(), crc32(physicalKey)))
  return writer.copy()
}

/** Throws DamagedError or UnknownFormatError. What it returns owns its memory. */
export function decodeJournal(physicalKey: Uint8Array, stored: Uint8Array): JournalRecord {
  const end = stored.length - CHECKSUM_BYTES
  if (end < 0) throw new DamagedError(`a journal record of ${stored.length} bytes`)
  const actual = crc32(stored.subarray(0, end), crc32(physicalKey))
  if (new ByteReader(stored, end).uint32() !== actual) throw new DamagedError('a journal record has a wrong checksum')
  const reader = new ByteReader(stored, 0, end)
  readHead(reader, 'a journal record', 0)
  const timestamp = reader.uint56() as Version
  const names: SessionId[] = []
  const outcomes = []
  for (let left = reader.count(); left > 0; left--) {
    outcomes.push({ origin: readOrigin(reader, names), outcome: readOutcome(reader) })
  }
  const changes = []
  for (let left = reader.count(); left > 0; left--) {
    changes.push({ key: reader.binary() as Key, version: reader.uint56() as Version })
  }
  if (reader.left > 0) throw new DamagedError(`a journal record with ${reader.left} bytes too many`)
  return { timestamp, outcomes, changes }
}

function writeOutcome(outcome: Outcome): void {
  writer.uint8(Kind[outcome.kind])
  switch (outcome.kind) {
    case 'written':
      writer.uint56(outcome.version)
      writer.varint(outcome.deleted.length)
      for (const deleted of outcome.deleted) writer.uint8(deleted ? 1 : 0)
      return
    case 'conditionFailed':
      writer.uint56(outcome.version)
      writer.varint(outcome.failed.length)
      for (const failed of outcome.failed) writeFailed(failed)
      return
    case 'split':
      writer.uint56(outcome.version)
      writer.varint(outcome.child)
      return
    case 'allocated':
      writer.uint56(outcome.version)
      writer.varint(outcome.first)
      return
    case 'done':
    case 'sessionExpired':
      writer.uint56(outcome.version)
      return
    case 'rangeMoved':
      return
    case 'invalid':
    case 'notNow':
      writer.text(outcome.reason)
      return
    default:
      assertNever(outcome)
  }
}

function writeFailed(failed: FailedCondition): void {
  writer.binary(failed.key)
  writer.uint56(failed.version)
  writer.uint8(codecTag(failed.codec))
  writer.uint8(failed.value === null ? 0 : 1)
  if (failed.value !== null) writer.blob(failed.value)
}

function readOutcome(reader: ByteReader): Outcome {
  const kind = reader.uint8()
  if (kind === Kind.rangeMoved) return { kind: 'rangeMoved' }
  if (kind === Kind.invalid) return { kind: 'invalid', reason: reader.text() }
  if (kind === Kind.notNow) return { kind: 'notNow', reason: reader.text() }
  if (kind < Kind.written || kind > Kind.notNow) throw new UnknownFormatError(`an outcome of kind ${kind}`)
  const version = reader.uint56() as Version
  switch (kind) {
    case Kind.written: {
      const deleted: boolean[] = []
      for (let left = reader.count(); left > 0; left--) deleted.push(reader.uint8() === 1)
      return { kind: 'written', version, deleted }
    }
    case Kind.conditionFailed: {
      const failed: FailedCondition[] = []
      for (let left = reader.count(); left > 0; left--) failed.push(readFailed(reader))
      return { kind: 'conditionFailed', version, failed }
    }
    case Kind.split:
      return { kind: 'split', version, child: reader.varint() as RangeId }
    case Kind.allocated:
      return { kind: 'allocated', version, first: reader.varint() }
    case Kind.sessionExpired:
      return { kind: 'sessionExpired', version }
    default:
      return { kind: 'done', version }
  }
}

function readFailed(reader: ByteReader): FailedCondition {
  const key = reader.binary() as Key
  const version = reader.uint56() as Version
  const codec = codecOf(reader.uint8())
  return { key, version, codec, value: reader.uint8() === 0 ? null : reader.blobCopy() }
}
