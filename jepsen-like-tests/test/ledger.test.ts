import { describe, expect, it } from 'vitest'
import { type Holdfast, HoldfastError } from '../../src/client/index.js'
import { Ledger, valueFor } from '../ledger.js'

const BYTES = 32
const ok = { put: async () => ({ version: 1 }) } as unknown as Holdfast
const failing = (code: 'OUTCOME_UNKNOWN' | 'UNAVAILABLE') =>
  ({
    put: async () => {
      throw new HoldfastError(code, 'as the test wants it')
    },
  }) as unknown as Holdfast

async function* rows(...keys: string[]) {
  for (const key of keys) yield { key, value: valueFor(key, BYTES) as unknown }
}

describe('the ledger', () => {
  it('finds what is missing, wrong and unexpected, and nothing else', async () => {
    const ledger = new Ledger(BYTES)
    for (const key of ['w/1', 'w/2', 'w/3', 'x/1']) await ledger.write(ok, key)
    await ledger.write(failing('OUTCOME_UNKNOWN'), 'w/4')
    await ledger.write(failing('UNAVAILABLE'), 'w/5')
    expect(await ledger.check(rows('w/1', 'w/2', 'w/3'), 'w/')).toEqual([])
    expect(await ledger.check(rows('w/1', 'w/2', 'w/3', 'w/4'), 'w/')).toEqual([])
    expect(await ledger.check(rows('w/1', 'w/3', 'w/5'), 'w/')).toEqual(['unexpected: w/5', 'missing: w/2'])
    async function* damaged() {
      yield* rows('w/1', 'w/2')
      yield { key: 'w/3', value: valueFor('w/2', BYTES) as unknown }
    }
    expect(await ledger.check(damaged(), 'w/')).toEqual([expect.stringContaining('wrong value: w/3')])
    expect(ledger.refused).toBe(1)
  })

  it('allows a counter what may have been done, and no more', async () => {
    const ledger = new Ledger(BYTES)
    let stands = 0
    const counting = { getEntry: async () => undefined, get: async () => stands, put: async () => ({ version: 1 }) }
    await ledger.increment(counting as unknown as Holdfast, 'c')
    const unknown = { ...counting, put: failing('OUTCOME_UNKNOWN').put }
    await ledger.increment(unknown as unknown as Holdfast, 'c')
    const verdicts: number[] = []
    for (stands = 0; stands < 4; stands++)
      verdicts.push((await ledger.checkCounters(counting as unknown as Holdfast)).length)
    expect(verdicts).toEqual([1, 0, 0, 1])
  })
})
