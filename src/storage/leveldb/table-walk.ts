import { DamagedError } from '../codec/errors.js'
import { maskedCrc32c } from './crc32c.js'
import type { LiveTable } from './manifest.js'
import { uncompress } from './snappy.js'
import type { TableFile } from './table-file.js'
import { readUint32, readVarint } from './varint.js'

// LevelDB's table files (its doc/table_format.md): data blocks, filter block, metaindex block, index block, footer (48 bytes). Behind
// each block stand its compression (1: 0 none, 1 snappy) and the masked crc32c (4) of both.

const TRAILER_BYTES = 5
const FOOTER_BYTES = 48
const MAGIC_LOW = 0x8b80_fb57
const MAGIC_HIGH = 0xdb47_7524

interface Block {
  readonly offset: number
  readonly size: number
}

/**
 * Checks every block of a table, those of keys and those that lead to them; says what is wrong, null if nothing is. One wrong block
 * condemns the table: LevelDB would return wrong values from it or hide keys, and no compaction would ever get past it.
 */
export async function walkTable(table: LiveTable, file: TableFile): Promise<string | null> {
  if (file.bytes !== table.bytes) return `it has ${file.bytes} bytes instead of ${table.bytes}`
  try {
    const footer = await readFooter(file)
    for (const block of blocksOf(await readBlock(file, footer.metaindex, 'metaindex')))
      await check(file, block, 'filter')
    for (const block of blocksOf(await readBlock(file, footer.index, 'index'))) await check(file, block, 'data')
    return null
  } catch (error) {
    if (error instanceof DamagedError) return error.message
    throw error
  }
}

async function readFooter(file: TableFile): Promise<{ metaindex: Block; index: Block }> {
  const at = file.bytes - FOOTER_BYTES
  if (at < 0) throw new DamagedError('it is too short')
  const footer = await file.read(at, file.bytes)
  const magic = FOOTER_BYTES - 8
  if (readUint32(footer, magic) !== MAGIC_LOW || readUint32(footer, magic + 4) !== MAGIC_HIGH) {
    throw new DamagedError('its footer is not that of a table')
  }
  const metaindex = handleOf(footer, 0)
  const index = handleOf(footer, metaindex.end)
  if (index.block.offset + index.block.size + TRAILER_BYTES !== at) throw new DamagedError('its footer is wrong')
  if (footer.subarray(index.end, magic).some((byte) => byte !== 0)) throw new DamagedError('its footer is wrong')
  return { metaindex: metaindex.block, index: index.block }
}

function handleOf(bytes: Uint8Array, at: number): { block: Block; end: number } {
  const { value: offset, end: sizeAt } = readVarint(bytes, at)
  const { value: size, end } = readVarint(bytes, sizeAt)
  return { block: { offset, size }, end }
}

/** Returns the block with its compression behind it: a view that the next read overwrites. */
async function check(file: TableFile, { offset, size }: Block, kind: string): Promise<Buffer> {
  const end = size + 1
  if (offset + end + 4 > file.bytes) throw new DamagedError(`its ${kind} block at ${offset} ends behind the file`)
  const bytes = await file.read(offset, offset + end + 4)
  if (maskedCrc32c(bytes, 0, end) !== readUint32(bytes, end)) {
    throw new DamagedError(`its ${kind} block at ${offset} has a wrong checksum`)
  }
  return bytes.subarray(0, end)
}

async function readBlock(file: TableFile, block: Block, kind: string): Promise<Uint8Array> {
  const found = await check(file, block, kind)
  const bytes = found.subarray(0, block.size)
  return found[block.size] === 0 ? Uint8Array.from(bytes) : uncompress(bytes)
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
