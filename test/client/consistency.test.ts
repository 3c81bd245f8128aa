import { describe, expect, it } from 'vitest'
import { type ConsistencyOptions, weakReadOf } from '../../src/client/consistency.js'

describe('the consistency of a read', () => {
  it('is linearizable unless named otherwise', () => {
    expect(weakReadOf({})).toBeUndefined()
    expect(weakReadOf({ consistency: 'linearizable' })).toBeUndefined()
    expect(weakReadOf({ consistency: 'leaderLease' })).toEqual({ kind: 'leaderLease' })
    expect(weakReadOf({ consistency: 'follower' })).toEqual({ kind: 'follower' })
    expect(weakReadOf({ consistency: 'stale', maxStaleMs: 0 })).toEqual({ kind: 'stale', maxStaleMs: 0 })
  })

  it.each([
    [
      { consistency: 'eventual' },
      'consistency is "eventual"; expected one of linearizable, leaderLease, follower, stale',
    ],
    [{ consistency: 'stale' }, 'maxStaleMs is undefined; a stale read needs whole milliseconds, 0 or more'],
    [{ consistency: 'stale', maxStaleMs: -1 }, 'maxStaleMs is -1;'],
    [{ consistency: 'stale', maxStaleMs: 1.5 }, 'maxStaleMs is 1.5;'],
    [{ maxStaleMs: 5 }, "maxStaleMs is 5, but consistency is 'linearizable'; expected it with 'stale' only"],
  ])('refuses %o by name', (options, message) => {
    expect(() => weakReadOf(options as ConsistencyOptions)).toThrow(message)
  })
})
