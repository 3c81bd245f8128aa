import { assertNever } from '../../base/assert.js'
import type { Deed, Fault, PartitionShape, Target } from '../fault-plan.js'
import type { Place } from '../network.js'
import type { FaultTools, Undo } from './tools.js'

export type NetworkFault = Fault & { kind: 'partition' | 'links' | 'link' | 'clog' | 'connections' | 'slow reader' }

type Way = readonly [from: Place, to: Place]
type Partition = Deed & { kind: 'partition' }

/** Does to the network what a plan says. */
export class NetworkFaults {
  readonly #tools: FaultTools

  constructor(tools: FaultTools) {
    this.#tools = tools
  }

  do(fault: NetworkFault): Undo {
    switch (fault.kind) {
      case 'partition':
        return this.#partition(fault)
      case 'links':
        return this.#setLinks(fault)
      case 'link':
        return this.#setLink(fault)
      case 'clog':
        return this.#clog(fault)
      case 'connections':
        return this.#connections(fault)
      case 'slow reader':
        return this.#slowDown(fault)
      default:
        return assertNever(fault)
    }
  }

  /** False: it stands between nodes of which one is down, and changes nothing before that one starts. */
  isFelt(fault: Fault): boolean {
    switch (fault.kind) {
      case 'partition':
        return this.#waysOf(fault).some((way) => this.#run(way))
      case 'link':
        return this.#run(this.#wayOfLink(fault))
      case 'clog':
        return this.#waysOfClog(fault).some((way) => this.#run(way))
      case 'slow reader':
        return this.#run(this.#readers(fault))
      default:
        return true
    }
  }

  /** Clients always do. */
  #run(places: readonly Place[]): boolean {
    return this.#tools.cluster.nodes.every(({ place, isUp }) => isUp || !places.includes(place))
  }

  heal(): void {
    const { cluster, plan } = this.#tools
    cluster.network.healAll()
    cluster.network.quality = plan.quality
  }

  #partition(fault: Partition & Fault): Undo {
    const { network, scheduler } = this.#tools.cluster
    const ways = this.#waysOf(fault)
    if (ways.length === 0) return null
    let isCut = false
    let isOver = false
    const cut = (): void => {
      isCut = !isCut
      for (const [from, to] of ways) {
        if (isCut) network.block(from, to)
        else network.unblock(from, to)
      }
    }
    const flap = (everyMs: number): void => {
      if (isOver) return
      cut()
      scheduler.schedule(everyMs, () => flap(everyMs))
    }
    if (fault.flapMs === undefined) cut()
    else flap(fault.flapMs)
    return () => {
      isOver = true
      if (isCut) cut()
    }
  }

  #waysOf({ shape, targets }: Partition): readonly Way[] {
    const ids = this.#tools.resolve(targets)
    const { nodes } = this.#tools.cluster
    switch (shape) {
      case 'halves':
        return cutBetween(nodes.filter(({ id }) => ids.includes(id)).map(placeOf), this.#others(ids))
      case 'ring':
        return this.#ring()
      case 'bridge':
        return this.#bridge(ids[0]!)
      default:
        return ids.flatMap((id) => this.#waysAround(shape, id))
    }
  }

  #others(ids: readonly number[]): Place[] {
    return this.#tools.cluster.nodes.filter(({ id }) => !ids.includes(id)).map(placeOf)
  }

  /** Each node only hears the two beside it. */
  #ring(): readonly Way[] {
    const places = this.#tools.cluster.nodes.map(placeOf)
    return places.flatMap((place, at) => {
      const beside = [places.at(at - 1), places[(at + 1) % places.length]]
      return places
        .filter((other) => other !== place && !beside.includes(other))
        .map((other) => [place, other] as const)
    })
  }

  /** The others fall into two halves, and only one node hears both. */
  #bridge(id: number): readonly Way[] {
    const others = this.#others([id])
    const half = others.length >> 1
    return cutBetween(others.slice(0, half), others.slice(half))
  }

  #waysAround(shape: Exclude<PartitionShape, 'halves' | 'ring' | 'bridge'>, id: number): readonly Way[] {
    const { nodes, clientPlaces } = this.#tools.cluster
    const own = this.#tools.cluster.node(id).place
    const others = this.#others([id])
    switch (shape) {
      case 'isolate':
        return cutBetween([own], [...others, ...clientPlaces])
      case 'peers':
        return cutBetween([own], others)
      case 'clients':
        return cutBetween([own], clientPlaces)
      case 'deaf':
        return others.map((place) => [place, own])
      case 'mute':
        return others.map((place) => [own, place])
      case 'pair':
        return cutBetween([own], [nodes[id % nodes.length]!.place])
    }
  }

  #setLinks({ quality }: Deed & { kind: 'links' }): Undo {
    const { cluster, plan } = this.#tools
    const { network } = cluster
    network.quality = quality
    return () => {
      // A later fault's quality stays until it ends itself.
      if (network.quality === quality) network.quality = plan.quality
    }
  }

  #setLink(fault: Deed & { kind: 'link' }): Undo {
    const [from, to] = this.#wayOfLink(fault)
    return this.#tools.cluster.network.setLink(from, to, fault.quality)
  }

  #wayOfLink({ target, way }: Deed & { kind: 'link' }): Way {
    const { cluster } = this.#tools
    const id = this.#one(target)
    const [own, next] = [cluster.node(id).place, cluster.nodes[id % cluster.nodes.length]!.place]
    return way === 'out' ? [own, next] : [next, own]
  }

  #clog(fault: Deed & { kind: 'clog' }): Undo {
    const { network } = this.#tools.cluster
    const ways = this.#waysOfClog(fault)
    for (const [from, to] of ways) network.clog(from, to)
    return () => {
      for (const [from, to] of ways) network.unclog(from, to)
    }
  }

  #waysOfClog({ target, way }: Deed & { kind: 'clog' }): readonly Way[] {
    const { cluster } = this.#tools
    const id = this.#one(target)
    const own = cluster.node(id).place
    const others = [...this.#others([id]), ...cluster.clientPlaces]
    return others.map((place) => (way === 'out' ? [own, place] : [place, own]))
  }

  #connections({ target, how }: Deed & { kind: 'connections' }): Undo {
    const { cluster } = this.#tools
    const id = this.#one(target)
    if (!cluster.node(id).serves) return null
    if (how === 'reset') cluster.resetConnections(id)
    else cluster.forgetConnections(id)
    return () => {}
  }

  #slowDown(fault: Deed & { kind: 'slow reader' }): Undo {
    const { network } = this.#tools.cluster
    const undos = this.#readers(fault).map((place) => network.slowDown(place, fault.everyMs))
    return () => {
      for (const undo of undos) undo()
    }
  }

  #readers({ target }: Deed & { kind: 'slow reader' }): readonly Place[] {
    const { cluster } = this.#tools
    return target === 'clients' ? cluster.clientPlaces : [cluster.node(this.#one(target)).place]
  }

  #one(target: Target): number {
    return this.#tools.resolve([target])[0]!
  }
}

function placeOf({ place }: { readonly place: Place }): Place {
  return place
}

/** Both ways between every one of `some` and every one of `others`. */
function cutBetween(some: readonly Place[], others: readonly Place[]): readonly Way[] {
  return some.flatMap((a) =>
    others.flatMap((b): Way[] => [
      [a, b],
      [b, a],
    ]),
  )
}
