import type { HoldfastError } from '../../src/client/index.js'
import { pick } from '../random.js'
import type { Battlefield, Nemesis } from './types.js'

const SPLIT_MS = 2_000
const TRANSFER_MS = 2_000
const TRANSFER_EVERY_MS = 200
/** What else is in force may keep the first from being done. */
const FIRST_TRIES = 5

/** Nothing to heal: ranges stay split. */
const split: Nemesis = {
  name: 'split',
  about: 'a range is cut in two while it is written',
  family: 'ranges',
  whyNot: async () => null,
  strike: async ({ db, failed, splitKey }) => {
    const key = splitKey()
    try {
      const { range } = await db.split(key, { deadlineMs: SPLIT_MS })
      return { what: `split at ${key}: range ${range}`, heal: async () => {} }
    } catch (error) {
      failed(error)
      if (!(error as HoldfastError).mayHaveBeenApplied) return null
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
    let first = await handOn(field)
    for (let tries = 1; first === null && tries < FIRST_TRIES; tries++) {
      await pause()
      first = await handOn(field)
    }
    if (first === null) return null
    let isHealed = false
    const going = (async () => {
      while (!isHealed) {
        await pause()
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

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, TRANSFER_EVERY_MS))
}

/** Which was handed to whom; null: nobody is known who could, or it was refused. */
async function handOn({ db, failed, random }: Battlefield): Promise<string | null> {
  try {
    const { nodes, ranges } = await db.status({ deadlineMs: TRANSFER_MS })
    const isUp = new Set(nodes.filter(({ up }) => up).map(({ id }) => id))
    const possible = ranges.flatMap(({ id, leader, members }) =>
      leader === null
        ? []
        : members
            .filter(({ node, role }) => role === 'voter' && node !== leader && isUp.has(node))
            .map(({ node: to }) => ({ range: id, leader, to })),
    )
    if (possible.length === 0) return null
    const { leader, range, to } = pick(random, possible)
    await db.transfer({ range, to }, { deadlineMs: TRANSFER_MS })
    return `range ${range} from node ${leader} to node ${to}`
  } catch (error) {
    failed(error)
    return null
  }
}

/** What an operator or a balancer does to ranges. */
export const rangeNemeses: readonly Nemesis[] = [split, transfer]
