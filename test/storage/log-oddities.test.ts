import { beforeAll, describe, expect, it, vi } from 'vitest'
import { isComplete } from '../volume.js'
import {
  change,
  FIRST,
  filesOf,
  flip,
  open,
  outcome,
  SECOND,
  SEGMENT_BYTES,
  type Written,
  write,
  zeroSector,
} from './log-images.js'
import { contentsOf, entriesItem, entry, nodeItem, openLog } from './log-support.js'

// The full volume takes minutes on a busy machine.
vi.setConfig({ testTimeout: 600_000 })

const STEP = isComplete ? 1 : 31

describe('a log that only looks damaged', () => {
  let written: Written

  beforeAll(async () => {
    written = await write([[nodeItem({}), entriesItem(1, [entry(1, 1)])], [entriesItem(1, [entry(2, 1)])]])
  })

  it('does not mistake sectors that are empty by content for unwritten ones', async () => {
    const payload = new Uint8Array(6000)
    payload[2000] = 1
    const sparse = await write([[entriesItem(1, [entry(1, 1)])], [entriesItem(1, [entry(2, 1, payload)])]])
    const expected = { before: sparse.contents[0]!, whole: sparse.contents[1]! }
    expect(sparse.contents[1]!.ranges[0]!.lastIndex).toBe(2)
    for (let at = 8192; at < 8192 + 12_288; at += STEP) {
      const found = await outcome(flip(sparse.images[1]!, FIRST, at), expected)
      expect(['same', 'damaged: 1/2'], `at ${at}`).toContain(found)
    }
    const torn = zeroSector(sparse.images[1]!, FIRST, 8192 + 8192)
    expect(await outcome(torn, expected)).toBe('cut')
    // Its list of sparse sectors is lost with the table, and made anew so that nothing looks torn.
    const { files } = await open(flip(sparse.images[1]!, FIRST, 8192 + 8192))
    files.contents(FIRST)[8192 + 60]! ^= 1
    expect(contentsOf(await openLog(files, SEGMENT_BYTES))).toEqual(sparse.contents[1])
  })

  it('refuses a log of another format without a word of damage', async () => {
    const { crc32 } = await import('node:zlib')
    const newer = change(written.images[0]!, FIRST, (bytes) => {
      bytes[4] = 3
      new DataView(bytes.buffer).setUint32(52, crc32(bytes.subarray(0, 52)), true)
    })
    await expect(open(newer)).rejects.toThrow('is of log format 3, and this program knows 2')
    await expect(open(newer)).rejects.toHaveProperty('name', 'HoldfastError')
  })

  it('removes what was left of a segment in the making, and keeps a spare one that is whole', async () => {
    const files = filesOf(new Map([...written.images[1]!, [`${SECOND}.tmp`, new Uint8Array(100).fill(7)]]))
    await openLog(files, SEGMENT_BYTES)
    expect(files.paths()).toEqual([FIRST])
    files.put(SECOND, new Uint8Array(SEGMENT_BYTES))
    files.put('log/0000000003.seg', new Uint8Array(SEGMENT_BYTES))
    const log = await openLog(files, SEGMENT_BYTES)
    expect(files.paths()).toEqual([FIRST, SECOND])
    expect(log.diskBytes).toBe(2 * SEGMENT_BYTES)
  })
})

describe('a log that is not opened', () => {
  it('leaves no file of it open', async () => {
    const { images } = await write([[nodeItem({}), entriesItem(1, [entry(1, 1)])], [entriesItem(1, [entry(2, 1)])]])
    const files = filesOf(change(images[1]!, FIRST, (bytes) => bytes.fill(0xff, 0, 8_192)))
    const openLogFile = files.openLogFile.bind(files)
    let open = 0
    files.openLogFile = async (path) => {
      const file = await openLogFile(path)
      const close = file.close.bind(file)
      open++
      file.close = () => {
        open--
        return close()
      }
      return file
    }
    await expect(openLog(files, SEGMENT_BYTES)).rejects.toThrow('the log is damaged')
    expect(open).toBe(0)
  })
})
