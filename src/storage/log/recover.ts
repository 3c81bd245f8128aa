import { assert } from '../../base/assert.js'
import { HoldfastError } from '../../base/errors.js'
import type { LogFile } from '../types.js'
import { LogForgot } from './forgot.js'
import {
  type Flaw,
  findSuccessor,
  fitsAnotherBatch,
  inspectBatch,
  type SegmentImage,
  type WholeBatch,
} from './inspect.js'
import { BATCH_BYTES_MIN, BLOCK_BYTES, dataView, RECORD_HEADER_BYTES } from './layout.js'
import { LogContents } from './ranges.js'
import {
  failure,
  LOG_DIRECTORY,
  type LogOptions,
  type Segment,
  Segments,
  segmentPath,
  segmentSequence,
} from './segments.js'

/** An open log: what it holds and where the next batch goes. */
export interface Recovery {
  readonly contents: LogContents
  readonly segments: Segments
  readonly nextNumber: number
  /** In the current segment. */
  readonly nextAt: number
}

interface LastBatch {
  readonly segment: Segment
  readonly at: number
  readonly length: number
  readonly number: number
}

/**
 * Reads the log from its oldest segment on, checks every byte, and leaves it so that the next batch can follow the last
 * whole one: that one is written again in place and zeros behind it, both synced. Without that a batch that reached
 * only the page cache would be acknowledged on the word of a read, and what a cut left behind would look like damage
 * next time.
 *
 * Throws LogForgot when what may have been acknowledged is damaged so that nobody can tell what it was.
 */
export async function recover(options: LogOptions): Promise<Recovery> {
  const { files, segmentBytes } = options
  assert(segmentBytes % BLOCK_BYTES === 0 && segmentBytes >= BATCH_BYTES_MIN, 'a segment is whole blocks', segmentBytes)
  await files.makeDirectory(LOG_DIRECTORY)
  const names = await files.list(LOG_DIRECTORY)
  // A segment gets its name once it is whole: these were being made when the process ended.
  for (const name of names) if (name.endsWith('.tmp')) await files.remove(`${LOG_DIRECTORY}/${name}`)
  const sequences = names.map(segmentSequence).filter((sequence) => sequence !== null)
  sequences.sort((a, b) => a - b)
  const scan = new Scan(options)
  for (const sequence of sequences) {
    const path = segmentPath(sequence)
    const file = await files.openLogFile(path)
    scan.segment(sequence, path, file)
  }
  return settle(options, scan)
}

/** Reads segments in order and keeps what the verdict at the end needs. */
class Scan {
  readonly contents = new LogContents()
  readonly segments: Segment[] = []
  last: LastBatch | null = null
  /** Places behind the last whole batch where none was found. */
  #flaws: { readonly path: string; readonly flaw: Flaw }[] = []
  readonly #options: LogOptions

  constructor(options: LogOptions) {
    this.#options = options
  }

  segment(sequence: number, path: string, file: LogFile): void {
    const bytes = file.readSync({ at: 0, length: file.size })
    const image: SegmentImage = { segment: sequence, bytes, view: dataView(bytes) }
    let segment: Segment = { sequence, path, file, bytes: file.size }
    this.segments.push(segment)
    for (let at = 0; at === 0 || fitsAnotherBatch(segment.bytes, at); ) {
      const inspected = inspectBatch(image, at)
      if (inspected.kind === 'flaw') return this.#takeFlaw(image, path, inspected)
      // A file that was cut short behind its last batch gets its old length back.
      segment = { ...segment, bytes: Math.max(segment.bytes, inspected.header.segmentBytes) }
      this.segments[this.segments.length - 1] = segment
      this.#takeBatch(image, segment, at, inspected)
      at += inspected.header.length
    }
  }

  /** Nothing that may have been acknowledged is missing at the end of the log. Tells what is cut off. */
  checkEnd(): string | null {
    for (const { path, flaw } of this.#flaws) if (!flaw.unwritten) throw damaged(path, flaw.at, flaw.what)
    const oldest = this.segments[0]
    // An older segment is removed only once a later one holds a batch.
    if (this.last === null && oldest !== undefined && oldest.sequence > 1) {
      throw damaged(oldest.path, 0, 'holds nothing, though older segments were freed')
    }
    const first = this.#flaws[0]
    return first === undefined ? null : `${first.path} at offset ${first.flaw.at}`
  }

  #takeBatch(image: SegmentImage, segment: Segment, at: number, { header, rows }: WholeBatch): void {
    const { number, length } = header
    const flaw = this.#flaws[0]
    // Older segments were freed, so the log may begin with any number; but not behind a place where none was found.
    const due = this.last !== null ? this.last.number + 1 : flaw !== undefined ? 1 : number
    if (number !== due) {
      if (flaw !== undefined) throw damaged(flaw.path, flaw.flaw.at, flaw.flaw.what)
      throw damaged(segment.path, at, `holds batch ${number} where batch ${due} is due`)
    }
    for (const row of rows) {
      const from = at + row.offset + RECORD_HEADER_BYTES
      const body = image.bytes.subarray(from, from + row.length)
      this.contents.apply(row, body, { segment: segment.sequence, offset: at + row.offset })
    }
    this.last = { segment, at, length, number }
    this.#flaws = []
  }

  #takeFlaw(image: SegmentImage, path: string, flaw: Flaw): void {
    if (findSuccessor(image, flaw.at, flaw.end) !== null) throw damaged(path, flaw.at, flaw.what)
    this.#flaws.push({ path, flaw })
    this.#options.logger.log('debug', 'a log segment ends', { path, at: flaw.at, because: flaw.what })
  }
}

function damaged(path: string, offset: number, what: string): LogForgot {
  return new LogForgot({ path, offset, what })
}

async function settle(options: LogOptions, scan: Scan): Promise<Recovery> {
  const { files, logger } = options
  const { contents, last } = scan
  const cut = scan.checkEnd()
  const kept = last === null ? [] : scan.segments.filter(({ sequence }) => sequence <= last.segment.sequence)
  // A segment without a whole batch holds nothing: it was made ahead of need. The first goes last: alone, a later one is damage.
  for (const segment of scan.segments.slice(kept.length).reverse()) {
    await segment.file.close()
    await files.remove(segment.path)
  }
  await files.syncDirectory(LOG_DIRECTORY)
  if (last === null) return begin(options, contents)
  if (cut !== null) logger.log('debug', 'the log ends', { at: cut, batch: last.number })
  const nextAt = last.at + last.length
  await rewrite(last)
  await zero(last.segment, nextAt)
  return { contents, segments: new Segments(options, kept), nextNumber: last.number + 1, nextAt }
}

async function begin(options: LogOptions, contents: LogContents): Promise<Recovery> {
  const path = segmentPath(1)
  const bytes = options.segmentBytes
  const file = await options.files.createLogFile(path, bytes)
  const segments = new Segments(options, [{ sequence: 1, path, bytes, file }])
  return { contents, segments, nextNumber: 1, nextAt: 0 }
}

async function rewrite({ segment, at, length }: LastBatch): Promise<void> {
  await writeAndSync(segment, segment.file.readSync({ at, length }), at)
}

const zeros = new Uint8Array(new SharedArrayBuffer(4 * 1024 * 1024))

async function zero(segment: Segment, from: number): Promise<void> {
  for (let at = from; at < segment.bytes; at += zeros.length) {
    await writeAndSync(segment, zeros.subarray(0, Math.min(zeros.length, segment.bytes - at)), at)
  }
}

function writeAndSync({ file, path }: Segment, bytes: Uint8Array, at: number): Promise<void> {
  return new Promise((resolve, reject) => {
    file.writeAndSync({ bytes, at }, (error) => {
      if (error === null) return resolve()
      reject(new HoldfastError('INTERNAL', failure(`cannot write to ${path}`, error), { cause: error }))
    })
  })
}
