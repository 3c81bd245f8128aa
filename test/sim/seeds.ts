/** Runs of every build. A seed that once failed stands by name with its reason. */
export const seeds: readonly number[] = [
  // A reverse scan read a range at the version of the range beside it.
  4,
  6,
  // A learner was replaced while it was being placed; it held a state, so it never heard of it, and its node took no other in.
  6_240,
  // The word that a snapshot was installed got lost, and with it a minute; a replica just placed was named to clients.
  6_022,
  6_038,
  ...Array.from({ length: 5 }, (_, at) => 1_001 + at),
]

/** Run twice each, to see that nothing but the seed decides. */
export const twice: readonly number[] = Array.from({ length: 6 }, (_, at) => 2_001 + at)
