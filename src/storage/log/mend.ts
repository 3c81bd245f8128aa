import type { FoundBatch, SegmentImage } from './inspect.js'
import {
  dataView,
  FILLER,
  HEADER_BYTES,
  RECORD_HEADER_BYTES,
  ROW_BYTES,
  recordCrc,
  SECTOR_BYTES,
  SPARSE_RUN_BYTES,
  writeHeaders,
  writeRow,
} from './layout.js'

/**
 * The bytes of a damaged batch as they should be, out of the table that is left: written over it they make it whole again.
 *
 * The body of a damaged record is filled and its checksum made wrong for sure: it stays known as damaged, and no sector of it looks
 * as if it had never been written. Otherwise, once the batch were the last one, it would be taken for torn and cut.
 */
export function mend(image: SegmentImage, at: number, batch: FoundBatch): Uint8Array {
  const { header, rows, damaged, hasBack } = batch
  const bytes = new Uint8Array(header.length)
  const view = dataView(bytes)
  bytes.set(image.bytes.subarray(at, at + header.length))
  for (const [position, row] of rows.entries()) {
    const bodyAt = row.offset + RECORD_HEADER_BYTES
    const isDamaged = damaged.has(position)
    if (isDamaged) bytes.fill(FILLER, bodyAt, bodyAt + row.length)
    writeRow(view, HEADER_BYTES + position * ROW_BYTES, row.offset, row)
    writeRow(view, row.offset, 0, row)
    const crc = recordCrc(bytes, row.offset, row.length)
    view.setUint32(row.offset, isDamaged ? ~crc >>> 0 : crc, true)
  }
  const tableEnd = HEADER_BYTES + rows.length * ROW_BYTES
  const runsAt = header.backAt + tableEnd
  bytes.fill(FILLER, header.recordsEnd, header.backAt)
  bytes.copyWithin(header.backAt + HEADER_BYTES, HEADER_BYTES, tableEnd)
  if (!hasBack) allSparse(view, { at: runsAt, runs: header.sparseRuns, from: tableEnd, to: header.backAt })
  bytes.fill(FILLER, runsAt + header.sparseRuns * SPARSE_RUN_BYTES, header.length)
  writeHeaders(bytes, view, header)
  return bytes
}

/** Where the list is lost, every sector among the records may be sparse. */
function allSparse(
  view: DataView,
  { at, runs, from, to }: { at: number; runs: number; from: number; to: number },
): void {
  const first = Math.floor(from / SECTOR_BYTES)
  for (let run = 0; run < runs; run += 1) {
    view.setUint32(at + run * SPARSE_RUN_BYTES, first, true)
    view.setUint32(at + run * SPARSE_RUN_BYTES + 4, to / SECTOR_BYTES - first, true)
  }
}
