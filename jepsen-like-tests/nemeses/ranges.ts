import { HoldfastError } from '../../src/client/index.js'
import type { Nemesis } from './types.js'

const SPLIT_MS = 2_000

/** Nothing to heal: ranges stay split. */
export const split: Nemesis = {
  name: 'split',
  about: 'a range is cut in two while it is written',
  family: 'ranges',
  whyNot: async () => null,
  strike: async ({ db, splitKey }) => {
    const key = splitKey()
    try {
      const { range } = await db.split(key, { deadlineMs: SPLIT_MS })
      return { what: `split at ${key}: range ${range}`, heal: async () => {} }
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error
      if (!error.mayHaveBeenApplied) return null
      return { what: `split at ${key}, outcome unknown`, heal: async () => {} }
    }
  },
}
