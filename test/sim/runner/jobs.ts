import type { CoverageTable } from '../../../src/testing/coverage.js'
import type { Cell } from '../../../src/testing/directed.js'
import type { FaultPlan } from '../../../src/testing/fault-plan.js'

/** One seed to run. Plain data: it goes to a worker process. */
export interface Job {
  readonly seed: number
  /** A directed scenario instead: this fault is to take effect in this phase, with the seed or one of the next. */
  readonly cell?: Cell
  /** Instead of the plan drawn from the seed. */
  readonly plan?: FaultPlan
  /** Length of the faulty part. Default: as drawn. */
  readonly faultyMs?: number
  /** Run it twice: both runs must be the same, event for event. Default false. */
  readonly twice?: boolean
  /** Where smaller plans of what fails are kept; default: none is looked for. */
  readonly shrinkTo?: string
}

/** What came of a job, without what is long. */
export interface Outcome {
  readonly seed: number
  readonly hash: string
  /** What failed; null: nothing. */
  readonly violation: string | null
  /** Of a scenario: that its fault did not meet its phase. */
  readonly missed: string | null
  /** For people, of what failed. */
  readonly report: string
  readonly acknowledged: number
  readonly unknown: number
  readonly faults: number
  readonly restarts: number
  readonly leaderChanges: number
  readonly ranges: number
  readonly entries: number
  readonly virtualMs: number
  /** Time that it took. */
  readonly tookMs: number
  readonly faultsByKind: Readonly<Record<string, number>>
  readonly coverage: CoverageTable
  readonly happened: Readonly<Record<string, number>>
  readonly met: Readonly<Record<string, number>>
}
