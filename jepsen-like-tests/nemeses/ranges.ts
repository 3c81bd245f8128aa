import { HoldfastError } from '../../src/client/index.js'
import { pick } from '../random.js'
import type { Battlefield, Nemesis } from './types.js'

const SPLIT_MS = 2_000
const TRANSFER_MS = 2_000
const TRANSFER_EVERY_MS = 200

/** Nothing to heal: ranges stay split. */
const split: Nemesis = {
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

/** One after the other until it is healed: `what` tells the first. */
const transfer: Nemesis = {
  name: 'transfer',
  about: 'the leads of random ranges are handed to random other voters, one after the other',
  family: 'ranges',
  whyNot: async () => null,
  strike: async (field) => {
    const first = await handOn(field)
    if (first === null) return null
    let isHealed = false
    const going = (async () => {
      while (!isHealed) {
        await new Promise((resolve) => setTimeout(resolve, TRANSFER_EVERY_MS))
        if (!isHealed) await handOn(field)
      }
    })()
    // Looked at in heal; a failure before that must not count as unhandled.
    going.catch(() => {})
    return {
      what: `leads handed on, the first that of ${first}`,
      heal: async () => {
        isHealed = true
        await going
      },
    }
  },
}

/** Which was handed to whom; null: nobody knows who leads, or it was refused. */
async function handOn({ db, random }: Battlefield): Promise<string | null> {
  try {
    const { ranges } = await db.status({ deadlineMs: TRANSFER_MS })
    const { id, leader, members } = pick(random, ranges)
    const heirs = members.filter(({ node, role }) => role === 'voter' && node !== leader)
    if (leader === null || heirs.length === 0) return null
    const { node: to } = pick(random, heirs)
    await db.transfer({ range: id, to }, { deadlineMs: TRANSFER_MS })
    return `range ${id} from node ${leader} to node ${to}`
  } catch (error) {
    if (error instanceof HoldfastError) return null
    throw error
  }
}

/** What an operator or a balancer does to ranges. */
export const rangeNemeses: readonly Nemesis[] = [split, transfer]
