import { type FoundBatch, inspectBatch, type SegmentImage } from '../storage/log/inspect.js'
import { dataView, RECORD_HEADER_BYTES } from '../storage/log/layout.js'
import { LOG_DIRECTORY, segmentSequence } from '../storage/log/segments.js'
import type { MemoryFiles } from './files.js'
import type { SeededRandom } from './random.js'

interface Placed {
  readonly image: SegmentImage
  readonly at: number
  readonly batch: FoundBatch
}

interface Payload {
  readonly image: SegmentImage
  readonly from: number
  readonly length: number
}

/** Whether there is an entry to be damaged. */
export function holdsEntries(files: MemoryFiles): boolean {
  return payloadsOf(files).length > 0
}

/** Of the damage done here, the part that is a block that cannot be read. */
const UNREADABLE = 1 / 4

/** Damages the payload of some entry in the log of a node that is down. False: it holds none. */
export function rotEntry(files: MemoryFiles, random: SeededRandom): boolean {
  const payloads = payloadsOf(files)
  if (payloads.length === 0) return false
  const { image, from, length } = random.pick(payloads)
  damage(files, { image, at: from + random.below(length) }, random)
  return true
}

/** Damages anything that was written of the log of a node that is down. False: nothing was. */
export function rotLog(files: MemoryFiles, random: SeededRandom): boolean {
  const batches = batchesOf(files)
  if (batches.length === 0) return false
  const { image, at, batch } = random.pick(batches)
  damage(files, { image, at: at + random.below(batch.header.length) }, random)
  return true
}

/** One bit flips, or the block around it cannot be read any more. */
function damage(files: MemoryFiles, { image, at }: { image: SegmentImage; at: number }, random: SeededRandom): void {
  if (random.chance(UNREADABLE)) files.makeUnreadable(image.path, at)
  else image.bytes[at]! ^= 1 << random.below(8)
}

function payloadsOf(files: MemoryFiles): Payload[] {
  return batchesOf(files).flatMap(({ image, at, batch }) =>
    batch.rows
      .filter(({ type, length }) => type === 'entry' && length > 0)
      .map(({ offset, length }) => ({ image, from: at + offset + RECORD_HEADER_BYTES, length })),
  )
}

function batchesOf(files: MemoryFiles): Placed[] {
  const batches: Placed[] = []
  for (const path of files.paths()) {
    const segment = segmentSequence(path.slice(LOG_DIRECTORY.length + 1))
    if (segment === null) continue
    const bytes = files.contents(path)
    const image = { segment, path, bytes, view: dataView(bytes), unreadable: [] }
    for (let at = 0; at < bytes.length; ) {
      const batch = inspectBatch(image, at)
      if (batch.kind === 'flaw') break
      batches.push({ image, at, batch })
      at += batch.header.length
    }
  }
  return batches
}
