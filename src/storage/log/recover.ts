import { assert } from '../../base/assert.js'
import { HoldfastError } from '../../base/errors.js'
import type { LogFile } from '../types.js'
import { LogForgot } from './forgot.js'
import { BATCH_BYTES_MIN, BLOCK_BYTES } from './layout.js'
import { LogContents } from './ranges.js'
import { LogScan } from './scan.js'
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

/**
 * Reads the log from its oldest segment on, checks every byte, and leaves it so that the next batch can follow the last
 * one: that one is written again in place and zeros behind it, both synced. Without that a batch that reached
 * only the page cache would be acknowledged on the word of a read, and what a cut left behind would look like damage
 * next time.
 *
 * What each kind of damage comes to:
 * - A batch that was not written whole and has no successor was never acknowledged: it is cut.
 * - One of a batch's two tables of contents, filler, what stands whole in the table: the batch is made whole again.
 * - The payload of an entry: the entry is known and damaged. The body of a checkpoint, unless a later one follows: the range forgot.
 * - Both tables of a batch: nobody can tell what it held. Throws LogForgot.
 * - Blocks that cannot be read are damaged, whatever they held.
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
  const scan = new LogScan(options.logger)
  const opened: LogFile[] = []
  try {
    for (const sequence of sequences) {
      const path = segmentPath(sequence)
      const file = await files.openLogFile(path)
      opened.push(file)
      scan.segment(sequence, path, file)
    }
    return await settle(options, scan)
  } catch (error) {
    for (const file of opened) await file.close()
    throw error
  }
}

async function settle(options: LogOptions, scan: LogScan): Promise<Recovery> {
  const { logger } = options
  const { contents, last } = scan
  const cut = scan.checkEnd()
  const kept = last === null ? [] : scan.segments.filter(({ sequence }) => sequence <= last.segment.sequence)
  const spare = await removeUnused(options, scan, scan.segments.slice(kept.length))
  if (last === null) return begin(options)
  if (contents.hasLostDisk) throw unknownDisk(scan.segments[0]!.path)
  if (cut !== null) logger.log('debug', 'the log ends', { at: cut, batch: last.number })
  for (const { segment, at, bytes } of scan.mendings) await writeAndSync(segment, bytes, at)
  const nextAt = last.at + last.length
  await writeAndSync(last.segment, last.segment.file.readSync({ at: last.at, length: last.length }), last.at)
  await zero(last.segment, nextAt)
  return { contents, segments: new Segments(options, kept, spare), nextNumber: last.number + 1, nextAt }
}

function unknownDisk(path: string): LogForgot {
  return new LogForgot({
    path,
    offset: 0,
    what: 'and what follows hold no whole record of the directory they belong to',
  })
}

/** Removes segments that hold no batch, but for the one made ahead of need right behind the last batch's, which it returns. */
async function removeUnused(options: LogOptions, scan: LogScan, unused: readonly Segment[]): Promise<Segment | null> {
  const { files } = options
  const first = unused[0]
  const isSpare = first?.sequence === (scan.last?.segment.sequence ?? 0) + 1 && scan.isEmpty(first)
  const spare = scan.last !== null && isSpare && first.bytes >= options.segmentBytes ? first : null
  // The first goes last: alone, a later one is damage.
  for (const segment of unused.filter((each) => each !== spare).reverse()) {
    await segment.file.close()
    await files.remove(segment.path)
  }
  await files.syncDirectory(LOG_DIRECTORY)
  return spare
}

async function begin(options: LogOptions): Promise<Recovery> {
  const path = segmentPath(1)
  const bytes = options.segmentBytes
  const file = await options.files.createLogFile(path, bytes)
  const segments = new Segments(options, [{ sequence: 1, path, bytes, file }], null)
  return { contents: new LogContents(), segments, nextNumber: 1, nextAt: 0 }
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
