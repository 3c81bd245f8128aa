import { isComplete } from './volume.js'

const AT_LEAST = 1_000

/** Time-out of a property test whose full volume takes minutes on a slow machine. */
export const PROPERTY_MS_MAX = 900_000

/**
 * Parameters of a property test: `runs` of them, and at least 1,000 where the full volume is asked for (HOLDFAST_CI=1). The seed is fixed,
 * so that no build fails by chance; HOLDFAST_SEED=N looks elsewhere. fast-check names seed and path in every failure.
 */
export function times(runs: number, seed: number): { readonly numRuns: number; readonly seed: number } {
  const { HOLDFAST_SEED } = process.env
  const numRuns = isComplete ? Math.max(runs, AT_LEAST) : runs
  return { numRuns, seed: HOLDFAST_SEED === undefined ? seed : Number(HOLDFAST_SEED) }
}
