import { beforeAll, describe, expect, it, vi } from 'vitest'
import type { LogItem } from '../../src/storage/types.js'
import type { MemoryFiles } from '../../src/testing/files.js'
import {
  append,
  checkpointItem,
  contentsOf,
  emptyContents as empty,
  entriesItem,
  entry,
  hardState,
  hardStateItem,
  memoryFiles,
  nodeItem,
  openLog,
} from './log-support.js'

// The full volume takes minutes on a busy machine.
vi.setConfig({ testTimeout: 600_000 })

const SEGMENT_BYTES = 24 * 1024
const SECTOR_BYTES = 512
/** Every byte is tried with HOLDFAST_CI=1; a prime step visits every kind of place otherwise. */
const STEP = process.env.HOLDFAST_CI === '1' ? 1 : 11

type Image = ReadonlyMap<string, Uint8Array>
type Contents = ReturnType<typeof contentsOf>

interface Written {
  /** The files after each batch. */
  readonly images: Image[]
  /** What a log opened on them holds. */
  readonly contents: Contents[]
}

async function write(batches: readonly LogItem[][]): Promise<Written> {
  const files = memoryFiles(1, queueMicrotask)
  const log = await openLog(files, SEGMENT_BYTES)
  const images: Image[] = []
  for (const batch of batches) {
    await append(log, batch)
    images.push(imageOf(files))
  }
  await log.close()
  const contents: Contents[] = []
  for (const image of images) contents.push(await contentsAfterOpen(image))
  return { images, contents }
}

function imageOf(files: MemoryFiles): Image {
  return new Map(files.paths().map((path) => [path, files.contents(path).slice()]))
}

function filesOf(image: Image): MemoryFiles {
  const files = memoryFiles(1, queueMicrotask)
  for (const [path, bytes] of image) files.put(path, bytes)
  return files
}

async function contentsAfterOpen(image: Image): Promise<Contents> {
  return (await open(image)).contents
}

async function open(image: Image): Promise<{ files: MemoryFiles; contents: Contents }> {
  const files = filesOf(image)
  const log = await openLog(files, SEGMENT_BYTES)
  return { files, contents: contentsOf(log) }
}

function change(image: Image, path: string, alter: (bytes: Uint8Array) => void): Image {
  const bytes = image.get(path)!.slice()
  alter(bytes)
  return new Map([...image, [path, bytes]])
}

/** 'cut' | 'same' | the message of the refusal. */
async function outcome(image: Image, before: Contents, whole: Contents): Promise<string> {
  try {
    const found = JSON.stringify(await contentsAfterOpen(image))
    if (found === JSON.stringify(whole)) return 'same'
    return found === JSON.stringify(before) ? 'cut' : `something else: ${found}`
  } catch (error) {
    return (error as Error).message
  }
}

const FIRST = 'log/0000000001.seg'
const SECOND = 'log/0000000002.seg'
const refusal = /^the log is damaged: log\/000000000\d\.seg at offset \d+ /

/** Three batches in the first segment (the last one of many sectors), one in the second. */
const batches: LogItem[][] = [
  [hardStateItem(1, hardState(1, 1, 0)), entriesItem(1, [entry(1, 1), entry(2, 1)])],
  [entriesItem(1, [entry(2, 2, 'y'.repeat(700))]), checkpointItem(1, { index: 1, term: 1 })],
  [entriesItem(3, [entry(1, 1, 'z'.repeat(3000))]), nodeItem({ nextStorage: 9 })],
  [entriesItem(1, [entry(3, 2)]), hardStateItem(1, hardState(2, null, 2))],
]

describe('a log that was damaged or torn', () => {
  let written: Written

  beforeAll(async () => {
    written = await write(batches)
    expect([...written.images[2]!.keys()]).toContain(FIRST)
    expect([...written.images[3]!.keys()]).toEqual([FIRST, SECOND])
  })

  it.each([
    ['in the first segment', 2, FIRST, 16_384, 8192],
    ['in the second segment', 3, SECOND, 0, 8192],
    ['alone', 0, FIRST, 0, 8192],
  ])('cuts the last batch %s whole, where the disk lost it from any sector on', async (_, last, path, at, length) => {
    const before = last === 0 ? empty : written.contents[last - 1]!
    const cuts = Array.from({ length: length / STEP }, (_, i) => i * STEP)
    for (const cut of [...cuts, length - SECTOR_BYTES, length - SECTOR_BYTES + 1, length - 1]) {
      const torn = change(written.images[last]!, path, (bytes) => bytes.fill(0, at + cut, at + length))
      const found = await outcome(torn, before, written.contents[last]!)
      // A cut inside the last sector is not what a power cut leaves: every sector was written, so this is damage.
      if (cut > length - SECTOR_BYTES) expect(found, `cut at ${cut}`).toMatch(refusal)
      else expect(found, `cut at ${cut}`).toBe('cut')
    }
  })

  it('cuts the last batch whole, whichever one of its sectors was never written', async () => {
    for (let sector = 0; sector < 16; sector += 1) {
      const at = 16_384 + sector * SECTOR_BYTES
      const torn = change(written.images[2]!, FIRST, (bytes) => bytes.fill(0, at, at + SECTOR_BYTES))
      expect(await outcome(torn, written.contents[1]!, written.contents[2]!), `sector ${sector}`).toBe('cut')
    }
  })

  it('leaves no remains of a cut: what comes next is read, and a second opening finds the same', async () => {
    const torn = change(written.images[2]!, FIRST, (bytes) => bytes.fill(0, 16_384, 16_384 + SECTOR_BYTES))
    const { files, contents } = await open(torn)
    expect(contents).toEqual(written.contents[1])
    expect(
      files
        .contents(FIRST)
        .subarray(16_384)
        .every((byte) => byte === 0),
    ).toBe(true)
    expect(files.paths()).toEqual([FIRST])
    const log = await openLog(files, SEGMENT_BYTES)
    await append(log, [entriesItem(1, [entry(3, 5)])])
    expect(contentsOf(await openLog(files, SEGMENT_BYTES)).ranges[0]).toMatchObject({ lastIndex: 3, lastTerm: 5 })
  })

  it('refuses every flipped byte of every batch by name, and is not changed by any elsewhere', async () => {
    const image = written.images[3]!
    const whole = written.contents[3]!
    const used: Record<string, number> = { [FIRST]: 24_576, [SECOND]: 8192 }
    for (const [path, bytes] of image) {
      for (let at = 0; at < bytes.length; at += STEP) {
        const flipped = change(image, path, (copy) => {
          copy[at]! ^= 1 + (at % 255)
        })
        const found = await outcome(flipped, written.contents[2]!, whole)
        if (at < used[path]!) expect(found, `${path} at ${at}`).toMatch(refusal)
        else expect(found, `${path} at ${at}`).toBe('same')
      }
    }
  })

  it('refuses a flip in the last batch when it is the only segment, instead of taking it for torn', async () => {
    for (let at = 16_384; at < 24_576; at += STEP) {
      const flipped = change(written.images[2]!, FIRST, (copy) => {
        copy[at]! ^= 0x10
      })
      expect(await outcome(flipped, written.contents[1]!, written.contents[2]!), `at ${at}`).toMatch(refusal)
    }
  })

  it('refuses a log that lost all it held, where its number says that it held something', async () => {
    const image = new Map([['log/0000000007.seg', new Uint8Array(SEGMENT_BYTES)]])
    await expect(open(image)).rejects.toThrow(
      /0000000007\.seg at offset 0 holds nothing, though older segments were freed/,
    )
    const first = new Map([['log/0000000001.seg', new Uint8Array(SEGMENT_BYTES)]])
    expect((await open(first)).contents).toEqual(empty)
  })

  it('refuses a sector lost from a batch that has a successor, in the same segment and in the next one', async () => {
    for (const lost of [0, 8, 16, 24, 32, 40]) {
      const torn = change(written.images[3]!, FIRST, (bytes) => {
        bytes.fill(0, lost * SECTOR_BYTES, (lost + 1) * SECTOR_BYTES)
      })
      expect(await outcome(torn, written.contents[2]!, written.contents[3]!), `sector ${lost}`).toMatch(refusal)
      if (lost >= 32) continue
      const alone = change(written.images[2]!, FIRST, (bytes) => {
        bytes.fill(0, lost * SECTOR_BYTES, (lost + 1) * SECTOR_BYTES)
      })
      expect(await outcome(alone, written.contents[1]!, written.contents[2]!), `sector ${lost}`).toMatch(refusal)
    }
  })

  it('refuses a batch that vanished whole before a successor', async () => {
    const lost = change(written.images[3]!, FIRST, (bytes) => bytes.fill(0, 16_384))
    expect(await outcome(lost, written.contents[2]!, written.contents[3]!)).toMatch(refusal)
    const without = new Map([...written.images[3]!].filter(([path]) => path !== FIRST))
    expect((await open(without)).contents.ranges.map(({ forgot }) => forgot)).toEqual([true])
  })

  it('refuses a file that was cut short where an acknowledged batch may have been, and mends one cut behind that', async () => {
    const shorten = (image: Image, bytes: number) =>
      new Map([...image, [FIRST, image.get(FIRST)!.subarray(0, bytes)] as const])
    for (const bytes of [0, 1, 4096, 8191, 8192, 9000, 16_383, 16_384, 16_895]) {
      const found = await outcome(shorten(written.images[1]!, bytes), written.contents[0]!, written.contents[1]!)
      expect(found, `${bytes} bytes`).toMatch(refusal)
    }
    const { files, contents } = await open(shorten(written.images[1]!, 16_384 + SECTOR_BYTES))
    expect(contents).toEqual(written.contents[1])
    expect(files.contents(FIRST)).toHaveLength(SEGMENT_BYTES)
  })

  it('does not mistake sectors that are empty by content for unwritten ones', async () => {
    const payload = new Uint8Array(6000)
    payload[2000] = 1
    const sparse = await write([[entriesItem(1, [entry(1, 1)])], [entriesItem(1, [entry(2, 1, payload)])]])
    expect(sparse.contents[1]!.ranges[0]!.lastIndex).toBe(2)
    for (let at = 8192; at < 8192 + 12_288; at += STEP) {
      const flipped = change(sparse.images[1]!, FIRST, (copy) => {
        copy[at]! ^= 1
      })
      expect(await outcome(flipped, sparse.contents[0]!, sparse.contents[1]!), `at ${at}`).toMatch(refusal)
    }
    const torn = change(sparse.images[1]!, FIRST, (copy) => copy.fill(0, 8192 + 8192, 8192 + 8192 + SECTOR_BYTES))
    expect(await outcome(torn, sparse.contents[0]!, sparse.contents[1]!)).toBe('cut')
  })

  it('removes what was left of a segment in the making', async () => {
    const files = filesOf(new Map([...written.images[1]!, [`${SECOND}.tmp`, new Uint8Array(100).fill(7)]]))
    await openLog(files, SEGMENT_BYTES)
    expect(files.paths()).toEqual([FIRST])
  })
})
