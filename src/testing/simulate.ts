import { assert } from '../base/assert.js'
import { HoldfastClient } from '../client/holdfast.js'
import type { Holdfast } from '../client/types.js'
import type { Acknowledged } from './acknowledged.js'
import { SimCluster } from './cluster.js'
import { drawFaultPlan } from './draw-plan.js'
import { FaultInjector } from './fault-injector.js'
import type { Deed, FaultPlan, Target } from './fault-plan.js'
import { calmLink } from './network.js'
import { SeededRandom } from './random.js'
import { inVirtualTime, isInVirtualTime, withoutRealTimers } from './timer-guard.js'
import { usualTuning } from './tuning.js'
import { type VirtualClock, virtualClockOf } from './virtual-clock.js'

export interface SimulateOptions {
  /** Everything that is drawn comes from it: the same seed and the same calls are the same run. */
  readonly seed: number | string
  /** Default 3, or as many as the plan names. */
  readonly nodes?: number
  /**
   * What goes wrong beside what you call for: 'none' (the default); 'drawn', crashes, partitions, pauses and the rest, drawn from the seed;
   * or a plan of your own. Its times count from the first `run`.
   */
  readonly faults?: 'none' | 'drawn' | FaultPlan
  /** Of 'drawn': when the last fault has ended, in virtual milliseconds. Default 30,000. */
  readonly faultyMs?: number
  /** How many of the last events to keep as text, for `lastEvents`. Default 200. */
  readonly keepEvents?: number
}

/** What a fault may be that is called for: as in a plan, without its time. */
export type Injected = Exclude<Deed, { readonly kind: 'split' | 'crash after' }>

export interface SimulatedCluster {
  /** The SDK's interface, of one client process. Its calls go on only inside `run`. */
  readonly db: Holdfast
  readonly clock: VirtualClock
  /** Ids of the nodes, from 1. */
  readonly nodes: readonly number[]
  /** Another client process: a session, connections and a place in the network of its own. */
  client(): Holdfast
  /**
   * Lets virtual time pass until `body` settles, and returns what it gave. What `body` waits for must be the cluster's: a real timer started
   * there throws a RealTimeError, and a body that waits for anything else of the real world ends with an error after `limitMs` of virtual
   * time (default 60,000). Throws also if the cluster broke a promise, or an action given to `clock.setTimer` threw.
   */
  run<T>(body: () => Promise<T>, options?: { readonly limitMs?: number }): Promise<T>
  /** The process and its power go: what was not synced is lost. 'leader': of the node that leads most. Returns the node's id; null: it was down. */
  crash(target: Target): number | null
  restart(node: number): void
  /** The process stands still until `resume`. Returns the node's id; null: it was down, or stood still already. */
  pause(target: Target): number | null
  resume(node: number): void
  /**
   * Cuts a node off: from all ('isolate', the default), from the other nodes, in one direction, ... One that is down will be when it starts.
   * Returns how to mend it.
   */
  partition(target: Target, shape?: (Injected & { readonly kind: 'partition' })['shape']): () => void
  /** Any other fault. Returns how to end it; null: it could not take effect now. */
  inject(fault: Injected): (() => void) | null
  /** Ends all faults: links are open, disks answer, all nodes run. */
  heal(): void
  /**
   * Heals, waits until every range serves and every replica is whole, and checks all that must hold then: replicas agree, and hold what was
   * acknowledged to `db` and every `client()`. Throws if something does not, or takes more than `limitMs` of virtual time (default 30,000).
   */
  verify(limitMs?: number): Promise<void>
  /** The same for the same seed and calls. */
  readonly hash: string
  /** The last things that happened, for people. */
  readonly lastEvents: readonly string[]
}

/**
 * A cluster on virtual time in this process, to drive a service of your own through crashes and partitions, from one seed:
 *
 * ```ts
 * const cluster = simulate({ seed: 1, nodes: 3 })
 * const service = new MyService(cluster.db, cluster.clock)
 * await cluster.run(async () => {
 *   await service.begin()
 *   const heal = cluster.partition('leader')
 *   await cluster.clock.sleep(5_000)
 *   heal()
 *   await service.goOn()
 * })
 * await cluster.verify()
 * ```
 */
export function simulate(options: SimulateOptions): SimulatedCluster {
  return new Simulated(options)
}

const CHECK_EVERY_MS = 100
const FROM_MS = 1_000
/** So long nothing is healed by itself. */
const NEVER_MS = Number.MAX_SAFE_INTEGER

class Simulated implements SimulatedCluster {
  readonly db: Holdfast
  readonly clock: VirtualClock
  readonly nodes: readonly number[]
  readonly #cluster: SimCluster
  readonly #acknowledged: Acknowledged
  readonly #injector: FaultInjector
  #started = false
  #underWay: 'run' | 'verify' | null = null
  /** What actions of the clock have thrown since that was last told. */
  readonly #thrown: unknown[] = []

  constructor(options: SimulateOptions) {
    const plan = planOf(options)
    const { seed, keepEvents = 200 } = options
    const { nodes, quality, syncMsMax, clockOffsetsMs, keptBytesMax, stateSyncEveryBytes } = plan
    const { historyKeptMs, sessionKeptMs, tuning = usualTuning } = plan
    const kept = { keptBytesMax, historyKeptMs, sessionKeptMs }
    const parts = { quality, syncMsMax, clockOffsetsMs, stateSyncEveryBytes, tuning, ...kept }
    this.#cluster = new SimCluster({ seed, nodes, keepEvents, ...parts })
    this.#acknowledged = this.#cluster.acknowledged()
    const { core, process } = this.#clientCore()
    this.db = new HoldfastClient(core, 'msgpack')
    this.clock = virtualClockOf(process.clock, (error) => this.#thrown.push(error))
    this.nodes = this.#cluster.nodes.map(({ id }) => id)
    this.#injector = new FaultInjector(this.#cluster, plan, new SeededRandom(seed).fork('harm'))
  }

  get hash(): string {
    return this.#cluster.trace.hash
  }

  get lastEvents(): readonly string[] {
    return this.#cluster.trace.last
  }

  client(): Holdfast {
    return new HoldfastClient(this.#clientCore().core, 'msgpack')
  }

  run<T>(body: () => Promise<T>, { limitMs = 60_000 }: { readonly limitMs?: number } = {}): Promise<T> {
    return this.#letTimePass('run', async () => {
      const result = inVirtualTime(body)
      result.catch(() => {})
      await this.#drive(result, limitMs)
      return await result
    })
  }

  crash(target: Target): number | null {
    const id = this.#resolve(target)
    if (!this.#cluster.node(id).isUp) return null
    this.#cluster.crash(id)
    return id
  }

  restart(node: number): void {
    this.#cluster.restart(node)
  }

  pause(target: Target): number | null {
    const id = this.#resolve(target)
    const node = this.#cluster.node(id)
    if (!node.isUp || node.isPaused) return null
    this.#cluster.pause(id)
    return id
  }

  resume(node: number): void {
    this.#cluster.resume(node)
  }

  partition(target: Target, shape: (Injected & { readonly kind: 'partition' })['shape'] = 'isolate'): () => void {
    return this.inject({ kind: 'partition', shape, targets: [target] }) ?? (() => {})
  }

  inject(fault: Injected): (() => void) | null {
    const undo = this.#injector.inject(fault)
    if (undo === null) return null
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      undo()
    }
  }

  heal(): void {
    this.#injector.heal()
  }

  verify(limitMs = 30_000): Promise<void> {
    return this.#letTimePass('verify', async () => {
      this.heal()
      const cluster = this.#cluster
      const whole = await this.#runWhile(() => (cluster.unrest ?? cluster.lack) !== null, cluster.nowMs + limitMs)
      if (!whole) throw new Error(`${limitMs} ms after all was healed ${cluster.unrest ?? cluster.lack}`)
      cluster.checkQuiet()
      this.#acknowledged.checkHeld(cluster.nodes)
      await cluster.checkStored()
      this.#throwFound()
    })
  }

  async #letTimePass<T>(what: 'run' | 'verify', drive: () => Promise<T>): Promise<T> {
    const other = this.#underWay
    assert(
      other !== 'run',
      `run is under way: ${what === 'run' ? 'do both things in one body, with Promise.all' : 'call verify when it has ended'}`,
    )
    assert(other !== 'verify', `verify is under way: call ${what} when it has ended`)
    assert(
      !isInVirtualTime(),
      `${what} is called inside the run of another cluster: call it beside that or after it, each keeps its own time`,
    )
    this.#underWay = what
    try {
      return await withoutRealTimers(async () => {
        await this.#maybeStart()
        return await drive()
      })
    } finally {
      this.#underWay = null
    }
  }

  #clientCore(): ReturnType<SimCluster['clientCore']> {
    return this.#cluster.clientCore((writes, result) => this.#acknowledged.wrote(writes, result))
  }

  async #maybeStart(): Promise<void> {
    if (this.#started) return
    this.#started = true
    await this.#cluster.start()
    this.#injector.begin()
  }

  async #drive(result: Promise<unknown>, limitMs: number): Promise<void> {
    const cluster = this.#cluster
    let isSettled = false
    const settle = () => {
      isSettled = true
    }
    result.then(settle, settle)
    const untilMs = cluster.nowMs + limitMs
    for (let atMs = cluster.nowMs; !isSettled && atMs < untilMs; ) {
      atMs = Math.min(atMs + CHECK_EVERY_MS, untilMs)
      await this.#runWhile(() => !isSettled, atMs)
      cluster.checkNow()
      this.#throwFound()
    }
    if (isSettled) return
    throw new Error(
      `run has not ended within ${limitMs} ms of virtual time. Only what waits for the cluster or for cluster.clock goes on in it: ` +
        'timers, sockets and files of your own stand still',
    )
  }

  /** Returns whether it ended because the condition no longer holds. */
  async #runWhile(condition: () => boolean, untilMs: number): Promise<boolean> {
    const { scheduler } = this.#cluster
    const ended = await scheduler.runWhile(() => this.#thrown.length === 0 && condition(), untilMs)
    this.#throwFound()
    return ended
  }

  #resolve(target: Target): number {
    return target === 'leader' ? (this.#cluster.busiestNode() ?? 1) : target
  }

  #throwFound(): void {
    const { violations } = this.#cluster
    if (violations.length > 0) throw new Error(`the cluster broke a promise: ${violations.join('; ')}`)
    const thrown = this.#thrown.splice(0)
    if (thrown.length === 0) return
    throw new Error(`an action given to cluster.clock.setTimer threw ${thrown[0]}`, { cause: thrown[0] })
  }
}

function planOf({ seed, nodes, faults = 'none', faultyMs = 30_000 }: SimulateOptions): FaultPlan {
  if (typeof faults !== 'string') {
    assert(
      nodes === undefined || nodes === faults.nodes,
      'the plan is for another number of nodes',
      nodes,
      faults.nodes,
    )
    return faults
  }
  const bounds = {
    fromMs: FROM_MS,
    untilMs: Math.max(faultyMs, FROM_MS),
    ranges: 1,
    ...(nodes === undefined ? {} : { nodes }),
  }
  const drawn = drawFaultPlan(new SeededRandom(seed).fork('plan'), bounds)
  if (faults === 'drawn') return { ...drawn, faults: drawn.faults.filter(({ kind }) => kind !== 'split') }
  const clockOffsetsMs = drawn.clockOffsetsMs.map(() => 0)
  return { ...drawn, faults: [], healedMs: NEVER_MS, clockOffsetsMs, quality: calmLink, syncMsMax: 1 }
}
