import { expect, it } from 'vitest'
import { type Holdfast, HoldfastError } from '../../src/client/index.js'
import { rangeNemeses } from '../nemeses/ranges.js'
import { choose } from '../nemeses/targets.js'
import type { Battlefield } from '../nemeses/types.js'

const refused = new HoldfastError('INTERNAL', 'a contradiction', { mayHaveBeenApplied: false })
const reject = (): Promise<never> => Promise.reject(refused)

it('an answer to a call of a nemesis that says INTERNAL is told', async () => {
  const told: unknown[] = []
  const db = { split: reject, status: reject } as unknown as Holdfast
  const cluster = { nodes: [], busiest: reject }
  const failed = (error: unknown): void => void told.push(error)
  const field = { cluster, db, failed, random: () => 0, splitKey: () => 'm' } as unknown as Battlefield
  for (const nemesis of rangeNemeses) {
    told.length = 0
    expect(await nemesis.strike(field), nemesis.name).toBe(null)
    expect(new Set(told), nemesis.name).toEqual(new Set([refused]))
  }
  told.length = 0
  expect(await choose(field, 'leader')).toBe(null)
  expect(told).toEqual([refused])
})
