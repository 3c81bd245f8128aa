import type { SimCluster } from './cluster.js'
import { describeFault, type Fault, type FaultPlan, type Harm, type Target } from './fault-plan.js'
import type { SimNode } from './node.js'
import type { SeededRandom } from './random.js'
import { rotEntry, rotLog } from './rot.js'

/** Harm waits this long between two looks whether all is whole; it must be at two in a row. */
const LOOK_EVERY_MS = 200

/** Carries a plan out on a cluster, and counts which faults took effect: one on a node that is down already did not. */
export class FaultInjector {
  readonly #cluster: SimCluster
  readonly #plan: FaultPlan
  readonly #random: SeededRandom
  readonly #byKind: Record<string, number> = {}
  #restarts = 0

  constructor(cluster: SimCluster, plan: FaultPlan, random: SeededRandom) {
    this.#cluster = cluster
    this.#plan = plan
    this.#random = random
  }

  get tookEffect(): number {
    return Object.values(this.#byKind).reduce((sum, count) => sum + count, 0)
  }

  /** How many faults of each kind took effect. */
  get byKind(): Readonly<Record<string, number>> {
    return this.#byKind
  }

  get restarts(): number {
    return this.#restarts
  }

  /** Schedules the plan's faults. Times count from now. */
  begin(): void {
    const { scheduler } = this.#cluster
    for (const fault of this.#plan.faults) scheduler.schedule(fault.atMs, () => this.#strike(fault))
    scheduler.schedule(this.#plan.healedMs, () => this.#heal())
  }

  #strike(fault: Fault): void {
    const { scheduler, trace } = this.#cluster
    trace.event(scheduler.nowMs, 'plan', describeFault(fault))
    if (fault.kind === 'harm') return this.#harmWhenWhole(fault, scheduler.nowMs + fault.forMs, false)
    const undo = this.#do(fault)
    if (undo === null) return
    this.#count(nameOf(fault))
    scheduler.schedule(fault.forMs, undo)
  }

  #count(name: string): void {
    this.#byKind[name] = (this.#byKind[name] ?? 0) + 1
  }

  /** Returns how to undo it; null: it did nothing. */
  #do(fault: Exclude<Fault, { kind: 'harm' }>): (() => void) | null {
    switch (fault.kind) {
      case 'crash':
        return this.#crash(fault.targets)
      case 'pause':
        return this.#pause(fault)
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
        return fillDisk(node)
      case 'hang':
        node.hangDisk()
        return () => node.releaseDisk()
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

  /** A node whose harm nobody has noticed yet has not been replaced either. */
  #harmWhenWhole(fault: Fault & { kind: 'harm' }, untilMs: number, wasWhole: boolean): void {
    const { scheduler, lack } = this.#cluster
    const isWhole = lack === null
    if (isWhole && wasWhole) return this.#harm(fault, untilMs)
    if (scheduler.nowMs + LOOK_EVERY_MS >= untilMs) return
    scheduler.schedule(LOOK_EVERY_MS, () => this.#harmWhenWhole(fault, untilMs, isWhole))
  }

  #harm({ harm, target }: Fault & { kind: 'harm' }, untilMs: number): void {
    const { scheduler, trace } = this.#cluster
    const id = this.#resolve([target])[0]!
    this.#cluster.crash(id)
    const isDone = this.#harmDisk(harm, id)
    trace.event(scheduler.nowMs, 'plan', harm, id, isDone)
    if (isDone) this.#count(harm)
    scheduler.schedule(untilMs - scheduler.nowMs, () => this.#restart(id))
  }

  #harmDisk(harm: Harm, id: number): boolean {
    const node = this.#cluster.node(id)
    const { files, db } = node.disks
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

  #heal(): void {
    const { network, nodes } = this.#cluster
    network.healAll()
    network.quality = this.#plan.quality
    for (const node of nodes) {
      const { id } = node
      freeDisk(node)
      node.releaseDisk()
      this.#restart(id)
      this.#cluster.resume(id)
    }
  }

  #resolve(targets: readonly Target[]): number[] {
    const ids = targets.map((target) => (target === 'leader' ? (this.#cluster.busiestNode() ?? 1) : target))
    return [...new Set<number>(ids)]
  }
}

function nameOf(fault: Fault): string {
  if (fault.kind === 'partition') return `partition ${fault.shape}`
  return fault.kind === 'pause' && fault.suspended ? 'suspend' : fault.kind
}

function fillDisk(node: SimNode): () => void {
  const { files, db } = node.disks
  files.isFull = true
  db.isFull = true
  return () => freeDisk(node)
}

function freeDisk({ disks: { files, db } }: SimNode): void {
  files.isFull = false
  db.isFull = false
}
