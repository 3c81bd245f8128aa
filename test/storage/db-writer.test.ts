import { expect, it } from 'vitest'
import { silentLogger } from '../../src/base/ports.js'
import { DbWriter } from '../../src/storage/state/db-writer.js'
import { ReadBarrier } from '../../src/storage/state/read-barrier.js'
import type { StateDb } from '../../src/storage/types.js'
import { Steps } from './steps.js'

type Done = (error: Error | null) => void

it('what is done behind a write that found the disk full counts only once it was done again', () => {
  const steps = new Steps()
  const writer = new DbWriter({
    db: { reopen: (done: Done) => done(null) } as unknown as StateDb,
    barrier: new ReadBarrier(),
    clock: steps.clock,
    fatal: (reason) => {
      throw new Error(reason)
    },
    logger: silentLogger,
  })
  const open: { what: string; done: Done }[] = []
  const ended: string[] = []
  const attempt = (what: string) =>
    writer.attempt({ alone: false, write: (done) => open.push({ what, done }), done: () => ended.push(what) })
  const answer = (error: Error | null) => open.shift()!.done(error)
  attempt('batch')
  attempt('sync')
  answer(Object.assign(new Error('full'), { code: 'ENOSPC' }))
  // Its marker may stand behind half a record of the batch, where the next opening does not find it.
  answer(null)
  expect([ended, writer.isFull]).toEqual([[], true])
  steps.runAll()
  expect(open.map(({ what }) => what)).toEqual(['batch', 'sync'])
  answer(null)
  answer(null)
  expect([ended, writer.isFull]).toEqual([['batch', 'sync'], false])
})
