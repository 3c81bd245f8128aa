/** Runs of every build. A seed that once failed stands by name with its reason. */
export const seeds: readonly number[] = [
  // A reverse scan read a range at the version of the range beside it.
  4,
  6,
  ...Array.from({ length: 38 }, (_, at) => 1_001 + at),
]

/** Run twice each, to see that nothing but the seed decides. */
export const twice: readonly number[] = Array.from({ length: 6 }, (_, at) => 2_001 + at)
