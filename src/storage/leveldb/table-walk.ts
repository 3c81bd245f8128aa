import { setImmediate } from 'node:timers/promises'
import { DamagedError } from '../codec/errors.js'
import { maskedCrc32c } from './crc32c.js'
import type { LiveTable } from './manifest.js'
import { uncompress } from './snappy.js'
import { readUint32, readVarint } from './varint.js'

// LevelDB's table files (its doc/table_format.md): data blocks, filter block, metaindex block, index block, footer (48 bytes). Behind
// each block stand its compression (1: 0 none, 1 snappy) and the masked crc32c (4) of both.

const TRAILER_BYTES = 5
const FOOTER_BYTES = 48
const MAGIC_LOW = 0x8b80_fb57
const MAGIC_HIGH = 0xdb47_7524
/** Between two pauses for whatever else the process does: about two milliseconds of work. */
const SLICE_BYTES = 256 * 1024

interface Block {
  readonly offset: number
  readonly size: number
}

/**
 * Checks every block of a table, those of keys and those that lead to them; says what is wrong, null if nothing is. One wrong block
 * condemns the table: LevelDB would return wrong values from it or hide keys, and no compaction would ever get past it.
 */
export async function walkTable(table: LiveTable, file: Uint8Array): Promise<string | null> {
  if (file.length !== table.bytes) return `it has ${file.length} bytes instead of ${table.bytes}`
  try {
    const footer = readFooter(file)
    for (const block of blocksOf(readBlock(file, footer.metaindex, 'metaindex'))) check(file, block, 'filter')
    let walked = 0
    for (const block of blocksOf(readBlock(file, footer.index, 'index'))) {
      check(file, block, 'data')
      walked += block.size
      if (walked < SLICE_BYTES) continue
      walked = 0
      await setImmediate()
    }
    return null
  } catch (error) {
    if (error instanceof DamagedError) return error.message
    throw error
  }
}

function readFooter(file: Uint8Array): { metaindex: Block; index: Block } {
  const at = file.length - FOOTER_BYTES
  if (at < 0) throw new DamagedError('it is too short')
  const magic = file.length - 8
  if (readUint32(file, magic) !== MAGIC_LOW || readUint32(file, magic + 4) !== MAGIC_HIGH) {
    throw new DamagedError('its footer is not that of a table')
  }
  const metaindex = handleOf(file, at)
  const index = handleOf(file, metaindex.end)
  if (index.block.offset + index.block.size + TRAILER_BYTES !== at) throw new DamagedError('its footer is wrong')
  if (file.subarray(index.end, magic).some((byte) => byte !== 0)) throw new DamagedError('its footer is wrong')
  return { metaindex: metaindex.block, index: index.block }
}

function handleOf(bytes: Uint8Array, at: number): { block: Block; end: number } {
  const { value: offset, end: sizeAt } = readVarint(bytes, at)
  const { value: size, end } = readVarint(bytes, sizeAt)
  return { block: { offset, size }, end }
}

function check(file: Uint8Array, { offset, size }: Block, kind: string): void {
  const end = offset + size + 1
  if (end + 4 > file.length) throw new DamagedError(`its ${kind} block at ${offset} ends behind the file`)
  if (maskedCrc32c(file, offset, end) !== readUint32(file, end)) {
    throw new DamagedError(`its ${kind} block at ${offset} has a wrong checksum`)
  }
}

function readBlock(file: Uint8Array, block: Block, kind: string): Uint8Array {
  check(file, block, kind)
  const end = block.offset + block.size
  const bytes = file.subarray(block.offset, end)
  return file[end] === 0 ? bytes : uncompress(bytes)
}

/**
 * What the entries of an index point at. An entry: shared, unshared and value length, the rest of the key, value; behind the entries the
 * restart points (4 bytes each) and their count.
 */
function* blocksOf(index: Uint8Array): Generator<Block> {
  const end = index.length - 4 - 4 * readUint32(index, index.length - 4)
  for (let at = 0; at < end; ) {
    const unshared = readVarint(index, readVarint(index, at).end)
    const { value: length, end: keyAt } = readVarint(index, unshared.end)
    const valueAt = keyAt + unshared.value
    yield handleOf(index, valueAt).block
    at = valueAt + length
  }
}
