/**
 * `holdfast/testing`: a whole cluster in one process, on virtual time, from one seed, to test a service of your own on; and a real
 * one in one line.
 *
 * ```ts
 * import { simulate, startLocalCluster } from 'holdfast/testing'
 *
 * const cluster = simulate({ seed: 1, nodes: 3 })
 * await cluster.run(async () => {
 *   await cluster.db.put('greeting', 'hello')
 *   cluster.crash('leader')
 *   console.log(await cluster.db.get('greeting'))
 * })
 * await cluster.verify()
 *
 * await using local = await startLocalCluster()
 * await local.db.put('greeting', 'hello')
 * ```
 *
 * In a simulated cluster nothing sleeps: time passes only while `run` does. The code that runs is the one that serves; only clock,
 * random numbers, network and disk are simulated.
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
export { type LocalCluster, type LocalClusterOptions, startLocalCluster } from './local-cluster.js'
export { calmLink, type LinkQuality } from './network.js'
export { SeededRandom } from './random.js'
export {
  type Injected,
  type SimulatedCluster,
  type SimulateOptions,
  simulate,
} from './simulate.js'
export { describeFailure, type SimulationOptions, type SimulationResult, simulateSeed } from './simulation.js'
export { RealTimeError } from './timer-guard.js'
export type { VirtualClock } from './virtual-clock.js'
