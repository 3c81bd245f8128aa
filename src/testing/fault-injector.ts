import type { SimCluster } from './cluster.js'
import { describeFault, type Fault, type FaultPlan, type Target } from './fault-plan.js'

/** Carries a plan out on a cluster, and counts which faults took effect: one on a node that is down already did not. */
export class FaultInjector {
  readonly #cluster: SimCluster
  readonly #plan: FaultPlan
  #tookEffect = 0
  #restarts = 0

  constructor(cluster: SimCluster, plan: FaultPlan) {
    this.#cluster = cluster
    this.#plan = plan
  }

  get tookEffect(): number {
    return this.#tookEffect
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
    const undo = this.#do(fault)
    if (undo === null) return
    this.#tookEffect++
    scheduler.schedule(fault.forMs, undo)
  }

  /** Returns how to undo it; null: it did nothing. */
  #do(fault: Fault): (() => void) | null {
    switch (fault.kind) {
      case 'crash':
        return this.#crash(fault.targets)
      case 'pause':
        return this.#pause(fault.targets)
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

  #pause(targets: readonly Target[]): (() => void) | null {
    const struck = this.#resolve(targets).filter(
      (id) => this.#cluster.node(id).isUp && !this.#cluster.node(id).isPaused,
    )
    for (const id of struck) this.#cluster.pause(id)
    if (struck.length === 0) return null
    return () => {
      for (const id of struck) this.#cluster.resume(id)
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
    for (const { id } of nodes) {
      this.#restart(id)
      this.#cluster.resume(id)
    }
  }

  #resolve(targets: readonly Target[]): number[] {
    const ids = targets.map((target) => (target === 'leader' ? (this.#cluster.busiestNode() ?? 1) : target))
    return [...new Set<number>(ids)]
  }
}
