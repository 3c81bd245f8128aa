import type { LogFile } from '../types.js'
import { isUnreadable } from '../unreadable.js'
import { BLOCK_BYTES } from './layout.js'

/** Stands for what cannot be read: not empty, no filler and no header, so it is damage and never the end of the log. */
const STAND_IN = 0xa5

export interface SegmentBytes {
  readonly bytes: Uint8Array
  /** Where blocks begin that cannot be read. */
  readonly unreadable: readonly number[]
}

/** Block by block where it cannot be read at once. Throws where no block can be: then the disk is gone, and no sector damaged. */
export function readSegment(file: LogFile): SegmentBytes {
  try {
    return { bytes: file.readSync({ at: 0, length: file.size }), unreadable: [] }
  } catch (error) {
    if (!isUnreadable(error)) throw error
    const read = readBlocks(file)
    if (read.unreadable.length * BLOCK_BYTES >= file.size) throw error
    return read
  }
}

function readBlocks(file: LogFile): SegmentBytes {
  const bytes = new Uint8Array(file.size).fill(STAND_IN)
  const unreadable: number[] = []
  for (let at = 0; at < file.size; at += BLOCK_BYTES) {
    const block = readBlock(file, at)
    if (block === null) unreadable.push(at)
    else bytes.set(block, at)
  }
  return { bytes, unreadable }
}

/** Null: it cannot be read. */
function readBlock(file: LogFile, at: number): Uint8Array | null {
  try {
    return file.readSync({ at, length: Math.min(BLOCK_BYTES, file.size - at) })
  } catch (error) {
    if (!isUnreadable(error)) throw error
    return null
  }
}
