import { describe, expect, it } from 'vitest'
import { silentLogger } from '../../src/base/ports.js'
import { openNodeLog } from '../../src/storage/log/log.js'
import type { LogItem, NodeLog } from '../../src/storage/types.js'
import type { MemoryFiles } from '../../src/testing/files.js'
import {
  append,
  checkpointItem,
  contentsOf,
  entriesItem,
  entry,
  hardState,
  hardStateItem,
  memoryFiles,
  openLog,
  rangeId,
  readAll,
  text,
  throwing,
} from './log-support.js'

const SEGMENT_BYTES = 64 * 1024

/** A log whose retries wait for `retry`. */
async function openWithTimers(files: MemoryFiles): Promise<{ log: NodeLog; retry(): void; delays: number[] }> {
  let pending: (() => void) | null = null
  const delays: number[] = []
  const clock = {
    monotonicMs: () => 0,
    setTimer(delayMs: number, action: () => void) {
      delays.push(delayMs)
      pending = action
      return () => {
        pending = null
      }
    },
  }
  const log = await openNodeLog({ files, segmentBytes: SEGMENT_BYTES, clock, fatal: throwing, logger: silentLogger })
  const retry = () => {
    const action = pending
    pending = null
    action!()
  }
  return { log, retry, delays }
}

const later = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)))

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await later()
}

describe('a log whose disk has no room', () => {
  it('says so as soon as the spare segment cannot be made, goes on in the present one, asks each second, and heals', async () => {
    const files = memoryFiles()
    const { log, retry, delays } = await openWithTimers(files)
    let spaceTold = 0
    log.whenSpace(() => {
      spaceTold += 1
    })
    expect(spaceTold).toBe(1)
    files.isFull = true
    await append(log, [entriesItem(1, [entry(1, 1)])])
    await until(() => log.isFull)
    log.whenSpace(() => {
      spaceTold += 1
    })
    await append(log, [hardStateItem(1, hardState(2, 1, 0)), entriesItem(1, [entry(2, 2)])])
    retry()
    await until(() => delays.length === 2)
    expect(delays).toEqual([1000, 1000])
    expect([log.isFull, spaceTold]).toEqual([true, 1])
    files.isFull = false
    retry()
    await until(() => !log.isFull)
    expect(spaceTold).toBe(2)
    expect(files.paths()).toHaveLength(2)
    await log.close()
    expect(contentsOf(await openLog(files, SEGMENT_BYTES)).ranges[0]).toMatchObject({ lastIndex: 2, lastTerm: 2 })
  })

  it('acknowledges nothing that has no room in the present segment until there is room, and then goes on with it', async () => {
    const files = memoryFiles()
    const { log, retry } = await openWithTimers(files)
    files.isFull = true
    let done = 0
    const large = (index: number) => [entriesItem(1, [entry(index, 1, 'x'.repeat(30_000))])]
    await append(log, large(1))
    await until(() => log.isFull)
    log.append(large(2), () => {
      done += 1
    })
    await later()
    expect(done).toBe(0)
    files.isFull = false
    retry()
    await until(() => done === 1)
    expect(readAll(log, 1, 1, 2)).toHaveLength(2)
    await log.close()
    expect(contentsOf(await openLog(files, SEGMENT_BYTES)).ranges[0]).toMatchObject({ lastIndex: 2 })
  })

  it('opens', async () => {
    const files = memoryFiles()
    const before = await openLog(files, SEGMENT_BYTES)
    await append(before, [entriesItem(1, [entry(1, 1)])])
    await before.close()
    for (const path of files.paths().slice(1)) await files.remove(path)
    files.isFull = true
    const { log } = await openWithTimers(files)
    await append(log, [entriesItem(1, [entry(2, 1)])])
    await until(() => log.isFull)
    expect(readAll(log, 1, 1, 2)).toHaveLength(2)
  })

  it('ends the process where a segment cannot be made for another reason', async () => {
    const files = memoryFiles()
    const reasons: string[] = []
    const log = await openLog(files, SEGMENT_BYTES, (reason) => {
      reasons.push(reason)
      return undefined as never
    })
    files.failure = Object.assign(new Error('i/o error'), { code: 'EIO' })
    log.append([entriesItem(1, [entry(1, 1)])], () => {})
    await until(() => reasons.length > 1)
    expect(reasons[1]).toContain('cannot make the log segment log/0000000002.seg: i/o error')
  })
})

describe('the segments of a log', () => {
  const RANGES = 1000
  const BUSY = 10

  it('stay bounded where 990 of 1,000 ranges are quiet and cannot be truncated', async () => {
    const files = memoryFiles(1, queueMicrotask)
    const segmentBytes = 256 * 1024
    const log = await openLog(files, segmentBytes)
    const quiet = (range: number) => [entry(1, 1, `a${range}`), entry(2, 2, `b${range}`)]
    const born: LogItem[] = []
    for (let range = 1; range <= RANGES; range += 1) {
      born.push(hardStateItem(range, hardState(2, 1, 1)), checkpointItem(range, { index: 0, term: 0 }))
      if (range > BUSY) born.push(entriesItem(range, quiet(range)))
    }
    await append(log, born)
    const live = RANGES * 2 * (44 + 5)
    let worst = 0
    for (let round = 1; round <= 2000; round += 1) {
      const items: LogItem[] = []
      for (let range = 1; range <= BUSY; range += 1) {
        items.push(entriesItem(range, [entry(round, 2, 'x'.repeat(1500))]))
        if (round % 16 === 0) items.push(checkpointItem(range, { index: round - 8, term: 2 }))
      }
      await append(log, items)
      worst = Math.max(worst, log.diskBytes)
    }
    // A head of 1,000 ranges is larger than such a segment, so segments grow to hold it.
    const segmentMax = 4 * 1024 * 1024
    expect(log.appendedBytes).toBeGreaterThan(30 * 1024 * 1024)
    expect(worst).toBeLessThan(4 * segmentBytes + 4 * live + 3 * segmentMax)
    await log.close()
    const again = await openLog(files, segmentBytes)
    for (let range = BUSY + 1; range <= RANGES; range += 1) {
      expect(readAll(again, range, 1, 2).map(({ payload }) => text(payload))).toEqual([`a${range}`, `b${range}`])
      expect(again.recovered.get(rangeId(range))).toMatchObject({ hardState: hardState(2, 1, 1), lastIndex: 2 })
    }
    expect(again.recovered.get(rangeId(1))).toMatchObject({ lastIndex: 2000, forgot: false })
  })
})
