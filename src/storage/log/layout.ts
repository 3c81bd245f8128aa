import { crc32 } from 'node:zlib'
import { assert } from '../../base/assert.js'
import type { EntryKind } from '../../raft/types.js'

/**
 * Byte layout of the log (docs/decisions/0001-disk-layout.md). All integers are little endian.
 *
 * A batch is a multiple of BLOCK_BYTES: a table of contents, the records, filler, and the table again at the start of
 * a later block. No 512-byte sector of a batch is zero unless the second table says so: that is what tells a sector
 * that was never written from a damaged one.
 */
export const BLOCK_BYTES = 4096
export const SECTOR_BYTES = 512
export const HEADER_BYTES = 56
export const ROW_BYTES = 44
/** A record is a row (its checksum where the table has the offset), then the body. */
export const RECORD_HEADER_BYTES = ROW_BYTES
export const SPARSE_RUN_BYTES = 8
export const BATCH_BYTES_MIN = 2 * BLOCK_BYTES
export const FILLER = 0xff

const MAGIC = 0x424c4648 // 'HFLB'
export const LOG_FORMAT = 2

export const FRONT = 1
export const BACK = 2

export interface BatchHeader {
  readonly copy: number
  /** From 1, without gaps. */
  readonly number: number
  readonly segment: number
  /** Of the batch, in its segment. */
  readonly offset: number
  readonly length: number
  readonly rows: number
  /** End of the last record, from the batch's start: filler from here to `backAt`. */
  readonly recordsEnd: number
  /** Where the second table stands, from the batch's start. */
  readonly backAt: number
  /** Runs of sectors listed in the second table, see SparseRun. */
  readonly sparseRuns: number
  /** Size of the segment file. */
  readonly segmentBytes: number
  /** Checksum of what follows the header in this copy. */
  readonly contentsCrc: number
}

export type RecordType = 'entry' | 'hardState' | 'checkpoint' | 'node' | 'tombstone' | 'repair'
const recordTypes: readonly RecordType[] = ['entry', 'hardState', 'checkpoint', 'node', 'tombstone', 'repair']
const entryKinds: readonly EntryKind[] = ['noop', 'commands', 'configuration']

/**
 * One record as the table of contents names it: the members as an entry has them, what else they carry is said in records.ts.
 * Where a member means nothing for its type it is 0, `kind` null.
 */
export interface Row {
  readonly type: RecordType
  readonly kind: EntryKind | null
  readonly range: number
  readonly index: number
  readonly term: number
  readonly timestamp: number
  /** Of the body, without the record's header. */
  readonly length: number
}

export interface PlacedRow extends Row {
  /** Of the record's header, from the batch's start. */
  readonly offset: number
}

export function dataView(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step
}

function writeHeader(view: DataView, at: number, header: BatchHeader): void {
  view.setUint32(at, MAGIC, true)
  view.setUint16(at + 4, LOG_FORMAT, true)
  view.setUint8(at + 6, header.copy)
  view.setUint8(at + 7, 0)
  setU64(view, at + 8, header.number)
  view.setUint32(at + 16, header.segment, true)
  view.setUint32(at + 20, header.offset, true)
  view.setUint32(at + 24, header.length, true)
  view.setUint32(at + 28, header.rows, true)
  view.setUint32(at + 32, header.recordsEnd, true)
  view.setUint32(at + 36, header.backAt, true)
  view.setUint32(at + 40, header.sparseRuns, true)
  view.setUint32(at + 44, header.segmentBytes, true)
  view.setUint32(at + 48, header.contentsCrc, true)
  view.setUint32(at + 52, headerCrc(view, at), true)
}

/** null: no whole header stands here. A header of another format is one too: the caller looks at `format`. */
export function readHeader(view: DataView, at: number): (BatchHeader & { readonly format: number }) | null {
  if (at + HEADER_BYTES > view.byteLength) return null
  if (view.getUint32(at, true) !== MAGIC) return null
  if (view.getUint32(at + 52, true) !== headerCrc(view, at)) return null
  return {
    format: view.getUint16(at + 4, true),
    copy: view.getUint8(at + 6),
    number: getU64(view, at + 8),
    segment: view.getUint32(at + 16, true),
    offset: view.getUint32(at + 20, true),
    length: view.getUint32(at + 24, true),
    rows: view.getUint32(at + 28, true),
    recordsEnd: view.getUint32(at + 32, true),
    backAt: view.getUint32(at + 36, true),
    sparseRuns: view.getUint32(at + 40, true),
    segmentBytes: view.getUint32(at + 44, true),
    contentsCrc: view.getUint32(at + 48, true),
  }
}

/** `first` is the record's offset in the table, its checksum in front of the body. */
export function writeRow(view: DataView, at: number, first: number, row: Row): void {
  view.setUint32(at, first, true)
  view.setUint32(at + 4, row.length, true)
  setU64(view, at + 8, row.range)
  setU64(view, at + 16, row.index)
  setU64(view, at + 24, row.term)
  setU64(view, at + 32, row.timestamp)
  view.setUint8(at + 40, recordTypes.indexOf(row.type) + 1)
  view.setUint8(at + 41, row.kind === null ? 0 : entryKinds.indexOf(row.kind) + 1)
  view.setUint16(at + 42, 0, true)
}

/** Only of bytes whose checksum was found right. */
export function readRow(view: DataView, at: number): PlacedRow {
  const type = recordTypes[view.getUint8(at + 40) - 1]
  const kindCode = view.getUint8(at + 41)
  const kind = kindCode === 0 ? null : entryKinds[kindCode - 1]
  assert(type !== undefined && kind !== undefined, 'a log record of an unknown type', view.getUint16(at + 40, true))
  return {
    type,
    kind,
    offset: view.getUint32(at, true),
    length: view.getUint32(at + 4, true),
    range: getU64(view, at + 8),
    index: getU64(view, at + 16),
    term: getU64(view, at + 24),
    timestamp: getU64(view, at + 32),
  }
}

/** Writes both headers of a batch at the front of `bytes`, whose tables stand already. */
export function writeHeaders(
  bytes: Uint8Array,
  view: DataView,
  header: Omit<BatchHeader, 'copy' | 'contentsCrc'>,
): void {
  const { rows, backAt, sparseRuns } = header
  const frontEnd = HEADER_BYTES + rows * ROW_BYTES
  const frontCrc = checksum(bytes, HEADER_BYTES, frontEnd)
  writeHeader(view, 0, { ...header, copy: FRONT, contentsCrc: frontCrc })
  const backCrc = checksum(bytes, backAt + HEADER_BYTES, backAt + frontEnd + sparseRuns * SPARSE_RUN_BYTES)
  writeHeader(view, backAt, { ...header, copy: BACK, contentsCrc: backCrc })
}

/** Of a record at `at`: everything behind the checksum itself. */
export function recordCrc(bytes: Uint8Array, at: number, bodyBytes: number): number {
  return crc32(bytes.subarray(at + 4, at + RECORD_HEADER_BYTES + bodyBytes))
}

export function checksum(bytes: Uint8Array, from: number, to: number): number {
  return crc32(bytes.subarray(from, to))
}

/**
 * Whether too little stands in this sector to tell it from one that was never written: at most one byte that is not
 * zero, so that a single damaged byte can't make a written sector look unwritten.
 */
export function isSparse(bytes: Uint8Array, at: number): boolean {
  let written = 0
  for (let position = at; position < at + SECTOR_BYTES; position += 1) {
    if (bytes[position] !== 0) written += 1
    if (written === 2) return false
  }
  return true
}

const zeros = new Uint8Array(64 * 1024)

export function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at += zeros.length) {
    const piece = bytes.subarray(at, Math.min(to, at + zeros.length))
    if (Buffer.compare(piece, zeros.subarray(0, piece.length)) !== 0) return false
  }
  return true
}

function headerCrc(view: DataView, at: number): number {
  return crc32(new Uint8Array(view.buffer, view.byteOffset + at, HEADER_BYTES - 4))
}

function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true)
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true)
}

export function getU64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true)
}
