import type { Logger } from '../../base/ports.js'
import type { LogFile } from '../types.js'
import { LogForgot } from './forgot.js'
import {
  type Flaw,
  type FoundBatch,
  fitsAnotherBatch,
  hasSuccessor,
  inspectBatch,
  type SegmentImage,
} from './inspect.js'
import { dataView, isZero, RECORD_HEADER_BYTES } from './layout.js'
import { mend } from './mend.js'
import { LogContents } from './ranges.js'
import { readSegment } from './read-segment.js'
import type { Segment } from './segments.js'

interface Found {
  readonly image: SegmentImage
  readonly segment: Segment
  readonly at: number
  readonly batch: FoundBatch
}

export interface LastBatch {
  readonly segment: Segment
  readonly at: number
  readonly length: number
  readonly number: number
}

/** Bytes to be written over a damaged batch. */
export interface Mending {
  readonly segment: Segment
  readonly at: number
  readonly bytes: Uint8Array
}

/** Reads segments in order and keeps what the verdict at the end needs. */
export class LogScan {
  readonly contents = new LogContents()
  readonly segments: Segment[] = []
  readonly mendings: Mending[] = []
  last: LastBatch | null = null
  /** Segments made ahead of need, that hold nothing but zeros. */
  readonly #empty = new Set<number>()
  /**
   * A batch that was not written whole. It is torn if nothing follows: anything that does was written after its sync, and then it is
   * damaged.
   */
  #suspect: Found | null = null
  /** Places behind the last batch where none was found. */
  #flaws: { readonly path: string; readonly flaw: Flaw }[] = []
  readonly #logger: Logger

  constructor(logger: Logger) {
    this.#logger = logger
  }

  segment(sequence: number, path: string, file: LogFile): void {
    const { bytes, unreadable } = readSegment(file)
    if (unreadable.length > 0) {
      const blocks = { path, at: unreadable[0], blocks: unreadable.length }
      this.#logger.log('warn', 'a part of the log cannot be read', blocks)
    }
    const image: SegmentImage = { segment: sequence, path, bytes, view: dataView(bytes), unreadable }
    let segment: Segment = { sequence, path, file, bytes: file.size }
    this.segments.push(segment)
    for (let at = 0; at === 0 || fitsAnotherBatch(segment.bytes, at); ) {
      const batch = inspectBatch(image, at)
      if (batch.kind === 'flaw') return this.#takeFlaw(image, batch)
      // A file that was cut short gets its old length back.
      segment = { ...segment, bytes: Math.max(segment.bytes, batch.header.segmentBytes) }
      this.segments[this.segments.length - 1] = segment
      this.#found({ image, segment, at, batch })
      at += batch.header.length
    }
  }

  isEmpty(segment: Segment): boolean {
    return this.#empty.has(segment.sequence)
  }

  /** Nothing that may have been acknowledged is missing at the end of the log. Tells what is cut off. */
  checkEnd(): string | null {
    const oldest = this.segments[0]
    for (const { path, flaw } of this.#flaws) if (!flaw.unwritten) throw forgot(path, flaw.at, flaw.what)
    // An older segment is removed only once a later one holds a batch.
    if (this.last === null && oldest !== undefined && oldest.sequence > 1) {
      throw forgot(oldest.path, 0, 'holds nothing, though older segments were freed')
    }
    if (this.#suspect !== null) return `${this.#suspect.segment.path} at offset ${this.#suspect.at}`
    const first = this.#flaws[0]
    return first === undefined ? null : `${first.path} at offset ${first.flaw.at}`
  }

  #found(found: Found): void {
    const suspect = this.#suspect
    this.#suspect = null
    if (suspect !== null) this.#takeBatch(suspect)
    this.#checkNumber(found)
    if (found.batch.unwritten) this.#suspect = found
    else this.#takeBatch(found)
  }

  #checkNumber({ segment, at, batch }: Found): void {
    const { number } = batch.header
    const flaw = this.#flaws[0]
    // Older segments were freed, so the log may begin with any number; but not behind a place where none was found.
    const due = this.last !== null ? this.last.number + 1 : flaw !== undefined ? 1 : number
    if (number === due) return
    if (flaw !== undefined) throw forgot(flaw.path, flaw.flaw.at, flaw.flaw.what)
    throw forgot(segment.path, at, `holds batch ${number} where batch ${due} is due`)
  }

  #takeBatch({ image, segment, at, batch }: Found): void {
    const { number, length } = batch.header
    for (const [position, row] of batch.rows.entries()) {
      const from = at + row.offset + RECORD_HEADER_BYTES
      const body = batch.damaged.has(position) ? null : image.bytes.subarray(from, from + row.length)
      this.contents.apply(row, body, { segment: segment.sequence, offset: at + row.offset })
    }
    this.last = { segment, at, length, number }
    this.#flaws = []
    if (batch.fault === null) return
    const { what } = batch.fault
    const lost = batch.damaged.size
    this.#logger.log('warn', 'the log was damaged', { path: segment.path, at: batch.fault.at, what, recordsLost: lost })
    this.mendings.push({ segment, at, bytes: mend(image, at, batch) })
  }

  #takeFlaw(image: SegmentImage, flaw: Flaw): void {
    const { path, bytes } = image
    if (hasSuccessor(image, flaw.at)) throw forgot(path, flaw.at, flaw.what)
    if (flaw.at === 0 && bytes.length > 0 && isZero(bytes, 0, bytes.length)) this.#empty.add(image.segment)
    this.#flaws.push({ path, flaw })
    this.#logger.log('debug', 'a log segment ends', { path, at: flaw.at, because: flaw.what })
  }
}

function forgot(path: string, offset: number, what: string): LogForgot {
  return new LogForgot({ path, offset, what })
}
