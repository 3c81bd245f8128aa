import type { CallChecker } from './checkers/calls.js'
import { SimCluster, type SimClusterOptions } from './cluster.js'
import type { CoverageTable } from './coverage.js'
import { drawFaultPlan } from './draw-plan.js'
import { FaultInjector } from './fault-injector.js'
import { describePlan, type FaultPlan } from './fault-plan.js'
import { Happenings } from './happenings.js'
import { History } from './history.js'
import { checkLinearizability, describeOperations } from './linearizability.js'
import { SeededRandom } from './random.js'
import { keysOf, namesOf, REGISTERS, rawKey, registerAt } from './registers.js'
import { usualTuning } from './tuning.js'
import { WorkloadClient } from './workload.js'

export interface SimulationOptions {
  readonly seed: number
  /** Length of the faulty part, in milliseconds of virtual time. Default 50,000. */
  readonly faultyMs?: number
  /** Longest pause of a client between two calls, in milliseconds. Default: drawn. */
  readonly thinkMsMax?: number
  /** Instead of the plan drawn from the seed; the seed draws what the plan leaves open. */
  readonly plan?: FaultPlan
  /** As of SimClusterOptions. */
  readonly stateWithout?: SimClusterOptions['stateWithout']
  /** Freeze everything that travels. Default false. */
  readonly freeze?: boolean
  /** How many of the last events to return. Default 0. */
  readonly keepEvents?: number
  /** Called once the cluster is up, before the first fault: to look on, or to break something on purpose. */
  readonly prepare?: (cluster: SimCluster) => void
}

/** What a run was and what it found. */
export interface SimulationResult {
  readonly seed: number
  readonly plan: FaultPlan
  /** Empty: all is well. */
  readonly violations: readonly string[]
  /** The same for the same seed, options and code. */
  readonly hash: string
  readonly events: number
  readonly virtualMs: number
  /** Calls that succeeded, and writes whose outcome stayed unknown. */
  readonly acknowledged: number
  readonly unknown: number
  readonly faults: number
  /** Faults that took effect, by kind. */
  readonly faultsByKind: Readonly<Record<string, number>>
  /** The same by the phases that the cluster was in. */
  readonly coverage: CoverageTable
  /** How often each rare path was taken without need. */
  readonly rarePaths: Readonly<Record<string, number>>
  /** What the nodes said in their logs, and how often: snapshots installed, entries repaired, replicas placed. */
  readonly happened: Readonly<Record<string, number>>
  /** What clients came by, and how often: codes by which nodes refused them, requests sent again, calls given up. */
  readonly met: Readonly<Record<string, number>>
  readonly restarts: number
  readonly leaderChanges: number
  /** Ranges at the end, without the meta range. */
  readonly ranges: number
  readonly entries: number
  readonly lastEvents: readonly string[]
}

/** Until then nothing goes wrong. */
const FROM_MS = 2_000
/** The workload goes on this long after the last fault. */
const CALM_MS = 3_000
/** After that, everything must be readable within this time. */
const RECOVERY_MS = 10_000
/** And every replica be whole and in its place within this one: ten may have to be replaced, two at a time. */
const WHOLE_MS = 30_000
const CHECK_EVERY_MS = 100
/** Clients that have got more than this done in a run so far take their time, else they hurry: a run is to count, and to cost no more than that. */
const ENOUGH_CALLS_PER_MS = 0.028
const LEISURE = 4
const HASTE = 0.1

/**
 * One run: a cluster under a workload, faults as planned, ranges split on the way; then it is healed, everything is read,
 * and the whole history is checked. Never throws for what it finds: that stands in `violations`.
 */
export async function simulateSeed(options: SimulationOptions): Promise<SimulationResult> {
  const run = new Simulation(options)
  await run.run()
  return run.result()
}

class Simulation {
  readonly #options: SimulationOptions
  readonly #plan: FaultPlan
  readonly #random: SeededRandom
  readonly #cluster: SimCluster
  readonly #injector: FaultInjector
  readonly #calls: CallChecker
  readonly #history: History
  readonly #happenings = new Happenings()

  constructor(options: SimulationOptions) {
    this.#options = options
    this.#random = new SeededRandom(options.seed).fork('simulation')
    this.#plan = options.plan ?? planOf(options)
    const { nodes, ranges } = this.#plan
    this.#cluster = new SimCluster({
      seed: options.seed,
      nodes,
      splitAt: Array.from({ length: ranges - 1 }, (_, at) =>
        rawKey(registerAt(Math.round(((at + 1) * REGISTERS) / ranges))),
      ),
      quality: this.#plan.quality,
      syncMsMax: this.#plan.syncMsMax,
      clockOffsetsMs: this.#plan.clockOffsetsMs,
      keptBytesMax: this.#plan.keptBytesMax,
      stateSyncEveryBytes: this.#plan.stateSyncEveryBytes,
      historyKeptMs: this.#plan.historyKeptMs,
      sessionKeptMs: this.#plan.sessionKeptMs,
      logger: this.#happenings,
      stateWithout: options.stateWithout ?? [],
      tuning: this.#plan.tuning ?? usualTuning,
      freeze: options.freeze ?? false,
      keepEvents: options.keepEvents ?? 0,
    })
    this.#calls = this.#cluster.callChecker(rawKey)
    this.#history = new History(this.#calls)
    this.#injector = new FaultInjector(this.#cluster, this.#plan, this.#random.fork('harm'))
  }

  async run(): Promise<void> {
    try {
      await this.#runAll()
    } catch (error) {
      // What is thrown after a violation is its consequence.
      if (this.#cluster.violations.length === 0) this.#cluster.report(`the run failed: ${(error as Error).stack}`)
    }
  }

  async #runAll(): Promise<void> {
    const cluster = this.#cluster
    await cluster.start()
    this.#options.prepare?.(cluster)
    this.#injector.begin()
    const clients = Array.from({ length: this.#plan.clients }, (_, at) => this.#client(at + 1))
    const loops = Promise.all(clients.map((client) => client.run()))
    await this.#runChecked(this.#plan.healedMs)
    const served = this.#client(clients.length + 2).readAll(RECOVERY_MS)
    // Told below.
    served.catch(() => {})
    await this.#runChecked(CALM_MS)
    for (const client of clients) client.stop()
    await cluster.run(() => loops, RECOVERY_MS)
    await cluster.run(() => served, RECOVERY_MS)
    const reader = this.#client(clients.length + 1)
    await cluster.run(() => reader.readAll(RECOVERY_MS), RECOVERY_MS)
    const whole = await cluster.runWhile(() => (cluster.unrest ?? cluster.lack) !== null, WHOLE_MS)
    if (!whole) cluster.report(`${WHOLE_MS} ms after the last call ${cluster.unrest ?? cluster.lack}`)
    cluster.checkQuiet()
    await cluster.checkStored()
    this.#calls.finish(namesOf(keysOf(REGISTERS)))
    this.#checkHistory()
  }

  async #runChecked(ms: number): Promise<void> {
    const untilMs = this.#cluster.nowMs + ms
    while (this.#cluster.nowMs < untilMs && this.#cluster.violations.length === 0) {
      await this.#cluster.runFor(Math.min(CHECK_EVERY_MS, untilMs - this.#cluster.nowMs))
      this.#cluster.checkNow()
    }
  }

  #client(id: number): WorkloadClient {
    const { core, process } = this.#cluster.clientCore()
    return new WorkloadClient({
      id,
      core,
      process,
      random: this.#random.fork(`client ${id}`),
      history: this.#history,
      keys: keysOf(REGISTERS),
      thinkMsMax: this.#plan.thinkMsMax,
      tally: this.#cluster.tally,
      writtenAt: (name, version) => this.#calls.textAt(name, version),
      pace: () => (this.#history.acknowledged > this.#cluster.nowMs * ENOUGH_CALLS_PER_MS ? LEISURE : HASTE),
      report: (violation) => this.#cluster.report(violation),
    })
  }

  #checkHistory(): void {
    const verdict = checkLinearizability(this.#history.operations)
    if (verdict.kind === 'illegal') {
      this.#cluster.report(`key ${verdict.key} was not linearizable:\n${describeOperations(verdict.piece)}`)
    }
    if (verdict.kind === 'undecided') this.#cluster.report(`undecided: keys ${verdict.keys.join(', ')}`)
  }

  result(): SimulationResult {
    const { trace, violations, leaderChanges, entriesApplied, nowMs } = this.#cluster
    return {
      seed: this.#options.seed,
      plan: this.#plan,
      violations,
      hash: trace.hash,
      events: trace.events,
      virtualMs: nowMs,
      acknowledged: this.#history.acknowledged,
      unknown: this.#history.unknown,
      faults: this.#injector.tookEffect,
      faultsByKind: this.#injector.byKind,
      coverage: this.#injector.coverage,
      rarePaths: this.#cluster.rarePaths,
      happened: this.#happenings.counts,
      met: this.#cluster.tally.counts,
      restarts: this.#injector.restarts,
      leaderChanges,
      ranges: this.#plan.ranges + (this.#injector.byKind.split ?? 0),
      entries: entriesApplied,
      lastEvents: trace.last,
    }
  }
}

/** For people: what was found, the plan, and the command that shows it again. */
export function describeFailure(result: SimulationResult, replay = `npm run sim -- --seed ${result.seed}`): string {
  return [
    `seed ${result.seed} at ${result.virtualMs.toFixed(3)} ms:`,
    ...result.violations.slice(0, 3),
    'plan:',
    describePlan(result.plan),
    ...(result.lastEvents.length > 0 ? ['last events:', ...result.lastEvents] : []),
    `replay: ${replay} --verbose`,
  ].join('\n')
}

/** The plan that a seed draws. */
export function planOf({ seed, faultyMs = 50_000, thinkMsMax }: SimulationOptions): FaultPlan {
  return drawFaultPlan(new SeededRandom(seed).fork('plan'), {
    fromMs: FROM_MS,
    untilMs: faultyMs,
    turn: seed,
    ...(thinkMsMax === undefined ? {} : { thinkMsMax }),
  })
}
