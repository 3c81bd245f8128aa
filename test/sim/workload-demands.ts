/** What a simulated minute's clients are there for, by the names of `SimulationResult.met`: it must come about again and again over the seeds of a full build. */
export const clientsMeet: readonly string[] = [
  'sent again',
  'given up',
  'given up, may have been applied',
  'slept',
  'refused SESSION_EXPIRED',
  'ended CONDITION_FAILED',
  'ended CROSSES_RANGES',
  'ended OUTCOME_UNKNOWN',
]
