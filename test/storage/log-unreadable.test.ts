import { beforeAll, describe, expect, it } from 'vitest'
import { BLOCK_BYTES } from '../../src/storage/log/layout.js'
import type { LogItem } from '../../src/storage/types.js'
import type { MemoryFiles } from '../../src/testing/files.js'
import { BadBlocks, type Block } from './bad-blocks.js'
import {
  type Contents,
  change,
  FIRST,
  filesOf,
  type Image,
  open,
  outcome,
  outcomeOn,
  SECOND,
  SEGMENT_BYTES,
  write,
} from './log-images.js'
import {
  append,
  checkpointItem,
  contentsOf,
  emptyContents,
  entriesItem,
  entry,
  hardState,
  hardStateItem,
  memoryFiles,
  nodeItem,
  openLog,
  rangeId,
  readAll,
  tombstoneItem,
} from './log-support.js'

const entries = Array.from({ length: 100 }, (_, i) => entry(i + 1, 1))

/** The first batch has tables of two blocks; the second has a body of more than a block and begins the second segment. */
const batches: LogItem[][] = [
  [nodeItem({ nextStorage: 2 }), hardStateItem(1, hardState(1, 1, 0)), entriesItem(1, entries)],
  [entriesItem(3, [entry(1, 1, 'y'.repeat(5000))]), tombstoneItem(7, 3), checkpointItem(4, { index: 9, term: 1 })],
  [entriesItem(1, [entry(101, 2)]), nodeItem({ nextStorage: 9 })],
]
const FIRST_END = 5 * BLOCK_BYTES
const SECOND_BATCH_END = 3 * BLOCK_BYTES

interface Log {
  readonly image: Image
  readonly whole: Contents
  readonly before: Contents
}

describe('a log of which blocks cannot be read', () => {
  let logs: Log[]

  beforeAll(async () => {
    const { images, contents } = await write(batches)
    logs = images.map((image, n) => ({ image, whole: contents[n]!, before: contents[n - 1] ?? emptyContents }))
    expect(logs.map(({ image }) => [...image.keys()])).toEqual([[FIRST], [FIRST, SECOND], [FIRST, SECOND]])
  })

  it('has lost of any one block what it had lost if the block were overwritten, and reads it once it is mended', async () => {
    const outcomes = new Map<string, string>()
    for (const [n, log] of [...logs, withSpare(logs[0]!)].entries()) {
      for (const block of blocksOf(log.image)) {
        outcomes.set(`${n} ${block.path} ${block.at}`, await comparedWithGarbage(log, [block]))
      }
    }
    const forgot = [...outcomes].filter(([, found]) => found === 'log forgot').map(([block]) => block)
    // The only record of whose log it is.
    expect(forgot).toEqual([`0 ${FIRST} ${BLOCK_BYTES}`, `3 ${FIRST} ${BLOCK_BYTES}`])
    expect(outcomes.get(`1 ${SECOND} 0`)).toBe('damaged: 3/1')
    expect(outcomes.get(`1 ${SECOND} ${BLOCK_BYTES}`)).toBe('damaged: 3/1; forgot: 4')
    expect(outcomes.get(`2 ${SECOND} ${SECOND_BATCH_END}`)).toBe('damaged: 1/101')
    for (const log of [0, 1, 2]) expect(outcomes.get(`${log} ${FIRST} ${FIRST_END}`)).toBe('same')
  })

  it('has lost of any two blocks what it had lost if they were overwritten', async () => {
    for (const log of logs) {
      const blocks = blocksOf(log.image)
      for (const [i, block] of blocks.entries()) {
        for (const other of blocks.slice(i + 1)) await comparedWithGarbage(log, [block, other])
      }
    }
  })

  it('ends before a last batch of which another block was never written', async () => {
    const { image, whole, before } = logs[2]!
    const [front, back] = [SECOND_BATCH_END, SECOND_BATCH_END + BLOCK_BYTES]
    for (const [unwritten, unreadable] of [
      [front, back],
      [back, front],
    ] as const) {
      const torn = change(image, SECOND, (bytes) => bytes.fill(0, unwritten, unwritten + BLOCK_BYTES))
      const disk = new BadBlocks(filesOf(torn), [{ path: SECOND, at: unreadable }])
      expect(await outcomeOn(disk.files, { whole, before }), `${unwritten}`).toBe('cut')
      expect(disk.left).toEqual([])
    }
  })

  it.each([
    ['the first of them, as none is written behind it', [0], 'same'],
    ['others, as a batch would begin in the first of them', [1, 2], 'same'],
    ['two that may have held both tables of a batch', [0, 1], 'log forgot'],
  ])('judges blocks behind its last batch: %s', async (_, numbers, expected) => {
    const { image, whole } = logs[1]!
    const blocks = numbers.map((number) => ({ path: SECOND, at: SECOND_BATCH_END + number * BLOCK_BYTES }))
    const disk = new BadBlocks(filesOf(image), blocks)
    expect(await outcomeOn(disk.files, { whole })).toBe(expected)
    expect(disk.left).toHaveLength(expected === 'same' ? 0 : 2)
  })

  it('is written anew also where what stood in a block can be guessed', async () => {
    const guessed = entry(1, 1, new Uint8Array(3 * BLOCK_BYTES).fill(0xa5))
    const { images, contents } = await write([[nodeItem({}), entriesItem(1, [guessed])]])
    for (const at of [BLOCK_BYTES, 2 * BLOCK_BYTES]) {
      const disk = new BadBlocks(filesOf(images[0]!), [{ path: FIRST, at }])
      expect(await outcomeOn(disk.files, { whole: contents[0]! })).toBe('same')
      expect(disk.left).toEqual([])
    }
  })

  it('is not judged where nothing of a segment can be read: the disk is gone, not a sector', async () => {
    const files = filesOf(logs[2]!.image)
    const disk = new BadBlocks(files, blocksOf(new Map([[SECOND, files.contents(SECOND)]])))
    await expect(openLog(disk.files, SEGMENT_BYTES)).rejects.toThrow('EIO: i/o error, read')
    expect(imageOf(files)).toEqual(logs[2]!.image)
  })

  it('ends the process where a running node reads one, and the next start lists what it held', async () => {
    const disk = new BadBlocks(filesOf(logs[2]!.image), [])
    const log = await openLog(disk.files, SEGMENT_BYTES)
    disk.spoil([{ path: SECOND, at: SECOND_BATCH_END }])
    expect(() => readAll(log, 1, 101, 101)).toThrow('fatal: cannot read the log')
    expect(await outcomeOn(disk.files, logs[2]!)).toBe('damaged: 1/101')
  })
})

function withSpare(log: Log): Log {
  return { ...log, image: new Map([...log.image, [SECOND, new Uint8Array(SEGMENT_BYTES)]]) }
}

function blocksOf(image: Image): Block[] {
  return [...image].flatMap(([path, bytes]) =>
    Array.from({ length: bytes.length / BLOCK_BYTES }, (_, number) => ({ path, at: number * BLOCK_BYTES })),
  )
}

function imageOf(files: MemoryFiles): Image {
  return new Map(files.paths().map((path) => [path, files.contents(path).slice()]))
}

/** What became of the log with these blocks unreadable: the same as with garbage in their place, and nothing is missing in silence. */
async function comparedWithGarbage({ image, whole, before }: Log, blocks: readonly Block[]): Promise<string> {
  const named = blocks.map(({ path, at }) => `${path} ${at}`).join()
  const garbage = blocks.reduce((changed, { path, at }) => {
    return change(changed, path, (bytes) => bytes.fill(0x5c, at, at + BLOCK_BYTES))
  }, image)
  const memory = filesOf(image)
  const disk = new BadBlocks(memory, blocks)
  const found = await outcomeOn(disk.files, { whole, before })
  expect(found, named).toMatch(/^(same|damaged|forgot|log forgot)/)
  expect(found, named).toBe(await outcome(garbage, { whole, before }))
  if (found === 'log forgot') return found
  const { files, contents } = await open(garbage)
  // Behind the last batch of a segment that is full nothing is written any more, nor read but by an opening.
  const isFull = image.get(SECOND)?.some((byte) => byte !== 0)
  const unused = blocks.filter(({ path, at }) => isFull && path === FIRST && at === FIRST_END)
  expect(disk.left, named).toEqual(unused.map(({ path, at }) => `${path} ${at}`))
  if (unused.length === 0) expect(imageOf(memory), named).toEqual(imageOf(files))
  expect(contentsOf(await openLog(disk.files, SEGMENT_BYTES)), named).toEqual(contents)
  return found
}

describe('a block of a simulated disk that cannot be read', () => {
  it('is damage when the log is opened, and is whole again once the log has written it', async () => {
    const files = memoryFiles()
    const log = await openLog(files)
    await append(log, [entriesItem(2, [entry(1, 1), entry(2, 1)])])
    await append(log, [entriesItem(2, [entry(3, 1)])])
    await log.close()
    const path = files.paths().find((each) => each.startsWith('log/'))!
    files.makeUnreadable(path, 5_000)
    const read = async () => (await files.openLogFile(path)).readSync({ at: 4_096, length: 1 })
    await expect(read()).rejects.toMatchObject({ code: 'EIO' })
    const again = await openLog(files)
    expect(again.recovered.get(rangeId(2))?.lastIndex).toBe(3)
    await again.close()
    expect(await read()).toHaveLength(1)
  })
})
