import { describe, expect, it } from 'vitest'
import type { LogIndex } from '../../src/base/ids.js'
import {
  append,
  checkpointItem,
  contentsOf,
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

const SEGMENT_BYTES = 32 * 1024

describe('what stands in the log', () => {
  it('drops all of a range with its tombstone, remembers that for ever, and lets only a newer replica begin it anew', async () => {
    const files = memoryFiles()
    const log = await openLog(files, SEGMENT_BYTES)
    await append(log, [hardStateItem(2, hardState(3, 1, 1)), entriesItem(2, [entry(1, 1), entry(2, 3)])])
    await append(log, [checkpointItem(2, { index: 1, term: 1 }), tombstoneItem(2, 4), tombstoneItem(3, 2)])
    expect(log.tombstones.get(rangeId(2))).toBe(4)
    expect(() => readAll(log, 2, 2, 2)).toThrow('does not hold')
    for (let index = 1; index <= 12; index += 1) {
      await append(log, [entriesItem(1, [entry(index, 1)]), checkpointItem(1, { index, term: 1 })])
    }
    await log.close()
    expect(files.paths()).not.toContain('log/0000000001.seg')
    const again = await openLog(files, SEGMENT_BYTES)
    expect([...again.tombstones]).toEqual([
      [2, 4],
      [3, 2],
    ])
    expect([...again.recovered.keys()]).toEqual([1])
    await expect(append(again, [checkpointItem(2, { index: 7, term: 5 }, 3)])).rejects.toThrow('below its tombstone')
    await append(again, [checkpointItem(2, { index: 7, term: 5 }, 4)])
    await append(again, [entriesItem(2, [entry(8, 5)])])
    const anew = await openLog(files, SEGMENT_BYTES)
    expect(anew.tombstones.get(rangeId(2))).toBe(4)
    expect(anew.recovered.get(rangeId(2))).toMatchObject({ hardState: hardState(0, null, 0), lastIndex: 8 })
  })

  it('keeps entries behind a truncation point only where they follow it', async () => {
    const files = memoryFiles()
    const log = await openLog(files)
    const three = [entry(1, 1), entry(2, 1), entry(3, 1)]
    await append(
      log,
      [1, 2, 3].map((range) => entriesItem(range, three)),
    )
    await append(log, [
      checkpointItem(1, { index: 2, term: 1 }),
      checkpointItem(2, { index: 2, term: 4 }),
      checkpointItem(3, { index: 9, term: 4 }),
    ])
    await append(log, [entriesItem(3, [entry(10, 4)])])
    const expected = [
      { lastIndex: 3, lastTerm: 1 },
      { lastIndex: 2, lastTerm: 4 },
      { lastIndex: 10, lastTerm: 4 },
    ]
    expect(log.reader(rangeId(2)).term(2 as LogIndex)).toBe(4)
    expect(() => readAll(log, 2, 3, 3)).toThrow('does not hold')
    expect(contentsOf(await openLog(files)).ranges).toMatchObject(expected)
  })

  it('does not bring entries back that an installed snapshot cut, once the segment is gone that held those before them', async () => {
    const files = memoryFiles()
    const log = await openLog(files, SEGMENT_BYTES)
    await append(log, [checkpointItem(1, { index: 3, term: 1 }), entriesItem(1, [entry(4, 1), entry(5, 1)])])
    // 6 and 7 come to stand in the second segment, with an entry of another range that keeps it.
    await append(log, [entriesItem(9, [entry(1, 1, 'x'.repeat(20_000))])])
    await append(log, [entriesItem(1, [entry(6, 1), entry(7, 1)]), entriesItem(8, [entry(1, 1)])])
    await append(log, [checkpointItem(1, { index: 5, term: 2 }), checkpointItem(9, { index: 1, term: 1 })])
    await log.close()
    expect(files.paths()[0]).toBe('log/0000000002.seg')
    const again = await openLog(files, SEGMENT_BYTES)
    expect(again.recovered.get(rangeId(1))).toMatchObject({ lastIndex: 5, lastTerm: 2, forgot: false })
  })

  it('tells where configurations stand, through replacement, truncation and restart', async () => {
    const files = memoryFiles()
    const log = await openLog(files)
    const configuration = (index: number, term: number) => ({ ...entry(index, term), kind: 'configuration' as const })
    await append(log, [entriesItem(1, [entry(1, 1), configuration(2, 1), entry(3, 1), configuration(4, 1)])])
    await append(log, [entriesItem(1, [entry(4, 2), configuration(5, 2)])])
    expect(log.configurations(rangeId(1))).toEqual([2, 5])
    expect((await openLog(files)).recovered.get(rangeId(1))!.configurations).toEqual([2, 5])
    await append(log, [checkpointItem(1, { index: 3, term: 1 })])
    expect(log.configurations(rangeId(1))).toEqual([5])
    expect((await openLog(files)).recovered.get(rangeId(1))!.configurations).toEqual([5])
    expect(log.configurations(rangeId(2))).toEqual([])
  })

  it('keeps the latest of what it knows of the node itself', async () => {
    const files = memoryFiles()
    const log = await openLog(files)
    await append(log, [nodeItem({ nextStorage: 4, disk: 'a token', boot: 1 })])
    await append(log, [nodeItem({ nextStorage: 5, disk: 'a token', boot: 2, stateMarker: 2 ** 40 })])
    const expected = { nextStorage: 5, disk: 'a token', boot: 2, stateMarker: 2 ** 40 }
    expect(log.node).toEqual(expected)
    expect((await openLog(files)).node).toEqual(expected)
  })
})
