import type { SimCluster } from '../cluster.js'
import type { FaultPlan, Target } from '../fault-plan.js'
import type { SeededRandom } from '../random.js'

/** How to undo a fault; null: it did nothing. */
export type Undo = (() => void) | null

/** What those who carry faults out work with. */
export interface FaultTools {
  readonly cluster: SimCluster
  readonly plan: FaultPlan
  readonly random: SeededRandom
  /** The nodes meant, each once. */
  resolve(targets: readonly Target[]): number[]
  /** Starts a node that is down. */
  restart(id: number): void
}
