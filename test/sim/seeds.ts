/** So many runs of every full build must count, short enough for two cores. */
export const COUNTED = 300

/** Some more than must count: in which too little happens depends on all that is drawn. */
export const fixed: readonly number[] = Array.from({ length: COUNTED + 10 }, (_, at) => 1 + at)

/** Run twice each, to see that nothing but the seed decides. */
export const twice: readonly number[] = Array.from({ length: 20 }, (_, at) => 2_001 + at)

/** Runs of the tests: a full build runs the whole list beside them. */
export const few: readonly number[] = fixed.slice(0, 3)
