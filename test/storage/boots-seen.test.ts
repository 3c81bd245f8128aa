import { describe, expect, it } from 'vitest'
import type { BootId, NodeId } from '../../src/base/ids.js'
import { type Logger, silentLogger } from '../../src/base/ports.js'
import { BootsSeen, type Claim } from '../../src/storage/boots-seen.js'
import type { Files } from '../../src/storage/types.js'
import { FakeClock } from '../client/fake-clock.js'
import { eventually } from '../eventually.js'
import { memoryFiles } from './log-support.js'

/** A node whose history is these boots, each written down in the batch of its number; the last is the present one. */
function claim(
  boots: readonly number[],
  rejoins: readonly number[] = [],
  node = 2,
  batches = boots.map((boot) => boot * 10),
): Claim {
  const history = { boots: boots as BootId[], batches, rejoins: rejoins as BootId[] }
  return { node: node as NodeId, boot: history.boots.at(-1)!, history }
}

const opened = (files: Files, logger: Logger = silentLogger, clock = new FakeClock()) =>
  BootsSeen.open(files, { clock, logger, writeEveryMs: 1_000 })
const NODE = 2 as NodeId
const BOOT = 8 as BootId
/** The log of an old copy of its directory ends before what it told of. */
const rolledBack = { code: 'NOT_PERMITTED', message: expect.stringContaining('with a log that reached batch') }
const keptOut = { code: 'NOT_PERMITTED', message: expect.stringContaining('node 2 was seen here in a start that') }

describe('the boots that were seen of other nodes', () => {
  it('a node that goes on from what was seen of it is taken, also after starts that nobody here saw', async () => {
    const seen = await opened(memoryFiles())
    await seen.admit(claim([1]))
    await seen.admit(claim([1]))
    await seen.admit(claim([1, 2, 3]))
  })

  it('one whose history lacks the boot that was seen last is kept out: rolled back, or a directory of another', async () => {
    const seen = await opened(memoryFiles())
    await seen.admit(claim([1, 2, 3]))
    await expect(seen.admit(claim([1, 2]))).rejects.toMatchObject(keptOut)
    await expect(seen.admit(claim([1, 2, 9]))).rejects.toMatchObject(keptOut)
    await expect(seen.admit(claim([7]))).rejects.toMatchObject(keptOut)
    await seen.admit(claim([7], [], 3))
    await seen.admit(claim([1, 2, 3, 4]))
  })

  it('being refused teaches nothing: the same one is refused again after its next start', async () => {
    const files = memoryFiles()
    const seen = await opened(files)
    await seen.admit(claim([1, 2]))
    await expect(seen.admit(claim([1, 9]))).rejects.toMatchObject(keptOut)
    await expect(seen.admit(claim([1, 9, 10]))).rejects.toMatchObject(keptOut)
  })

  it('one that rejoined is taken, once per mark: an older copy with a mark that is known is kept out', async () => {
    const seen = await opened(memoryFiles())
    await seen.admit(claim([1, 2, 3]))
    await seen.admit(claim([1, 4], [100]))
    await seen.admit(claim([1, 4, 5], [100]))
    await expect(seen.admit(claim([1, 6], [100]))).rejects.toMatchObject(keptOut)
    await seen.admit(claim([1, 7], [100, 200]))
    await expect(seen.admit(claim([1, 8], [200]))).rejects.toMatchObject(keptOut)
    await expect(seen.admit(claim([1, 8], [100]))).rejects.toMatchObject(keptOut)
  })

  it('a start whose log ends before what an earlier one told of is kept out, although the history is whole', async () => {
    const seen = await opened(memoryFiles())
    await seen.admit(claim([7, 8], [], 2, [1, 50]))
    seen.heard({ node: NODE, boot: BOOT, batch: 70 })
    seen.heard({ node: NODE, boot: BOOT, batch: 60 })
    // Its sessions begin anew: what they told of since may have come first.
    await seen.admit(claim([7, 8], [], 2, [1, 50]))
    for (const batch of [51, 69, 70]) {
      await expect(seen.admit(claim([7, 8, 9], [], 2, [1, 50, batch]))).rejects.toMatchObject(rolledBack)
    }
    await seen.admit(claim([7, 8, 9], [], 2, [1, 50, 71]))
    await expect(seen.admit(claim([7, 8, 9, 10], [], 2, [1, 50, 71, 71]))).rejects.toMatchObject(rolledBack)
    await seen.admit(claim([7, 8, 9, 10], [], 2, [1, 50, 71, 72]))
  })

  it('an old copy is refused however often it is started: each start takes a batch', async () => {
    const seen = await opened(memoryFiles())
    await seen.admit(claim([8], [], 2, [50]))
    seen.heard({ node: NODE, boot: BOOT, batch: 60 })
    for (let starts = 1; starts <= 20; starts++) {
      const later = Array.from({ length: starts }, (_, i) => i + 1)
      const batches = [50, ...later.map((each) => 50 + each)]
      await expect(seen.admit(claim([8, ...later.map((each) => 100 + each)], [], 2, batches))).rejects.toMatchObject(
        rolledBack,
      )
    }
  })

  it('what another boot told of, or a node that nobody knows, counts for nothing', async () => {
    const seen = await opened(memoryFiles())
    seen.heard({ node: NODE, boot: BOOT, batch: 70 })
    await seen.admit(claim([7, 8], [], 2, [1, 50]))
    seen.heard({ node: NODE, boot: 7 as BootId, batch: 70 })
    await seen.admit(claim([7, 8, 9], [], 2, [1, 50, 51]))
  })

  it('a log that was begun anew is counted from one: a new mark tells it from an old copy', async () => {
    const seen = await opened(memoryFiles())
    await seen.admit(claim([7, 8], [], 2, [1, 50]))
    seen.heard({ node: NODE, boot: BOOT, batch: 70 })
    await expect(seen.admit(claim([7, 8, 9], [], 2, [1, 50, 1]))).rejects.toMatchObject(rolledBack)
    await seen.admit(claim([7, 8, 9], [9], 2, [1, 50, 1]))
    await expect(seen.admit(claim([7, 8, 9, 10], [9], 2, [1, 50, 1, 1]))).rejects.toMatchObject(rolledBack)
    await seen.admit(claim([7, 8, 9, 10], [9], 2, [1, 50, 1, 2]))
  })

  it('how far a log reached is written down before long, once for all that was heard until then, and at the end', async () => {
    const files = memoryFiles()
    const clock = new FakeClock()
    const seen = await opened(files, silentLogger, clock)
    await seen.admit(claim([7, 8], [], 2, [1, 50]))
    const writtenBatch = async () =>
      JSON.parse(Buffer.from((await files.read('peers.json'))!).toString()).peers[0].batch
    seen.heard({ node: NODE, boot: BOOT, batch: 60 })
    clock.advance(999)
    seen.heard({ node: NODE, boot: BOOT, batch: 70 })
    expect(await writtenBatch()).toBe(50)
    clock.advance(1)
    await eventually(async () => (await writtenBatch()) === 70)
    seen.heard({ node: NODE, boot: BOOT, batch: 80 })
    await seen.close()
    files.crash()
    await expect((await opened(files)).admit(claim([7, 8, 9], [], 2, [1, 50, 80]))).rejects.toMatchObject(rolledBack)
  })

  it('is durable before the boot is taken', async () => {
    const files = memoryFiles()
    await (await opened(files)).admit(claim([1, 2], [5]))
    files.crash()
    const again = await opened(files)
    await expect(again.admit(claim([1], [5]))).rejects.toMatchObject(keptOut)
    await again.admit(claim([1, 2, 3], [5]))
  })

  it('a boot that could not be written down is not taken, and is tried again', async () => {
    const files = memoryFiles()
    let isFull = true
    const failing: Files = Object.assign(Object.create(files) as Files, {
      replace: async (path: string, bytes: Uint8Array) => {
        if (isFull) throw new Error('no space')
        await files.replace(path, bytes)
      },
      read: (path: string) => files.read(path),
    })
    const seen = await opened(failing)
    await expect(seen.admit(claim([1]))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await expect(seen.admit(claim([1]))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    isFull = false
    await seen.admit(claim([1]))
    await expect((await opened(files)).admit(claim([9]))).rejects.toMatchObject(keptOut)
  })

  it('several at once are all written, the newest picture last', async () => {
    const files = memoryFiles()
    const seen = await opened(files)
    await Promise.all([2, 3, 4].map((node) => seen.admit(claim([node * 10], [], node))))
    files.crash()
    const again = await opened(files)
    for (const node of [2, 3, 4])
      await expect(again.admit(claim([1], [], node))).rejects.toThrow(`node ${node} was seen`)
  })

  it('a damaged file is told and begun anew', async () => {
    const files = memoryFiles()
    await (await opened(files)).admit(claim([1, 2]))
    const bytes = (await files.read('peers.json'))!.slice()
    bytes[bytes.indexOf('2'.charCodeAt(0))]! ^= 1
    files.put('peers.json', bytes)
    const lines: string[] = []
    const again = await opened(files, { log: (level, message) => lines.push(`${level}: ${message}`) })
    expect(lines).toEqual([expect.stringContaining('warn: peers.json is damaged and begun anew')])
    await again.admit(claim([9]))
  })
})
