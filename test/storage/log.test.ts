import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LogIndex } from '../../src/base/ids.js'
import { silentLogger } from '../../src/base/ports.js'
import { openNodeFiles } from '../../src/storage/files-node.js'
import { openNodeLog } from '../../src/storage/log/log.js'
import type { Files, NodeLog } from '../../src/storage/types.js'
import { MemoryFiles } from '../../src/testing/files.js'
import {
  append,
  checkpoint,
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
  seeded,
  text,
  throwing,
} from './log-support.js'

interface Place {
  readonly name: string
  open(): Promise<{ files: Files; dispose(): Promise<void> }>
}

const places: Place[] = [
  {
    name: 'a real directory',
    async open() {
      const directory = await mkdtemp(join(tmpdir(), 'holdfast-log-'))
      const files = await openNodeFiles(directory)
      return {
        files,
        async dispose() {
          await files.close()
          await rm(directory, { recursive: true })
        },
      }
    },
  },
  { name: 'memory', open: async () => ({ files: memoryFiles(), dispose: async () => {} }) },
]

const SEGMENT_BYTES = 32 * 1024

describe.each(places)('the log in $name', ({ open }) => {
  let files: Files
  let dispose: () => Promise<void>

  beforeEach(async () => {
    ;({ files, dispose } = await open())
  })

  afterEach(() => dispose())

  it('begins empty', async () => {
    const log = await openLog(files)
    expect(contentsOf(log)).toEqual(emptyContents)
    expect(log.appendedBytes).toBe(0)
    await log.close()
  })

  it('holds after a restart all that was appended, of several ranges in one batch', async () => {
    const log = await openLog(files)
    await append(log, [
      hardStateItem(1, hardState(3, 2, 0)),
      entriesItem(1, [entry(1, 2), entry(2, 3, '')]),
      entriesItem(2 ** 40, [entry(1, 2 ** 45)]),
      nodeItem({ nextStorage: 17 }),
    ])
    await append(log, [hardStateItem(1, hardState(3, null, 2)), hardStateItem(5, hardState(1, 1, 0))])
    await append(log, [checkpointItem(1, { index: 1, term: 2 })])
    await log.close()
    const again = await openLog(files)
    expect(contentsOf(again)).toMatchObject({
      node: { nextStorage: 17 },
      ranges: [
        {
          range: 1,
          hardState: hardState(3, null, 2),
          checkpoint: checkpoint(1, { index: 1, term: 2 }),
          lastIndex: 2,
          lastTerm: 3,
          lastTimestamp: entry(2, 3).timestamp,
          entries: [{ index: 2, term: 3, kind: 'commands', payload: '' }],
        },
        { range: 5, hardState: hardState(1, 1, 0), checkpoint: null, lastIndex: 0, lastTerm: 0, entries: [] },
        { range: 2 ** 40, hardState: hardState(0, null, 0), checkpoint: null, lastIndex: 1, lastTerm: 2 ** 45 },
      ],
    })
    await again.close()
  })

  it('replaces all of the range from the first index of what is appended, in memory as after a restart', async () => {
    const log = await openLog(files)
    await append(log, [entriesItem(1, [entry(1, 1), entry(2, 1), entry(3, 1), entry(4, 1)])])
    await append(log, [entriesItem(1, [entry(2, 2)])])
    expect(log.reader(rangeId(1)).term(2 as LogIndex)).toBe(2)
    expect(() => log.reader(rangeId(1)).term(3 as LogIndex)).toThrow('does not know the term')
    await append(log, [entriesItem(1, [entry(3, 3)])])
    const expected = ['entry 1 of 1', 'entry 2 of 2', 'entry 3 of 3']
    expect(readAll(log, 1, 1, 3).map(({ payload }) => text(payload))).toEqual(expected)
    await log.close()
    const again = await openLog(files)
    expect(again.recovered.get(rangeId(1))).toMatchObject({ lastIndex: 3, lastTerm: 3 })
    expect(readAll(again, 1, 1, 3).map(({ payload }) => text(payload))).toEqual(expected)
    await again.close()
  })

  it('reads at least one entry, then only up to the bytes asked for', async () => {
    const log = await openLog(files)
    await append(log, [entriesItem(1, [entry(1, 1, 'x'.repeat(100)), entry(2, 1, 'x'.repeat(100)), entry(3, 1)])])
    const reader = log.reader(rangeId(1))
    const read = (bytesMax: number) => reader.entries({ from: 1 as LogIndex, to: 3 as LogIndex, bytesMax }).length
    expect([read(0), read(199), read(200), read(1000)]).toEqual([1, 1, 2, 3])
    await log.close()
  })

  it('gives read payloads memory of their own', async () => {
    const log = await openLog(files)
    await append(log, [entriesItem(1, [entry(1, 1, 'small'), entry(2, 1, 'x'.repeat(9000))])])
    expect(readAll(log, 1, 1, 1)[0]!.payload.buffer.byteLength).toBeLessThan(100)
    await log.close()
  })

  it('knows the term at the truncation point, and none below it', async () => {
    const log = await openLog(files)
    await append(log, [entriesItem(1, [entry(1, 1), entry(2, 1), entry(3, 2)])])
    await append(log, [checkpointItem(1, { index: 2, term: 1 })])
    const reader = log.reader(rangeId(1))
    expect([reader.term(2 as LogIndex), reader.term(3 as LogIndex)]).toEqual([1, 2])
    expect(() => reader.term(1 as LogIndex)).toThrow('does not know the term')
    expect(() => readAll(log, 1, 2, 3)).toThrow('does not hold this entry')
    await log.close()
  })

  it('rolls over segments and keeps every entry readable', async () => {
    const log = await openLog(files, SEGMENT_BYTES)
    for (let index = 1; index <= 40; index += 1) await append(log, [entriesItem(1, [entry(index, 1)])])
    expect(readAll(log, 1, 1, 40)).toHaveLength(40)
    await log.close()
    expect((await files.list('log')).at(-1)).toBe('0000000011.seg')
    const again = await openLog(files, SEGMENT_BYTES)
    expect(readAll(again, 1, 1, 40).map(({ payload }) => text(payload))[39]).toBe('entry 40 of 1')
    await again.close()
  })

  it('frees segments, oldest first, once their entries are truncated or replaced, and carries the rest of the state on', async () => {
    const log = await openLog(files, SEGMENT_BYTES)
    await append(log, [hardStateItem(9, hardState(4, 2, 0)), nodeItem({ nextStorage: 5 })])
    await append(log, [entriesItem(2, [entry(1, 1), entry(2, 1)]), checkpointItem(7, { index: 3, term: 2 })])
    for (let index = 1; index <= 10; index += 1) await append(log, [entriesItem(1, [entry(index, 1)])])
    expect(await files.list('log')).toContain('0000000001.seg')
    await append(log, [checkpointItem(1, { index: 9, term: 1 }), entriesItem(2, [entry(1, 2)])])
    await append(log, [entriesItem(2, [entry(2, 2)])])
    const expected = { nextStorage: 5, ranges: [1, 2, 7, 9] }
    await log.close()
    const names = await files.list('log')
    expect(names).not.toContain('0000000001.seg')
    const again = await openLog(files, SEGMENT_BYTES)
    const found = contentsOf(again)
    expect({ nextStorage: found.node.nextStorage, ranges: found.ranges.map(({ range }) => range) }).toEqual(expected)
    expect(found.ranges[3]).toMatchObject({ hardState: hardState(4, 2, 0) })
    expect(found.ranges[2]).toMatchObject({
      checkpoint: checkpoint(7, { index: 3, term: 2 }),
      lastIndex: 3,
      lastTerm: 2,
    })
    expect(found.ranges[1]!.entries.map(({ payload }) => payload)).toEqual(['entry 1 of 2', 'entry 2 of 2'])
    expect(found.ranges[0]!.entries.map(({ payload }) => payload)).toEqual(['entry 10 of 1'])
    await again.close()
  })

  it('keeps a segment while one live entry is in it, whatever is in later ones', async () => {
    const log = await openLog(files, SEGMENT_BYTES)
    await append(log, [entriesItem(2, [entry(1, 1)])])
    for (let index = 1; index <= 8; index += 1) {
      const truncated = { index: index - 1, term: index === 1 ? 0 : 1 }
      await append(log, [entriesItem(1, [entry(index, 1)]), checkpointItem(1, truncated)])
    }
    expect(readAll(log, 2, 1, 1)).toHaveLength(1)
    await log.close()
    expect(await files.list('log')).toContain('0000000001.seg')
  })

  it('takes a batch that is larger than a segment', async () => {
    const log = await openLog(files, SEGMENT_BYTES)
    const large = 'abc'.repeat(40_000)
    await append(log, [entriesItem(1, [entry(1, 1, large)])])
    await append(log, [entriesItem(1, [entry(2, 1)])])
    await log.close()
    const again = await openLog(files, SEGMENT_BYTES)
    const [first, second] = readAll(again, 1, 1, 2)
    expect(text(first!.payload)).toBe(large)
    expect(text(second!.payload)).toBe('entry 2 of 1')
    await again.close()
  })

  it('goes on after many restarts', async () => {
    for (let index = 1; index <= 12; index += 1) {
      const log = await openLog(files, SEGMENT_BYTES)
      expect(log.recovered.get(rangeId(1))?.lastIndex ?? 0).toBe(index - 1)
      await append(log, [entriesItem(1, [entry(index, index)])])
      await log.close()
    }
  })
})

describe('the log', () => {
  it('acknowledges nothing before its sync, and shows it to no reader', async () => {
    const actions: (() => void)[] = []
    let isHeld = false
    const files = new MemoryFiles({
      random: seeded(1),
      schedule: (_latencyMs, action) => void (isHeld ? actions.push(action) : setImmediate(action)),
    })
    const log = await openLog(files)
    isHeld = true
    let isDone = false
    log.append([entriesItem(1, [entry(1, 1)])], () => {
      isDone = true
    })
    expect(isDone).toBe(false)
    expect(() => readAll(log, 1, 1, 1)).toThrow('does not hold')
    expect(() => log.append([], () => {})).toThrow('busy')
    while (actions.length > 0) actions.shift()!()
    expect(isDone).toBe(true)
    expect(readAll(log, 1, 1, 1)).toHaveLength(1)
  })

  it.each([
    ['EIO', 'cannot write the log log/0000000001.seg: i/o error'],
    ['ENOSPC', 'no space is left on the device (ENOSPC)'],
  ])('ends the process when a write or sync fails with %s', async (code, message) => {
    const files = memoryFiles()
    const reasons: string[] = []
    const died = new Promise<void>((resolve) => {
      void openLog(files, SEGMENT_BYTES, (reason) => {
        reasons.push(reason)
        resolve()
        return undefined as never
      }).then((log) => {
        files.failure = Object.assign(new Error('i/o error'), { code })
        log.append([entriesItem(1, [entry(1, 1)])], () => {})
      })
    })
    await died
    expect(reasons[0]).toContain(message)
  })

  it('makes a batch durable that it finds behind a failed sync, before anyone can act on it', async () => {
    const files = memoryFiles()
    let isDead: (reason: string) => void = () => {}
    const fatal = new Promise<string>((resolve) => {
      isDead = resolve
    })
    const doomed = await openLog(files.mount(), SEGMENT_BYTES, (reason) => isDead(reason) as never)
    files.failure = new Error('i/o error')
    doomed.append([entriesItem(1, [entry(1, 1)])], () => {})
    expect(await fatal).toContain('i/o error')
    files.failure = null
    files.kill()
    const found = contentsOf(await openLog(files.mount(), SEGMENT_BYTES))
    expect(found.ranges[0]).toMatchObject({ lastIndex: 1 })
    files.crash()
    expect(contentsOf(await openLog(files.mount(), SEGMENT_BYTES))).toEqual(found)
  })

  it('ends the process when what a reader needs is damaged on disk', async () => {
    const files = memoryFiles()
    const log = await openLog(files)
    await append(log, [entriesItem(1, [entry(1, 1, 'precious')])])
    const bytes = files.contents('log/0000000001.seg')
    bytes[Buffer.from(bytes.buffer).indexOf('precious')]! ^= 1
    expect(() => readAll(log, 1, 1, 1)).toThrow('the log is damaged: log/0000000001.seg at offset')
  })

  it('reads entries back whole, whatever stands between them', async () => {
    const log = await openLog(memoryFiles(), 512 * 1024)
    const sizes = [10, 3000, 0, 70_000, 5, 5, 300_000, 1]
    const entries = sizes.map((bytes, at) => entry(at + 1, 1, 'r'.repeat(bytes)))
    await append(log, [entriesItem(1, entries.slice(0, 3)), entriesItem(2, [entry(1, 1, 'x'.repeat(5000))])])
    await append(log, [entriesItem(1, entries.slice(3, 6)), entriesItem(1, entries.slice(6))])
    expect(readAll(log, 1, 1, 8)).toEqual(entries)
    expect(readAll(log, 1, 2, 5)).toEqual(entries.slice(1, 5))
  })

  it('tells how long the disk has kept an append waiting', async () => {
    const held: (() => void)[] = []
    let nowMs = 100
    const files = new MemoryFiles({ random: seeded(1), schedule: (_latencyMs, action) => void held.push(action) })
    const clock = { monotonicMs: () => nowMs, setTimer: () => () => {} }
    const release = () => {
      while (held.length > 0) held.shift()!()
    }
    const opening = openNodeLog({ files, segmentBytes: SEGMENT_BYTES, clock, fatal: throwing, logger: silentLogger })
    let log: NodeLog | null = null
    void opening.then((opened) => {
      log = opened
    })
    while (log === null) {
      release()
      await Promise.resolve()
    }
    const opened: NodeLog = log
    expect(opened.oldestUnsyncedMs).toBe(0)
    opened.append([entriesItem(1, [entry(1, 1)])], () => {})
    nowMs = 1350
    expect(opened.oldestUnsyncedMs).toBe(1250)
    release()
    expect(opened.oldestUnsyncedMs).toBe(0)
  })

  it('refuses a gap in a range and a truncation point that goes back', async () => {
    const log = await openLog(memoryFiles())
    await append(log, [entriesItem(1, [entry(1, 1)]), checkpointItem(2, { index: 5, term: 1 })])
    await expect(append(log, [entriesItem(1, [entry(3, 1)])])).rejects.toThrow('a gap in the log of a range')
    const other = await openLog(memoryFiles())
    await append(other, [checkpointItem(2, { index: 5, term: 1 })])
    await expect(append(other, [checkpointItem(2, { index: 4, term: 1 })])).rejects.toThrow('went back')
  })
})
