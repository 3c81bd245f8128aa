/**
 * `holdfast/testing`: a whole cluster in one process, on virtual time, from one seed.
 *
 * ```ts
 * import { SimCluster } from 'holdfast/testing'
 *
 * const cluster = new SimCluster({ seed: 1 })
 * await cluster.start()
 * const db = cluster.client()
 * await cluster.run(() => db.put('greeting', 'hello'))
 * cluster.crash(cluster.leaderOf(2)!)
 * console.log(await cluster.run(() => db.get('greeting')))
 * ```
 *
 * Nothing sleeps: time passes only while `run`, `runFor` or `runWhile` do. The code that runs is the one that serves; only
 * clock, random numbers, network and disk are simulated. Checkers look on, and `cluster.violations` stays empty.
 */
export {
  checkHistory,
  type HistoryDemands,
  type HistoryLack,
  type HistoryVerdict,
  lackOfHistory,
} from './check-history.js'
export { SimCluster, type SimClusterOptions } from './cluster.js'
export { drawFaultPlan, type PlanBounds } from './draw-plan.js'
export { describePlan, type Fault, type FaultPlan, type Harm, type Target } from './fault-plan.js'
export { formatOperation, HistoryFileError, parseHistory, parseOperation } from './history-file.js'
export {
  type CasOperation,
  type CheckOptions,
  checkLinearizability,
  type DeleteOperation,
  describeOperations,
  type GetOperation,
  type Operation,
  type PutOperation,
  type Verdict,
} from './linearizability.js'
export { calmLink, type LinkQuality } from './network.js'
export { SeededRandom } from './random.js'
export { describeFailure, type SimulationOptions, type SimulationResult, simulateSeed } from './simulation.js'
