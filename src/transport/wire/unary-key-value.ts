import type { Version } from '../../base/ids.js'
import type { WeakRead } from '../../kv/requests.js'
import type { Codec } from '../../kv/types.js'
import type {
  Namespace,
  UnaryCondition,
  UnaryDelete,
  UnaryEntry,
  UnaryGet,
  UnaryGetMany,
  UnaryKey,
  UnaryOperation,
  UnaryPut,
  UnaryScan,
} from '../unary.js'
import { codecNumber, codecOf } from './nouns.js'
import { Reader, WireError } from './reader.js'
import { readWeak } from './weak.js'
import { bytes, fixed64, varint, type Writer } from './writer.js'

/** Calls and results of service KeyValue in holdfast/v1/holdfast.proto. */

const ENTRY = { key: bytes(1), value: bytes(2), codec: varint(3), version: fixed64(4) }
const IF = { version: fixed64(1), absent: varint(2), value: bytes(3) }
const VALUE = { value: bytes(1), codec: varint(2) }
const KEY = { namespace: varint(1), key: bytes(2), weak: bytes(3) }
const GET_RESULT = { entry: bytes(1) }
const GET_MANY_RESULT = { results: bytes(1) }
const PUT = { value: bytes(3), codec: varint(4), if: bytes(5) }
const DELETE = { if: bytes(3) }
const VERSION_RESULT = { version: fixed64(1) }
const DELETE_RESULT = { version: fixed64(1), deleted: varint(2) }
const OPERATION = { put: bytes(1), delete: bytes(2), check: bytes(3) }
const OPERATION_PUT = { key: bytes(1), value: bytes(2), codec: varint(3) }
const CHECK = { key: bytes(1), if: bytes(2) }
const SCAN = {
  start: bytes(2),
  end: bytes(3),
  reverse: varint(4),
  limit: varint(5),
  keysOnly: varint(6),
  weak: bytes(7),
}
const SCAN_RESULT = { entries: bytes(1), next: bytes(2) }

const EMPTY: Uint8Array = new Uint8Array(0)

function namespaceOf(number: number): Namespace {
  if (number > 1) throw new WireError(`namespace ${number} is not known, expected 0 (raw) or 1 (tuple)`)
  return number === 0 ? 'raw' : 'tuple'
}

export function decodeGet(frame: Uint8Array): UnaryGet {
  const { namespace, keys, weak } = decodeKeys(frame)
  return { namespace, key: keys.at(-1) ?? EMPTY, weak }
}

/** Split. */
export function decodeKey(frame: Uint8Array): UnaryKey {
  const reader = new Reader(frame)
  let namespace = 0
  let key = EMPTY
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === KEY.namespace) namespace = reader.uint()
    else if (tag === KEY.key) key = reader.copy()
    else reader.skip()
  }
  return { namespace: namespaceOf(namespace), key }
}

/** GetMany. */
export function decodeKeys(frame: Uint8Array): UnaryGetMany {
  const reader = new Reader(frame)
  let namespace = 0
  let weak: WeakRead | undefined
  const keys: Uint8Array[] = []
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === KEY.namespace) namespace = reader.uint()
    else if (tag === KEY.key) keys.push(reader.copy())
    else if (tag === KEY.weak) weak = readWeak(reader)
    else reader.skip()
  }
  return { namespace: namespaceOf(namespace), keys, weak }
}

export function decodePut(frame: Uint8Array): UnaryPut {
  const reader = new Reader(frame)
  let namespace = 0
  let key = EMPTY
  let value = EMPTY
  let codec = 0
  let condition: UnaryCondition | null = null
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === KEY.namespace) namespace = reader.uint()
    else if (tag === KEY.key) key = reader.copy()
    else if (tag === PUT.value) value = reader.copy()
    else if (tag === PUT.codec) codec = reader.uint()
    else if (tag === PUT.if) condition = readIf(reader)
    else reader.skip()
  }
  return { namespace: namespaceOf(namespace), key, value, codec: codecOf(codec), condition }
}

export function decodeDelete(frame: Uint8Array): UnaryDelete {
  const reader = new Reader(frame)
  let namespace = 0
  let key = EMPTY
  let condition: UnaryCondition | null = null
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === KEY.namespace) namespace = reader.uint()
    else if (tag === KEY.key) key = reader.copy()
    else if (tag === DELETE.if) condition = readIf(reader)
    else reader.skip()
  }
  return { namespace: namespaceOf(namespace), key, condition }
}

export function decodeBatch(frame: Uint8Array): { namespace: Namespace; operations: UnaryOperation[] } {
  const reader = new Reader(frame)
  let namespace = 0
  const operations: UnaryOperation[] = []
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === KEY.namespace) namespace = reader.uint()
    else if (tag === KEY.key) operations.push(readOperation(reader))
    else reader.skip()
  }
  return { namespace: namespaceOf(namespace), operations }
}

/** `limit` 0 stands for the greatest. */
export function decodeScan(frame: Uint8Array): UnaryScan {
  const reader = new Reader(frame)
  let namespace = 0
  let start = EMPTY
  let end: Uint8Array | null = null
  let reverse = false
  let limit = 0
  let keysOnly = false
  let weak: WeakRead | undefined
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === KEY.namespace) namespace = reader.uint()
    else if (tag === SCAN.start) start = reader.copy()
    else if (tag === SCAN.end) end = reader.copy()
    else if (tag === SCAN.reverse) reverse = reader.flag()
    else if (tag === SCAN.limit) limit = reader.uint()
    else if (tag === SCAN.keysOnly) keysOnly = reader.flag()
    else if (tag === SCAN.weak) weak = readWeak(reader)
    else reader.skip()
  }
  return { namespace: namespaceOf(namespace), start, end, reverse, limit, keysOnly, weak }
}

function readIf(reader: Reader): UnaryCondition | null {
  const outer = reader.enter()
  let condition: UnaryCondition | null = null
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === IF.version) condition = { kind: 'version', version: reader.fixed() as Version }
    else if (tag === IF.absent) {
      if (!reader.flag()) throw new WireError('a condition says `absent: false`, expected true or another kind')
      condition = { kind: 'absent' }
    } else if (tag === IF.value) condition = { kind: 'value', ...readValue(reader) }
    else reader.skip()
  }
  reader.leave(outer)
  return condition
}

function readValue(reader: Reader): { value: Uint8Array; codec: Codec } {
  const outer = reader.enter()
  let value = EMPTY
  let codec = 0
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === VALUE.value) value = reader.copy()
    else if (tag === VALUE.codec) codec = reader.uint()
    else reader.skip()
  }
  reader.leave(outer)
  return { value, codec: codecOf(codec) }
}

function readOperation(reader: Reader): UnaryOperation {
  const outer = reader.enter()
  let operation: UnaryOperation | null = null
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === OPERATION.put) operation = readPut(reader)
    else if (tag === OPERATION.delete) operation = { kind: 'delete', key: reader.copy() }
    else if (tag === OPERATION.check) operation = readCheck(reader)
    else reader.skip()
  }
  reader.leave(outer)
  if (operation === null) throw new WireError('the kind of an operation is missing or not known')
  return operation
}

function readPut(reader: Reader): UnaryOperation {
  const outer = reader.enter()
  let key = EMPTY
  let value = EMPTY
  let codec = 0
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === OPERATION_PUT.key) key = reader.copy()
    else if (tag === OPERATION_PUT.value) value = reader.copy()
    else if (tag === OPERATION_PUT.codec) codec = reader.uint()
    else reader.skip()
  }
  reader.leave(outer)
  return { kind: 'put', key, value, codec: codecOf(codec) }
}

function readCheck(reader: Reader): UnaryOperation {
  const outer = reader.enter()
  let key = EMPTY
  let condition: UnaryCondition | null = null
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === CHECK.key) key = reader.copy()
    else if (tag === CHECK.if) condition = readIf(reader)
    else reader.skip()
  }
  reader.leave(outer)
  if (condition === null) throw new WireError('a check has no condition')
  return { kind: 'check', key, condition }
}

export function writeGetResult(writer: Writer, entry: UnaryEntry | null): void {
  if (entry !== null) writeEntry(writer, GET_RESULT.entry, entry)
}

export function writeGetManyResult(writer: Writer, entries: readonly (UnaryEntry | null)[]): void {
  for (const entry of entries) {
    writer.open(GET_MANY_RESULT.results)
    writeGetResult(writer, entry)
    writer.close()
  }
}

/** Put, Batch. */
export function writeVersionResult(writer: Writer, result: { version: Version }): void {
  writer.fixed(VERSION_RESULT.version, result.version)
}

export function writeDeleteResult(writer: Writer, result: { version: Version; deleted: boolean }): void {
  writer.fixed(DELETE_RESULT.version, result.version)
  writer.flag(DELETE_RESULT.deleted, result.deleted)
}

export function writeScanResult(
  writer: Writer,
  result: { entries: readonly UnaryEntry[]; next: Uint8Array | null },
): void {
  for (const entry of result.entries) writeEntry(writer, SCAN_RESULT.entries, entry)
  if (result.next !== null) writer.bytes(SCAN_RESULT.next, result.next)
}

function writeEntry(writer: Writer, tag: number, entry: UnaryEntry): void {
  writer.open(tag, entry.key.length + entry.value.length + 20)
  writer.bytes(ENTRY.key, entry.key)
  writer.bytes(ENTRY.value, entry.value)
  writer.uint(ENTRY.codec, codecNumber(entry.codec))
  writer.fixed(ENTRY.version, entry.version)
  writer.close()
}
