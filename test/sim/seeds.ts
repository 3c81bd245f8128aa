/** Runs of every full build: short enough for two cores, and each must count. */
export const fixed: readonly number[] = Array.from({ length: 300 }, (_, at) => 1 + at)

/** Run twice each, to see that nothing but the seed decides. */
export const twice: readonly number[] = Array.from({ length: 20 }, (_, at) => 2_001 + at)

/** Runs of `npm test` on its own. */
export const few: readonly number[] = fixed.slice(0, 8)
