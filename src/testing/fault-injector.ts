import type { ClientCore } from '../client/core.js'
import type { SimCluster } from './cluster.js'
import { Coverage, type CoverageTable } from './coverage.js'
import { type Deed, describeFault, type Fault, type FaultPlan, type Harm, nameOf, type Target } from './fault-plan.js'
import type { SimNode } from './node.js'
import type { Phase } from './phases.js'
import type { SeededRandom } from './random.js'
import { rotEntry, rotLog } from './rot.js'
import { rawKey } from './workload.js'

/** What waits for a phase looks this often whether it has come: the shortest, a split, lasts a few milliseconds. */
const LOOK_EVERY_MS = 2
const WAIT_MS = 3_000
/** What was harmed has made up for it when all replicas are whole at two looks in a row, this far apart. */
const WHOLE_EVERY_MS = 200
const SPLIT_DEADLINE_MS = 5_000

/** Carries a plan out on a cluster, and counts which faults took effect: one on a node that is down already did not. */
export class FaultInjector {
  readonly #cluster: SimCluster
  readonly #plan: FaultPlan
  readonly #random: SeededRandom
  readonly #coverage = new Coverage()
  readonly #byKind: Record<string, number> = {}
  /** Asks for splits. */
  readonly #client: ClientCore
  /** Nodes that may have forgotten something for which nobody has made up yet. */
  readonly #harmed = new Set<number>()
  #healedAtMs = 0
  #restarts = 0

  constructor(cluster: SimCluster, plan: FaultPlan, random: SeededRandom) {
    this.#cluster = cluster
    this.#plan = plan
    this.#random = random
    this.#client = cluster.clientCore().core
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
  inject(deed: Exclude<Deed, { kind: 'split' }>): (() => void) | null {
    return this.#do({ ...deed, atMs: this.#cluster.scheduler.nowMs, forMs: 0 })
  }

  #come(fault: Fault): void {
    const { scheduler, trace } = this.#cluster
    trace.event(scheduler.nowMs, 'plan', describeFault(fault))
    const { during, waitMs = WAIT_MS } = fault
    if (during !== undefined) return this.#strikeIn(fault, () => this.#cluster.phases.isIn(during), waitMs)
    // Harm is rare enough already: it waits for its turn.
    if (fault.kind === 'harm') return this.#strikeIn(fault, () => true, fault.forMs)
    this.#strike(fault)
  }

  /** Looks until it takes effect while `holds`, or may wait no longer. What would outlast the healing never strikes. */
  #strikeIn(fault: Fault, holds: () => boolean, waitMs: number): void {
    const { scheduler } = this.#cluster
    if (scheduler.nowMs + fault.forMs > this.#healedAtMs) return
    if (holds() && this.#strike(fault)) return
    if (waitMs < LOOK_EVERY_MS) return
    scheduler.schedule(LOOK_EVERY_MS, () => this.#strikeIn(fault, holds, waitMs - LOOK_EVERY_MS))
  }

  /** Returns whether it took effect; of a split, whether it was asked for. */
  #strike(fault: Fault): boolean {
    const { scheduler, phases } = this.#cluster
    const before = phases.now()
    if (fault.kind === 'split') {
      this.#split(fault.key, () => this.#took(fault, before))
      return true
    }
    const undo = this.#do(fault)
    if (undo === null) return false
    this.#took(fault, before)
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

  /** Returns how to undo it; null: it did nothing. */
  #do(fault: Exclude<Fault, { kind: 'split' }>): (() => void) | null {
    switch (fault.kind) {
      case 'crash':
        return this.#crash(fault.targets)
      case 'pause':
        return this.#pause(fault)
      case 'harm':
        return this.#harm(fault)
      case 'full':
      case 'hang':
      case 'transfer':
      case 'drain':
      case 'clock':
        return this.#onNode(fault)
      case 'partition':
        return this.#partition(fault)
      case 'links':
        return this.#setLinks(fault)
    }
  }

  /** One that fails because the cluster is ill is no matter. */
  #split(key: string, done: () => void): void {
    this.#cluster.scheduler.schedule(
      0,
      () => {
        this.#client.split(rawKey(key), { deadlineMs: SPLIT_DEADLINE_MS }).then(done, () => {})
      },
      true,
    )
  }

  #crash(targets: readonly Target[]): (() => void) | null {
    const struck = this.#resolve(targets).filter((id) => this.#cluster.node(id).isUp)
    for (const id of struck) this.#cluster.crash(id)
    if (struck.length === 0) return null
    return () => {
      for (const id of struck) this.#restart(id)
    }
  }

  #pause({ targets, suspended }: Fault & { kind: 'pause' }): (() => void) | null {
    const struck = this.#resolve(targets).filter(
      (id) => this.#cluster.node(id).isUp && !this.#cluster.node(id).isPaused,
    )
    for (const id of struck) this.#cluster.pause(id, { suspended })
    if (struck.length === 0) return null
    return () => {
      for (const id of struck) this.#cluster.resume(id)
    }
  }

  #onNode(fault: Fault & { target: Target } & { kind: 'full' | 'hang' | 'transfer' | 'drain' | 'clock' }) {
    const node = this.#cluster.node(this.#resolve([fault.target])[0]!)
    if (!node.serves || node.isPaused) return null
    switch (fault.kind) {
      case 'full':
        node.disk.isFull = true
        return () => {
          node.disk.isFull = false
        }
      case 'hang':
        node.disk.hang()
        return () => node.disk.release()
      case 'transfer':
        return this.#transfer(node)
      case 'drain':
        return this.#drain(node)
      case 'clock':
        return node.jumpClock(fault.byMs)
    }
  }

  /** To any of the others, also one that is down. */
  #transfer(node: SimNode): (() => void) | null {
    const led = [...node.store!.replicas].filter(({ leads }) => leads)
    let begun = 0
    node.listener!.process.enter(() => {
      for (const replica of led) {
        const { voters } = replica.raft.configuration
        replica.takeTicks()
        if (replica.raft.transferLead(this.#random.pick(voters.filter((id) => id !== replica.id)))) begun++
      }
    })
    return begun === 0 ? null : () => {}
  }

  #drain(node: SimNode): () => void {
    const { store, listener } = node
    const end = () => {
      if (node.listener === listener) this.#cluster.crash(node.id)
    }
    // The process ends after the turn in which it said that it is done.
    const ended = () => void this.#cluster.scheduler.schedule(0, end)
    listener!.process.enter(() => store!.drain(() => store!.stop(ended)))
    return () => {
      end()
      this.#restart(node.id)
    }
  }

  /** At most a minority of a range's voters may have forgotten: if it is as many already, one of them is struck again. */
  #harm({ harm, target, forMs }: Fault & { kind: 'harm' }): (() => void) | null {
    const { scheduler, trace, nodes } = this.#cluster
    const isFull = this.#harmed.size >= (nodes.length - 1) >> 1
    const id = isFull ? this.#random.pick([...this.#harmed]) : this.#resolve([target])[0]!
    if (!this.#cluster.node(id).isUp || !this.#mayForget(id)) return null
    this.#cluster.crash(id)
    const isDone = this.#harmDisk(harm, id)
    trace.event(scheduler.nowMs, 'plan', harm, id, isDone)
    // There was nothing to harm; it may be tried again when the node runs again.
    if (!isDone) {
      scheduler.schedule(forMs, () => this.#restart(id))
      return null
    }
    if (this.#harmed.size === 0) scheduler.schedule(WHOLE_EVERY_MS, () => this.#awaitWhole(false))
    this.#harmed.add(id)
    return () => this.#restart(id)
  }

  /** A replica may also be missing where nothing was harmed: a snapshot that passes over a split leaves its child to be placed. */
  #mayForget(id: number): boolean {
    return this.#harmed.has(id) || this.#cluster.lackBeside(new Set([...this.#harmed, id])) === null
  }

  /** Two looks: a node whose harm nobody has noticed yet has not been replaced either. */
  #awaitWhole(wasWhole: boolean): void {
    const isWhole = this.#cluster.lack === null
    if (isWhole && wasWhole) return this.#harmed.clear()
    this.#cluster.scheduler.schedule(WHOLE_EVERY_MS, () => this.#awaitWhole(isWhole))
  }

  #harmDisk(harm: Harm, id: number): boolean {
    const node = this.#cluster.node(id)
    const { files, db } = node.disk
    switch (harm) {
      case 'wiped':
        this.#cluster.wipe(id)
        return true
      case 'state lost':
        node.loseState()
        return true
      case 'entry rotten':
        return rotEntry(files, this.#random)
      case 'log rotten':
        return rotLog(files, this.#random)
      case 'record rotten':
        return db.rot(this.#random)
    }
  }

  #partition(fault: Fault & { kind: 'partition' }): (() => void) | null {
    const { network } = this.#cluster
    const ways = this.#resolve(fault.targets).flatMap((id) => this.#waysOf(fault.shape, id))
    for (const [from, to] of ways) network.block(from, to)
    return () => {
      for (const [from, to] of ways) network.unblock(from, to)
    }
  }

  #waysOf(shape: (Fault & { kind: 'partition' })['shape'], id: number): (readonly [from: string, to: string])[] {
    const { nodes, clientPlaces } = this.#cluster
    const own = this.#cluster.node(id).place
    const others = nodes.map((node) => node.place).filter((place) => place !== own)
    const toOwn = (place: string) => [place, own] as const
    const fromOwn = (place: string) => [own, place] as const
    switch (shape) {
      case 'isolate':
        return [...others, ...clientPlaces].flatMap((place) => [toOwn(place), fromOwn(place)])
      case 'peers':
        return others.flatMap((place) => [toOwn(place), fromOwn(place)])
      case 'deaf':
        return others.map(toOwn)
      case 'mute':
        return others.map(fromOwn)
      case 'pair': {
        const next = nodes[id % nodes.length]!.place
        return [toOwn(next), fromOwn(next)]
      }
    }
  }

  #setLinks({ quality }: Fault & { kind: 'links' }): () => void {
    const { network } = this.#cluster
    network.quality = quality
    return () => {
      // A later fault's quality stays until it ends itself.
      if (network.quality === quality) network.quality = this.#plan.quality
    }
  }

  #restart(id: number): void {
    if (this.#cluster.node(id).isUp) return
    this.#restarts++
    this.#cluster.restart(id)
  }

  /** Ends all faults: links are open, disks answer, all nodes run. */
  heal(): void {
    const { network, nodes } = this.#cluster
    network.healAll()
    network.quality = this.#plan.quality
    for (const node of nodes) {
      const { id } = node
      node.disk.isFull = false
      node.disk.release()
      this.#restart(id)
      this.#cluster.resume(id)
    }
  }

  #resolve(targets: readonly Target[]): number[] {
    const ids = targets.map((target) => (target === 'leader' ? (this.#cluster.busiestNode() ?? 1) : target))
    return [...new Set<number>(ids)]
  }
}
