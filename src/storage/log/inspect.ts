import {
  BACK,
  BATCH_BYTES_MIN,
  type BatchHeader,
  BLOCK_BYTES,
  checksum,
  FILLER,
  FRONT,
  HEADER_BYTES,
  isZero,
  LOG_FORMAT,
  type PlacedRow,
  ROW_BYTES,
  readHeader,
  readRow,
  recordCrc,
  SECTOR_BYTES,
  SPARSE_RUN_BYTES,
} from './layout.js'

/** A segment as it was read. `bytes` may be shorter than the segment once was. */
export interface SegmentImage {
  readonly segment: number
  readonly bytes: Uint8Array
  readonly view: DataView
}

export interface WholeBatch {
  readonly kind: 'whole'
  readonly header: BatchHeader
  readonly rows: readonly PlacedRow[]
}

/** No whole batch stands here: nothing was written, or not all of it, or it was damaged later. */
export interface Flaw {
  readonly kind: 'flaw'
  /** In the segment. */
  readonly at: number
  readonly what: string
  /**
   * Some sector that every batch fills is as it was before: the batch was not written whole, so it was never
   * acknowledged. False: all of it was written, and it is damaged.
   */
  readonly unwritten: boolean
  /** Where the next batch would stand, at the earliest. */
  readonly end: number
}

export type Inspected = WholeBatch | Flaw

/** Looks at the place of a batch in a segment and checks every byte of it. */
export function inspectBatch(image: SegmentImage, at: number): Inspected {
  const front = headerAt(image, at, { copy: FRONT, offset: at })
  if (front === null) return withoutFront(image, at)
  if (front.format > LOG_FORMAT) {
    const what = `is of log format ${front.format}, this program knows ${LOG_FORMAT}`
    return { kind: 'flaw', at, what, unwritten: false, end: at + BLOCK_BYTES }
  }
  const end = at + front.length
  const fault = faultOf(image, at, front)
  if (fault === null) return { kind: 'whole', header: front, rows: rowsAt(image, at, front) }
  return { kind: 'flaw', at: fault.at, what: fault.what, unwritten: hasUnwrittenSector(image, at, front), end }
}

/** Where the first table of any batch that begins behind `at` stands, searched from `from` on. null: there is none. */
export function findSuccessor(image: SegmentImage, at: number, from: number): number | null {
  for (let block = from; block + HEADER_BYTES <= image.bytes.length; block += BLOCK_BYTES) {
    const header = readHeader(image.view, block)
    if (header !== null && header.segment === image.segment && header.offset > at) return block
  }
  return null
}

function headerAt(image: SegmentImage, at: number, expected: { copy: number; offset: number }) {
  const header = readHeader(image.view, at)
  if (header === null || header.segment !== image.segment) return null
  return header.copy === expected.copy && header.offset === expected.offset ? header : null
}

function withoutFront({ bytes }: SegmentImage, at: number): Flaw {
  const place = { kind: 'flaw', at, end: at + BLOCK_BYTES } as const
  if (at + SECTOR_BYTES > bytes.length) return { ...place, what: 'is cut short', unwritten: false }
  if (isZero(bytes, at, at + SECTOR_BYTES)) return { ...place, what: 'has no table of contents', unwritten: true }
  // The second table stands in a later block of the same segment: where all of them are empty, it was never written.
  const unwritten = at + BLOCK_BYTES < bytes.length && isZero(bytes, at + BLOCK_BYTES, bytes.length)
  return { ...place, what: 'has a damaged table of contents', unwritten }
}

interface Fault {
  readonly at: number
  readonly what: string
}

/** The first thing wrong with a batch whose first header is good. */
function faultOf(image: SegmentImage, at: number, front: BatchHeader): Fault | null {
  const { bytes } = image
  const tableBytes = front.rows * ROW_BYTES
  const contentsAt = at + HEADER_BYTES
  if (at + front.length > bytes.length) return { at: bytes.length, what: 'is cut short' }
  if (checksum(bytes, contentsAt, contentsAt + tableBytes) !== front.contentsCrc) {
    return { at, what: 'has a damaged table of contents' }
  }
  const back = backOf(image, at, front)
  const backAt = at + front.backAt
  if (back === null) return { at: backAt, what: 'has a damaged second table of contents' }
  for (const row of rowsAt(image, at, front)) {
    if (!isRecordGood(image, at, row)) return { at: at + row.offset, what: `has a damaged ${describe(row)}` }
  }
  const backEnd = backAt + HEADER_BYTES + tableBytes + front.sparseRuns * SPARSE_RUN_BYTES
  if (!isFiller(bytes, at + front.recordsEnd, backAt)) {
    return { at: at + front.recordsEnd, what: 'is damaged between the last record and the second table of contents' }
  }
  if (!isFiller(bytes, backEnd, at + front.length)) return { at: backEnd, what: 'is damaged behind its end' }
  return null
}

function describe(row: PlacedRow): string {
  return row.type === 'entry' ? `entry ${row.index} of range ${row.range}` : `${row.type} record of range ${row.range}`
}

function rowsAt({ view }: SegmentImage, at: number, header: BatchHeader): PlacedRow[] {
  const rows: PlacedRow[] = []
  for (let row = 0; row < header.rows; row += 1) rows.push(readRow(view, at + HEADER_BYTES + row * ROW_BYTES))
  return rows
}

/** The second table, if it is good and says what the first does. */
function backOf(image: SegmentImage, at: number, front: BatchHeader): BatchHeader | null {
  const backAt = at + front.backAt
  const back = headerAt(image, backAt, { copy: BACK, offset: at })
  if (back === null || back.number !== front.number || back.length !== front.length) return null
  const contentsAt = backAt + HEADER_BYTES
  const contentsEnd = contentsAt + front.rows * ROW_BYTES + front.sparseRuns * SPARSE_RUN_BYTES
  return checksum(image.bytes, contentsAt, contentsEnd) === back.contentsCrc ? back : null
}

function isRecordGood({ bytes, view }: SegmentImage, at: number, row: PlacedRow): boolean {
  const recordAt = at + row.offset
  if (view.getUint32(recordAt, true) !== recordCrc(bytes, recordAt, row.length)) return false
  const record = readRow(view, recordAt)
  return (
    record.type === row.type && record.range === row.range && record.index === row.index && record.term === row.term
  )
}

function isFiller(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at += 1) if (bytes[at] !== FILLER) return false
  return true
}

/**
 * Every sector of a batch holds something, except those its second table lists. Without a good second table the
 * records can't be judged, but its own sectors and those of the first can.
 */
function hasUnwrittenSector(image: SegmentImage, at: number, front: BatchHeader): boolean {
  const listed = backOf(image, at, front) === null ? null : sparseSectors(image, at, front)
  const recordsFrom = HEADER_BYTES + front.rows * ROW_BYTES
  for (let sector = 0; (sector + 1) * SECTOR_BYTES <= front.length; sector += 1) {
    const from = sector * SECTOR_BYTES
    if (at + from + SECTOR_BYTES > image.bytes.length) return false
    const amongRecords = from + SECTOR_BYTES > recordsFrom && from < front.recordsEnd
    if (amongRecords && (listed === null || listed.has(sector))) continue
    if (isZero(image.bytes, at + from, at + from + SECTOR_BYTES)) return true
  }
  return false
}

function sparseSectors({ view }: SegmentImage, at: number, front: BatchHeader): Set<number> {
  const sectors = new Set<number>()
  const runsAt = at + front.backAt + HEADER_BYTES + front.rows * ROW_BYTES
  for (let run = 0; run < front.sparseRuns; run += 1) {
    const start = view.getUint32(runsAt + run * SPARSE_RUN_BYTES, true)
    const count = view.getUint32(runsAt + run * SPARSE_RUN_BYTES + 4, true)
    for (let sector = start; sector < start + count; sector += 1) sectors.add(sector)
  }
  return sectors
}

export function fitsAnotherBatch(segmentBytes: number, at: number): boolean {
  return at + BATCH_BYTES_MIN <= segmentBytes
}
