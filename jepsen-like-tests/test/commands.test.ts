import { afterEach, describe, expect, it } from 'vitest'
import { Scope } from '../command.js'
import { noLoopDisks } from '../faults/loop-disk.js'
import { eventually } from '../processes.js'
import { seeded } from '../random.js'
import { PowercutRun } from '../runs/powercut.js'
import { RetryStorm } from '../runs/retry-storm.js'

let scope = new Scope()
afterEach(async () => {
  await scope.close()
  scope = new Scope()
})

const noDisks = await noLoopDisks()

describe('what the black-box commands do, in short', () => {
  it('while one reply in five is lost, nothing is lost or doubled', async () => {
    const storm = await RetryStorm.begin({ scope, random: seeded(1), callers: 32, percent: 20 })
    storm.start()
    for (let last = 0; last < 100; last = storm.dropped)
      await eventually('one more lost reply', 60_000, async () => storm.dropped > last || null)
    await storm.finish()
    expect(storm.violations).toEqual([])
  })

  it.skipIf(noDisks !== null)(
    `after the power of one node and of all was cut, all that was acknowledged is there${noDisks === null ? '' : ` (${noDisks})`}`,
    async () => {
      const run = await PowercutRun.begin({ scope, mebibytes: 512, random: seeded(1) })
      await run.cycle(1, 1)
      await run.cycle(2, 3)
      await run.finish()
      expect(run.violations).toEqual([])
    },
  )
})
