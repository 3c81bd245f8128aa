import { assertNever } from '../base/assert.js'
import { type ErrorCode, HoldfastError } from '../base/errors.js'
import type { Key, NodeId, RangeId } from '../base/ids.js'
import type { ClientCore } from '../client/core.js'
import type { SimCluster } from './cluster.js'
import { Coverage, type CoverageTable } from './coverage.js'
import { type Deed, describeFault, type Fault, type FaultPlan, nameOf, type Target } from './fault-plan.js'
import { DiskFaults } from './faults/disk-faults.js'
import { NetworkFaults } from './faults/network-faults.js'
import { ProcessFaults } from './faults/process-faults.js'
import type { Undo } from './faults/tools.js'
import type { Phase } from './phases.js'
import type { SeededRandom } from './random.js'
import { rawKey } from './registers.js'
import { WaitingFaults } from './waiting-faults.js'

const WAIT_MS = 3_000
const ADMIN_DEADLINE_MS = 5_000
const ILL: ReadonlySet<ErrorCode> = new Set(['UNAVAILABLE', 'DEADLINE', 'OVERLOADED', 'OUTCOME_UNKNOWN'])

/**
 * Carries a plan out on a cluster, and counts which faults took effect: one on a node that is down already did not. What cuts such a node
 * off is done nevertheless, unless it may wait: the node may start meanwhile.
 */
export class FaultInjector {
  readonly #cluster: SimCluster
  readonly #plan: FaultPlan
  readonly #network: NetworkFaults
  readonly #processes: ProcessFaults
  readonly #disks: DiskFaults
  readonly #random: SeededRandom
  /** Keys that a split was asked for. */
  readonly #asked: Key[] = []
  readonly #waiting: WaitingFaults
  readonly #coverage = new Coverage()
  readonly #byKind: Record<string, number> = {}
  /** Asks for splits, and hands leads on. */
  readonly #client: ClientCore
  #healedAtMs = 0
  #restarts = 0

  constructor(cluster: SimCluster, plan: FaultPlan, random: SeededRandom) {
    this.#cluster = cluster
    this.#plan = plan
    this.#random = random
    this.#client = cluster.clientCore().core
    const tools = {
      cluster,
      plan,
      random,
      resolve: (targets: readonly Target[]) => this.#resolve(targets),
      restart: (id: number) => this.#restart(id),
    }
    this.#waiting = new WaitingFaults({
      scheduler: cluster.scheduler,
      isIn: (phase) => cluster.phases.isIn(phase),
      strike: (fault) => this.#strike(fault),
    })
    this.#network = new NetworkFaults(tools)
    this.#processes = new ProcessFaults(tools)
    this.#disks = new DiskFaults(tools)
  }

  get tookEffect(): number {
    return Object.values(this.#byKind).reduce((sum, count) => sum + count, 0)
  }

  /** How many faults of each name took effect. */
  get byKind(): Readonly<Record<string, number>> {
    return this.#byKind
  }

  /** The same by the phases that the cluster was in just before. */
  get coverage(): CoverageTable {
    return this.#coverage.table
  }

  get restarts(): number {
    return this.#restarts
  }

  /** Schedules the plan's faults. Times count from now. */
  begin(): void {
    const { scheduler } = this.#cluster
    this.#healedAtMs = scheduler.nowMs + this.#plan.healedMs
    for (const fault of this.#plan.faults) scheduler.schedule(fault.atMs, () => this.#come(fault))
    scheduler.schedule(this.#plan.healedMs, () => this.heal())
  }

  /** One fault that no plan has, now. Returns how to undo it; null: it did nothing. */
  inject(deed: Exclude<Deed, { kind: 'split' | 'crash after' }>): (() => void) | null {
    return this.#do({ ...deed, atMs: this.#cluster.scheduler.nowMs, forMs: 0 })
  }

  #come(fault: Fault): void {
    const { scheduler, trace } = this.#cluster
    trace.event(scheduler.nowMs, 'plan', describeFault(fault))
    const waitMs = waitMsOf(fault)
    if (waitMs === 0) return void this.#strike(fault)
    // What would outlast the healing never strikes.
    this.#waiting.add(fault, Math.min(scheduler.nowMs + waitMs, this.#healedAtMs - fault.forMs))
  }

  /** Returns whether it is done with; of a split, whether it was asked for, of a crash to come, whether it will come. */
  #strike(fault: Fault): boolean {
    const { scheduler, phases } = this.#cluster
    const before = phases.now()
    if (fault.kind === 'split') {
      this.#split(fault.key, () => this.#took(fault, before))
      return true
    }
    if (fault.kind === 'crash after') return this.#crashAfter(fault)
    const isFelt = this.#network.isFelt(fault)
    if (!isFelt && waitMsOf(fault) > 0) return false
    const undo = this.#do(fault)
    if (undo === null) return false
    if (isFelt) this.#took(fault, before)
    scheduler.schedule(fault.forMs, undo)
    return true
  }

  #took(fault: Fault, phases: readonly Phase[]): void {
    const { scheduler, trace } = this.#cluster
    const name = nameOf(fault)
    trace.event(scheduler.nowMs, 'plan', name, 'took effect during', ...phases)
    this.#byKind[name] = (this.#byKind[name] ?? 0) + 1
    this.#coverage.took(name, phases)
  }

  #do(fault: Exclude<Fault, { kind: 'split' | 'crash after' }>): Undo {
    switch (fault.kind) {
      case 'crash':
      case 'kill':
      case 'off':
      case 'pause':
      case 'slow':
      case 'clock':
      case 'drift':
      case 'transfer':
      case 'drain':
        return this.#processes.do(fault)
      case 'harm':
      case 'full':
      case 'hang':
      case 'fsync':
      case 'torn tail':
      case 'logs swapped':
        return this.#disks.do(fault)
      case 'partition':
      case 'links':
      case 'link':
      case 'clog':
      case 'connections':
      case 'slow reader':
        return this.#network.do(fault)
      default:
        return assertNever(fault)
    }
  }

  #crashAfter(fault: Fault & { kind: 'crash after' }): boolean {
    const { phases, scheduler } = this.#cluster
    const id = this.#resolve([fault.target])[0]!
    const { disk, isUp } = this.#cluster.node(id)
    if (!isUp) return false
    disk.afterOperations(fault.operations, () => {
      const before = phases.now()
      this.#cluster.crash(id)
      this.#took(fault, before)
      scheduler.schedule(fault.forMs, () => this.#restart(id))
    })
    return true
  }

  /** The new range's lead is handed on at once, by the same client: it has to find the range while the news of it travels. */
  #split(key: string, done: () => void): void {
    const at = rawKey(key)
    const { bornCuts, nodes, scheduler } = this.#cluster
    this.#asked.push(at)
    // Of two splits at one key, any may come first.
    const mayBeCut = () => bornCuts.includes(at) || this.#asked.filter((key) => key === at).length > 1
    const to = this.#random.pick(nodes).id as NodeId
    const handOn = (range: RangeId): void => {
      done()
      this.#client.transfer({ range, to }, { deadlineMs: ADMIN_DEADLINE_MS }).catch((error) => {
        // A change of voters may be under way.
        this.#judge(error, error.message.includes('holds no voter'))
      })
    }
    const ask = (): void => {
      this.#client.split(at, { deadlineMs: ADMIN_DEADLINE_MS }).then(handOn, (error) => this.#judge(error, mayBeCut()))
    }
    scheduler.schedule(0, ask, true)
  }

  /** One that fails because the cluster is ill is no matter; nor is one that is told, rightly, that it can't be done. */
  #judge(error: unknown, isRefusable: boolean): void {
    const code = error instanceof HoldfastError ? error.code : null
    if (code !== null && (ILL.has(code) || (code === 'INVALID_ARGUMENT' && isRefusable))) return
    this.#cluster.report(`a split, or the hand-over after it, was refused for no reason: ${error}`)
  }

  #restart(id: number): void {
    if (this.#cluster.node(id).isUp) return
    this.#restarts++
    this.#cluster.restart(id)
  }

  /** Ends all faults: links are open, disks answer, all nodes run. */
  heal(): void {
    this.#network.heal()
    this.#disks.heal()
    this.#processes.heal()
    this.#cluster.mayBuggify = false
  }

  #resolve(targets: readonly Target[]): number[] {
    const ids = targets.map((target) => (target === 'leader' ? (this.#cluster.busiestNode() ?? 1) : target))
    return [...new Set<number>(ids)]
  }
}

/** How long it may wait. Harm and torn writes are rare enough already: they wait for their turn without being told to. */
function waitMsOf({ during, waitMs, forMs, kind }: Fault): number {
  if (during !== undefined || waitMs !== undefined) return waitMs ?? WAIT_MS
  return kind === 'harm' || kind === 'torn tail' ? forMs : 0
}
