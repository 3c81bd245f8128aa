import { crc32 } from 'node:zlib'
import { HoldfastError } from '../../base/errors.js'
import {
  BACK,
  BATCH_BYTES_MIN,
  type BatchHeader,
  BLOCK_BYTES,
  checksum,
  dataView,
  FILLER,
  FRONT,
  HEADER_BYTES,
  isZero,
  LOG_FORMAT,
  type PlacedRow,
  RECORD_HEADER_BYTES,
  ROW_BYTES,
  readHeader,
  readRow,
  recordCrc,
  SECTOR_BYTES,
  SPARSE_RUN_BYTES,
  writeRow,
} from './layout.js'

/** A segment as it was read. `bytes` may be shorter than the segment once was. */
export interface SegmentImage {
  readonly segment: number
  readonly path: string
  readonly bytes: Uint8Array
  readonly view: DataView
  /** Where blocks begin that could not be read: what `bytes` has there is made up. */
  readonly unreadable: readonly number[]
}

interface Fault {
  /** In the segment. */
  readonly at: number
  readonly what: string
}

/** A batch of which at least one table of contents is good. */
export interface FoundBatch {
  readonly kind: 'batch'
  /** Of the good table; both say the same. */
  readonly header: BatchHeader
  readonly rows: readonly PlacedRow[]
  /** The first thing wrong. null: every byte is as it was written. */
  readonly fault: Fault | null
  /** Positions of the rows whose bodies are damaged. */
  readonly damaged: ReadonlySet<number>
  /** The second table is good, and with it the list of sparse sectors. */
  readonly hasBack: boolean
  /** Some sector that every batch fills is as it was before. In the last batch of all: it was never acknowledged. */
  readonly unwritten: boolean
}

/** No table of contents stands here: nothing was written, or too little of it, or both were damaged later. */
export interface Flaw extends Fault {
  readonly kind: 'flaw'
  /** It was not written whole, so it was never acknowledged, unless something follows. */
  readonly unwritten: boolean
}

/** Looks at the place of a batch in a segment and checks every byte of it. Throws INTERNAL for a log of another format. */
export function inspectBatch(image: SegmentImage, at: number): FoundBatch | Flaw {
  const front = headerAt(image, at, { copy: FRONT, offset: at })
  const back = front === null ? searchBack(image, at) : backOf(image, at, front)
  if (front !== null && isTableGood(image, at, front)) return batchAt(image, at, front, at, back !== null)
  if (back !== null) return batchAt(image, at, back, at + back.backAt, true)
  if (front === null) return withoutTables(image, at)
  return { kind: 'flaw', at, what: BAD_TABLE, unwritten: hasUnwrittenSector(image, at, front, null) }
}

const BAD_TABLE = 'has a damaged table of contents'

/** Whether any batch begins behind `at`. */
export function hasSuccessor(image: SegmentImage, at: number): boolean {
  for (let block = at + BLOCK_BYTES; block + HEADER_BYTES <= image.bytes.length; block += BLOCK_BYTES) {
    const header = readHeader(image.view, block)
    if (header !== null && header.segment === image.segment && header.offset > at) return true
  }
  return false
}

function batchAt(image: SegmentImage, at: number, header: BatchHeader, tableAt: number, hasBack: boolean): FoundBatch {
  const rows = rowsAt(image, tableAt, header)
  const { fault, damaged } = checkRecords(image, at, rows)
  const first = unreadableIn(image, at, header) ?? tableFault(image, at, { header, tableAt, hasBack }) ?? fault
  if (first === null) return { kind: 'batch', header, rows, fault: null, damaged, hasBack, unwritten: false }
  const sparse = hasBack ? sparseSectors(image, at, header) : null
  const unwritten = hasUnwrittenSector(image, at, header, sparse)
  return { kind: 'batch', header, rows, fault: first, damaged, hasBack, unwritten }
}

function checkRecords(image: SegmentImage, at: number, rows: readonly PlacedRow[]) {
  const damaged = new Set<number>()
  let fault: Fault | null = null
  for (const [position, row] of rows.entries()) {
    const state = stateOf(image, at, row)
    if (state === 'good') continue
    fault ??= { at: at + row.offset, what: `has a damaged ${describe(row)}` }
    // What has no body stands whole in the table.
    if (state === 'damaged' && row.length > 0) damaged.add(position)
  }
  return { fault, damaged }
}

/** Also where what is made up happens to be what stood there: who reads the batch later must find it. */
function unreadableIn({ unreadable }: SegmentImage, at: number, { length }: BatchHeader): Fault | null {
  const first = unreadable.find((block) => block >= at && block < at + length)
  return first === undefined ? null : { at: first, what: 'cannot be read' }
}

/** What is wrong outside of the records. */
function tableFault(
  { bytes }: SegmentImage,
  at: number,
  { header, tableAt, hasBack }: { header: BatchHeader; tableAt: number; hasBack: boolean },
): Fault | null {
  const backAt = at + header.backAt
  if (at + header.length > bytes.length) return { at: bytes.length, what: 'is cut short' }
  if (tableAt !== at) return { at, what: BAD_TABLE }
  if (!hasBack) return { at: backAt, what: 'has a damaged second table of contents' }
  const backEnd = backAt + HEADER_BYTES + header.rows * ROW_BYTES + header.sparseRuns * SPARSE_RUN_BYTES
  if (!isFiller(bytes, at + header.recordsEnd, backAt)) {
    return { at: at + header.recordsEnd, what: 'is damaged between the last record and the second table of contents' }
  }
  if (!isFiller(bytes, backEnd, at + header.length)) return { at: backEnd, what: 'is damaged behind its end' }
  return null
}

function headerAt(image: SegmentImage, at: number, expected: { copy: number; offset: number }): BatchHeader | null {
  const header = readHeader(image.view, at)
  if (header === null || header.segment !== image.segment) return null
  if (header.format !== LOG_FORMAT) {
    const what = `is of log format ${header.format}, and this program knows ${LOG_FORMAT}`
    throw new HoldfastError('INTERNAL', `${image.path} at offset ${at} ${what}: it was written by another version`)
  }
  return header.copy === expected.copy && header.offset === expected.offset ? header : null
}

function isTableGood({ bytes }: SegmentImage, at: number, { rows, contentsCrc }: BatchHeader): boolean {
  return checksum(bytes, at + HEADER_BYTES, at + HEADER_BYTES + rows * ROW_BYTES) === contentsCrc
}

/** The second table, if it is good and belongs to the first. */
function backOf(image: SegmentImage, at: number, front: BatchHeader): BatchHeader | null {
  const back = backAt(image, at, at + front.backAt)
  return back !== null && back.number === front.number && back.length === front.length ? back : null
}

/** Where the first table does not say where the second one is: it begins a block. */
function searchBack(image: SegmentImage, at: number): BatchHeader | null {
  for (let block = at + BLOCK_BYTES; block + HEADER_BYTES <= image.bytes.length; block += BLOCK_BYTES) {
    const back = backAt(image, at, block)
    if (back !== null) return back
  }
  return null
}

/** The second table of the batch at `at`, if it stands at `tableAt` and is good. */
function backAt(image: SegmentImage, at: number, tableAt: number): BatchHeader | null {
  const back = headerAt(image, tableAt, { copy: BACK, offset: at })
  if (back === null || at + back.backAt !== tableAt) return null
  const contentsAt = tableAt + HEADER_BYTES
  const contentsEnd = contentsAt + back.rows * ROW_BYTES + back.sparseRuns * SPARSE_RUN_BYTES
  return checksum(image.bytes, contentsAt, contentsEnd) === back.contentsCrc ? back : null
}

function withoutTables({ bytes }: SegmentImage, at: number): Flaw {
  if (at + SECTOR_BYTES > bytes.length) return { kind: 'flaw', at, what: 'is cut short', unwritten: false }
  if (isZero(bytes, at, at + SECTOR_BYTES)) {
    return { kind: 'flaw', at, what: 'has no table of contents', unwritten: true }
  }
  // The second table stands in a later block of the same segment: where all of them are empty, it was never written.
  const unwritten = at + BLOCK_BYTES < bytes.length && isZero(bytes, at + BLOCK_BYTES, bytes.length)
  return { kind: 'flaw', at, what: BAD_TABLE, unwritten }
}

function describe(row: PlacedRow): string {
  return row.type === 'entry' ? `entry ${row.index} of range ${row.range}` : `${row.type} record of range ${row.range}`
}

function rowsAt({ view }: SegmentImage, tableAt: number, header: BatchHeader): PlacedRow[] {
  const rows: PlacedRow[] = []
  for (let row = 0; row < header.rows; row += 1) rows.push(readRow(view, tableAt + HEADER_BYTES + row * ROW_BYTES))
  return rows
}

/** 'header': only the record's own copy of its row is damaged. */
function stateOf(image: SegmentImage, at: number, row: PlacedRow): 'good' | 'header' | 'damaged' {
  const { bytes, view } = image
  const recordAt = at + row.offset
  const bodyAt = recordAt + RECORD_HEADER_BYTES
  if (bodyAt + row.length > bytes.length) return 'damaged'
  const stored = view.getUint32(recordAt, true)
  if (stored === recordCrc(bytes, recordAt, row.length) && isSameRow(readRow(view, recordAt), row)) return 'good'
  const expected = new Uint8Array(RECORD_HEADER_BYTES)
  writeRow(dataView(expected), 0, stored, row)
  const crc = crc32(bytes.subarray(bodyAt, bodyAt + row.length), crc32(expected.subarray(4)))
  return stored === crc ? 'header' : 'damaged'
}

function isSameRow(a: PlacedRow, b: PlacedRow): boolean {
  return a.type === b.type && a.range === b.range && a.index === b.index && a.term === b.term && a.length === b.length
}

function isFiller(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at += 1) if (bytes[at] !== FILLER) return false
  return true
}

/**
 * Every sector of a batch holds something, except those its second table lists. Without that list the sectors of the records can't
 * be judged, but those of the tables can.
 */
function hasUnwrittenSector(
  image: SegmentImage,
  at: number,
  header: BatchHeader,
  sparse: ReadonlySet<number> | null,
): boolean {
  const recordsFrom = HEADER_BYTES + header.rows * ROW_BYTES
  for (let sector = 0; (sector + 1) * SECTOR_BYTES <= header.length; sector += 1) {
    const from = sector * SECTOR_BYTES
    if (at + from + SECTOR_BYTES > image.bytes.length) return false
    const amongRecords = from + SECTOR_BYTES > recordsFrom && from < header.recordsEnd
    if (amongRecords && (sparse === null || sparse.has(sector))) continue
    if (isZero(image.bytes, at + from, at + from + SECTOR_BYTES)) return true
  }
  return false
}

function sparseSectors({ view }: SegmentImage, at: number, header: BatchHeader): Set<number> {
  const sectors = new Set<number>()
  const runsAt = at + header.backAt + HEADER_BYTES + header.rows * ROW_BYTES
  for (let run = 0; run < header.sparseRuns; run += 1) {
    const start = view.getUint32(runsAt + run * SPARSE_RUN_BYTES, true)
    const count = view.getUint32(runsAt + run * SPARSE_RUN_BYTES + 4, true)
    for (let sector = start; sector < start + count; sector += 1) sectors.add(sector)
  }
  return sectors
}

export function fitsAnotherBatch(segmentBytes: number, at: number): boolean {
  return at + BATCH_BYTES_MIN <= segmentBytes
}
