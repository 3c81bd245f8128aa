import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { churn } from '../../bench/lib/churn.js'
import { isComplete } from '../volume.js'

const BATCHES = isComplete ? 100_000 : 10_000

/** The deletes' rule by itself is in state-collect.test.ts; three million batches: node dist/bench/churn.js. */
test(`${BATCHES} batches, collected while reads are open all the time, lose no key and bring none back`, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-churn-'))
  try {
    const checks: { batches: number; collected: number; reads: number }[] = []
    const lost = await churn({
      directory: join(directory, 'state'),
      batches: BATCHES,
      keys: 1_000,
      writeBufferBytes: 1024 * 1024,
      checkEvery: 5_000,
      onCheck: (checked) => checks.push(checked),
    })
    expect(lost).toBe(0)
    const last = checks.at(-1)!
    expect(last.batches).toBe(BATCHES)
    // It proves nothing unless there was something to collect and to read. How much depends on how fast the machine collects beside the writes.
    expect(last.collected).toBeGreaterThan(BATCHES / 20)
    expect(last.reads).toBeGreaterThan(100)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})
