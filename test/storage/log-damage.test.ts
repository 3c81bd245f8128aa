import { beforeAll, describe, expect, it, vi } from 'vitest'
import type { Entry } from '../../src/raft/types.js'
import type { LogItem } from '../../src/storage/types.js'
import { isComplete } from '../volume.js'
import {
  type Contents,
  change,
  FIRST,
  filesOf,
  flip,
  type Image,
  open,
  outcome,
  SECOND,
  SECTOR_BYTES,
  SEGMENT_BYTES,
  type Written,
  write,
  zeroSector,
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
  nodeItem,
  openLog,
  rangeId,
  readAll,
  repairItem,
  tombstoneItem,
} from './log-support.js'

// The full volume takes minutes on a busy machine.
vi.setConfig({ testTimeout: 600_000 })

/** Every byte is tried with HOLDFAST_CI=1; a prime step visits every kind of place otherwise. */
const STEP = isComplete ? 1 : 31

const noop: Entry = { ...entry(1, 1, ''), kind: 'noop' }

/** Every kind of record; three batches in the first segment, one in the second. */
const batches: LogItem[][] = [
  [
    nodeItem({ nextStorage: 2 }),
    hardStateItem(1, hardState(1, 1, 0)),
    entriesItem(1, [entry(1, 1), entry(2, 1)]),
    checkpointItem(4, { index: 9, term: 1 }),
  ],
  [
    entriesItem(1, [entry(2, 2, 'y'.repeat(700)), { ...entry(3, 2), kind: 'configuration' }]),
    checkpointItem(1, { index: 1, term: 1 }),
    hardStateItem(7, hardState(3, 2, 0)),
    tombstoneItem(7, 3),
  ],
  [entriesItem(3, [noop, entry(2, 1, 'z'.repeat(2000))]), nodeItem({ nextStorage: 9, boot: 2, stateMarker: 5 })],
  [entriesItem(1, [entry(4, 2)]), repairItem(1, entry(2, 2, 'y'.repeat(700))), hardStateItem(1, hardState(2, null, 2))],
]
const THIRD_BATCH = 16_384

describe('a log that was damaged or torn', () => {
  let written: Written
  let whole: Contents

  beforeAll(async () => {
    written = await write(batches)
    expect([...written.images[2]!.keys()]).toEqual([FIRST])
    expect([...written.images[3]!.keys()]).toEqual([FIRST, SECOND])
    whole = written.contents[3]!
    expect(whole.ranges.map(({ range }) => range)).toEqual([1, 3, 4])
    expect(whole.tombstones).toEqual([[7, 3]])
  })

  it.each([
    ['in the first segment', 2, FIRST, THIRD_BATCH, 8192],
    ['in the second segment', 3, SECOND, 0, 8192],
    ['alone', 0, FIRST, 0, 8192],
  ])('cuts the last batch %s whole, where the disk lost it from any sector on', async (_, last, path, at, length) => {
    const before = last === 0 ? emptyContents : written.contents[last - 1]!
    const expected = { before, whole: written.contents[last]! }
    const cuts = Array.from({ length: Math.floor(length / STEP) }, (_, i) => i * STEP)
    for (const cut of [...cuts, length - SECTOR_BYTES, length - SECTOR_BYTES + 1, length - 1]) {
      const torn = change(written.images[last]!, path, (bytes) => bytes.fill(0, at + cut, at + length))
      const found = await outcome(torn, expected)
      // A cut inside the last sector is not what a power cut leaves: every sector was written, so this is damage, of filler.
      expect(found, `cut at ${cut}`).toBe(cut > length - SECTOR_BYTES ? 'same' : 'cut')
    }
  })

  it('cuts the last batch whole, whichever one of its sectors was never written', async () => {
    for (let sector = 0; sector < 16; sector += 1) {
      const torn = zeroSector(written.images[2]!, FIRST, THIRD_BATCH + sector * SECTOR_BYTES)
      const expected = { before: written.contents[1]!, whole: written.contents[2]! }
      expect(await outcome(torn, expected), `sector ${sector}`).toBe('cut')
    }
  })

  it('leaves no remains of a cut: what comes next is read, and a second opening finds the same', async () => {
    const torn = zeroSector(written.images[2]!, FIRST, THIRD_BATCH)
    const { files, contents } = await open(torn)
    expect(contents).toEqual(written.contents[1])
    const behind = files.contents(FIRST).subarray(THIRD_BATCH)
    expect(behind.every((byte) => byte === 0)).toBe(true)
    expect(files.paths()).toEqual([FIRST])
    const log = await openLog(files, SEGMENT_BYTES)
    await append(log, [entriesItem(1, [entry(3, 5)])])
    expect(contentsOf(await openLog(files, SEGMENT_BYTES)).ranges[0]).toMatchObject({ lastIndex: 3, lastTerm: 5 })
  })

  it('tells of every flipped byte what it cost, which is never more than the record it stands in', async () => {
    const counts = new Map<string, number>()
    for (const path of [FIRST, SECOND]) {
      for (let at = 0; at < SEGMENT_BYTES; at += STEP) {
        const found = await outcome(flip(written.images[3]!, path, at), { before: written.contents[2]!, whole })
        const known = ['same', 'damaged: 1/3', 'damaged: 1/4', 'damaged: 1/2', 'damaged: 3/2', 'forgot: 1', 'forgot: 4']
        expect(known, `${path} at ${at}: ${found}`).toContain(found)
        counts.set(found, (counts.get(found) ?? 0) + 1)
      }
    }
    // The damaged entry 2 of range 1 has a repair, and the checkpoints stand again at the head of the second segment.
    expect(counts.get('damaged: 3/2')).toBeGreaterThan(2000 / STEP - 2)
    expect(counts.get('forgot: 1')).toBeGreaterThan(1)
    expect(counts.get('same')).toBeGreaterThan(40_000 / STEP)
  })

  it('tells of every flipped byte of the last batch, when it is the only segment, instead of taking it for torn', async () => {
    for (let at = THIRD_BATCH; at < SEGMENT_BYTES; at += STEP) {
      const expected = { before: written.contents[1]!, whole: written.contents[2]! }
      expect(['same', 'damaged: 3/2'], `at ${at}`).toContain(
        await outcome(flip(written.images[2]!, FIRST, at), expected),
      )
    }
  })

  it('finds after a damage what it found the first time, and takes what comes next', async () => {
    for (let at = 0; at < THIRD_BATCH + 8192; at += STEP * 7) {
      const files = filesOf(flip(written.images[3]!, FIRST, at))
      const first = contentsOf(await openLog(files, SEGMENT_BYTES))
      files.crash()
      const log = await openLog(files, SEGMENT_BYTES)
      expect(contentsOf(log), `at ${at}`).toEqual(first)
      await append(log, [entriesItem(3, [entry(3, 4, 'next')])])
      files.crash()
      const again = contentsOf(await openLog(files, SEGMENT_BYTES))
      expect(again.ranges[0], `at ${at}`).toEqual(first.ranges[0])
      expect(again.ranges[1]!.damaged, `at ${at}`).toEqual(first.ranges[1]!.damaged)
      expect(again.ranges[1]!.entries.at(-1)!.payload).toBe('next')
    }
  })

  it('makes a batch with one damaged table whole again, so that the other may be damaged next', async () => {
    for (const [path, batch] of [
      [FIRST, 0],
      [FIRST, THIRD_BATCH],
      [SECOND, 0],
    ] as const) {
      const { files } = await open(flip(written.images[3]!, path, batch + 60))
      files.contents(path)[batch + 4096 + 60]! ^= 1
      expect(contentsOf(await openLog(files, SEGMENT_BYTES))).toEqual(whole)
      expect(files.contents(path)).toEqual(written.images[3]!.get(path))
    }
  })

  it('says that it forgot where both tables of a batch are damaged, also of the last one', async () => {
    const expected = { before: written.contents[2]!, whole }
    for (const [path, batch, back] of [
      [FIRST, 0, 4096],
      [FIRST, 8192, 4096],
      [FIRST, THIRD_BATCH, 4096],
      [SECOND, 0, 4096],
    ] as const) {
      for (const [front, second] of [
        [0, 0],
        [100, 0],
        [0, 100],
        [100, 100],
      ] as const) {
        const damaged = flip(written.images[3]!, path, batch + front, batch + back + second)
        expect(await outcome(damaged, expected), `${path} at ${batch}`).toBe('log forgot')
      }
    }
  })

  it('knows an entry whose payload is damaged by index and term, reads up to it, and takes its repair', async () => {
    const image = written.images[2]!
    const at = Buffer.from(image.get(FIRST)!).indexOf('z'.repeat(2000)) + 1000
    const files = filesOf(flip(image, FIRST, at))
    const log = await openLog(files, SEGMENT_BYTES)
    expect(log.recovered.get(rangeId(3))).toMatchObject({ damaged: [2], lastIndex: 2, lastTerm: 1, forgot: false })
    expect(readAll(log, 3, 1, 2)).toHaveLength(1)
    expect(() => readAll(log, 3, 2, 2)).toThrow('this entry is damaged')
    await expect(append(log, [repairItem(3, entry(2, 1))])).rejects.toThrow('a repair of an entry')
    // Replaced or cut while the repair waited behind another batch: there is nothing to repair.
    await append(log, [repairItem(3, entry(2, 2)), repairItem(3, entry(9, 1)), repairItem(7, entry(1, 1))])
    expect(log.damaged(rangeId(3))).toEqual([2])
    await append(log, [repairItem(3, entry(2, 1, 'z'.repeat(2000)))])
    expect(log.damaged(rangeId(3))).toEqual([])
    expect(readAll(log, 3, 1, 2)[1]).toEqual(entry(2, 1, 'z'.repeat(2000)))
    const again = await openLog(files, SEGMENT_BYTES)
    expect(contentsOf(again).ranges).toEqual(written.contents[2]!.ranges)
  })

  it('has lost nothing where a damaged entry was replaced or truncated later', async () => {
    const later = await write([
      [entriesItem(1, [entry(1, 1, 'x'.repeat(500)), entry(2, 1, 'x'.repeat(500))])],
      [checkpointItem(1, { index: 1, term: 1 }), entriesItem(1, [entry(2, 2)])],
    ])
    for (let at = 400; at < 1400; at += STEP) {
      expect(await outcome(flip(later.images[1]!, FIRST, at), { whole: later.contents[1]! }), `at ${at}`).toBe('same')
    }
  })

  it('keeps a range forgotten until it begins anew, also when its damaged checkpoint has long gone', async () => {
    const one = await write([
      [nodeItem({}), hardStateItem(2, hardState(1, 1, 0)), checkpointItem(2, { index: 3, term: 1 })],
    ])
    const at = Buffer.from(one.images[0]!.get(FIRST)!).indexOf('bookkeeping')
    const files = filesOf(flip(one.images[0]!, FIRST, at))
    const log = await openLog(files, SEGMENT_BYTES)
    expect(log.recovered.get(rangeId(2))).toMatchObject({ forgot: true, checkpoint: null })
    for (let index = 1; index <= 9; index += 1) {
      const truncated = { index: index - 1, term: index === 1 ? 0 : 1 }
      await append(log, [entriesItem(1, [entry(index, 1)]), checkpointItem(1, truncated)])
    }
    await log.close()
    expect(files.paths()).not.toContain(FIRST)
    const lines: unknown[] = []
    const logger = { log: (...line: unknown[]) => void lines.push(line) }
    const again = await openLog(files, SEGMENT_BYTES, undefined, logger)
    expect(again.recovered.get(rangeId(2))).toMatchObject({ forgot: true, checkpoint: null })
    expect(lines).toContainEqual(['error', expect.stringContaining('it stays silent'), { range: 2 }])
    await append(again, [tombstoneItem(2, 2)])
    await append(again, [checkpointItem(2, { index: 1, term: 1 }, 2)])
    const anew = await openLog(files, SEGMENT_BYTES)
    expect(anew.recovered.get(rangeId(2))).toMatchObject({ forgot: false, lastIndex: 1 })
  })

  it('says that it forgot where the only record of whose log it is is damaged, and knows it from any other', async () => {
    const first = written.images[0]!
    const at = Buffer.from(first.get(FIRST)!).indexOf('disk')
    const expected = { whole: written.contents[0]! }
    expect(await outcome(flip(first, FIRST, at), expected)).toBe('log forgot')
    const second = Buffer.from(written.images[2]!.get(FIRST)!).indexOf('disk', THIRD_BATCH)
    expect(await outcome(flip(written.images[2]!, FIRST, second), { whole: written.contents[2]! })).toBe('same')
  })

  it('says that it forgot a log that lost all it held, where its number says that it held something', async () => {
    const image = new Map([['log/0000000007.seg', new Uint8Array(SEGMENT_BYTES)]])
    await expect(open(image)).rejects.toThrow(
      /0000000007\.seg at offset 0 holds nothing, though older segments were freed/,
    )
    const first = new Map([[FIRST, new Uint8Array(SEGMENT_BYTES)]])
    expect((await open(first)).contents).toEqual(emptyContents)
  })

  it('never cuts a batch that has a successor, in the same segment or in the next one, whatever sector it lost', async () => {
    for (let sector = 0; sector < 48; sector += 1) {
      const damaged = zeroSector(written.images[3]!, FIRST, sector * SECTOR_BYTES)
      const found = await outcome(damaged, { before: written.contents[2]!, whole })
      expect(found, `sector ${sector}`).toMatch(/^(same|damaged: (\d\/\d,?)+|forgot: \d)$/)
    }
  })

  it('does not cut a damaged batch once what followed it was torn', async () => {
    const at = Buffer.from(written.images[3]!.get(FIRST)!).indexOf('z'.repeat(2000))
    const sector = Math.ceil(at / SECTOR_BYTES) * SECTOR_BYTES
    const damaged = zeroSector(zeroSector(written.images[3]!, FIRST, sector), SECOND, 4096)
    const { files, contents } = await open(damaged)
    expect(contents.ranges.map((range) => range.damaged)).toEqual([[], [2], []])
    expect(contentsOf(await openLog(files, SEGMENT_BYTES))).toEqual(contents)
  })

  it('says that it forgot a batch that vanished whole before a successor, also before one that is torn', async () => {
    const expected = { before: written.contents[2]!, whole }
    const lost = change(written.images[3]!, FIRST, (bytes) => bytes.fill(0, THIRD_BATCH))
    expect(await outcome(lost, expected)).toBe('log forgot')
    expect(await outcome(zeroSector(lost, SECOND, 4096), expected)).toBe('log forgot')
    const without = new Map([...written.images[3]!].filter(([path]) => path !== FIRST))
    expect(await outcome(without, expected)).toMatch('something else')
    const { ranges } = (await open(without)).contents
    expect(ranges.map(({ range, forgot }) => [range, forgot])).toEqual([
      [1, true],
      [4, false],
    ])
  })

  it.each([
    [1, FIRST],
    [3, FIRST],
    [3, SECOND],
  ])('tells what a file cut short at any length has cost (batch %d, %s)', async (last, path) => {
    const image = written.images[last]!
    const end = path === SECOND ? 8192 : last === 1 ? THIRD_BATCH : SEGMENT_BYTES
    for (let length = 0; length <= SEGMENT_BYTES; length += STEP * 3) {
      const short: Image = new Map([...image, [path, image.get(path)!.subarray(0, length)]])
      const found = await outcome(short, { before: written.contents[last - 1]!, whole: written.contents[last]! })
      const isBehind = length >= end + SECTOR_BYTES || (last === 3 && path === FIRST && length >= end)
      if (isBehind) expect(found, `${length} bytes`).toBe('same')
      // With a successor in the next segment nothing is missing behind what is damaged.
      else if (path === FIRST && last === 3)
        expect(found, `${length} bytes`).toMatch(/^(same|damaged|forgot|log forgot)/)
      else expect(found, `${length} bytes`).toBe('log forgot')
    }
  })

  it('mends a file that was cut short behind its last batch', async () => {
    const image = written.images[1]!
    const short = new Map([...image, [FIRST, image.get(FIRST)!.subarray(0, THIRD_BATCH + SECTOR_BYTES)] as const])
    const { files, contents } = await open(short)
    expect(contents).toEqual(written.contents[1])
    expect(files.contents(FIRST)).toHaveLength(SEGMENT_BYTES)
  })
})
