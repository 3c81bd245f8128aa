import type { Holdfast } from '../../src/client/index.js'
import { KeySample } from '../sampling.js'

const META_RANGES = 1
/** Fewer keys per range than this say nothing about where the next ones will lie. */
const KEYS_PER_RANGE_MIN = 50
const KEYS_READ_MAX = 20_000

/**
 * `dev --ranges N`: an empty cluster has nothing to be cut by (even cuts of the byte space would put everything into one
 * range), so this looks until there are keys enough, then splits. Resolves to the number of splits made, or null: not yet.
 */
export async function splitByData(db: Holdfast, ranges: number): Promise<number | null> {
  const present = (await db.ranges()).length - META_RANGES
  if (present >= ranges) return 0
  const sample = new KeySample()
  let keys = 0
  for (const namespace of ['raw', 'tuple'] as const) {
    for await (const { key } of db.scan({ namespace, keysOnly: true, limit: KEYS_READ_MAX })) {
      sample.add(key)
      keys += 1
    }
  }
  if (keys < ranges * KEYS_PER_RANGE_MIN) return null
  const cuts = sample.cuts(ranges).slice(0, ranges - present)
  for (const cut of cuts) await db.split(cut)
  return cuts.length
}
