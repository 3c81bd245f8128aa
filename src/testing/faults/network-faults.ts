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

  #setLink({ target, way, quality }: Deed & { kind: 'link' }): Undo {
    const { network, nodes } = this.#tools.cluster
    const id = this.#one(target)
    const [own, next] = [this.#tools.cluster.node(id).place, nodes[id % nodes.length]!.place]
    return way === 'out' ? network.setLink(own, next, quality) : network.setLink(next, own, quality)
  }

  #clog({ target, way }: Deed & { kind: 'clog' }): Undo {
    const { network, clientPlaces } = this.#tools.cluster
    const id = this.#one(target)
    const own = this.#tools.cluster.node(id).place
    const others = [...this.#others([id]), ...clientPlaces]
    const ways = others.map((place): Way => (way === 'out' ? [own, place] : [place, own]))
    for (const [from, to] of ways) network.clog(from, to)
    return () => {
      for (const [from, to] of ways) network.unclog(from, to)
    }
  }

  #connections({ target, how }: Deed & { kind: 'connections' }): Undo {
    const { cluster } = this.#tools
    const id = this.#one(target)
    if (!cluster.node(id).serves) return null
    if (how === 'reset') cluster.resetConnections(id)
    else cluster.forgetConnections(id)
    return () => {}
  }

  #slowDown({ target, everyMs }: Deed & { kind: 'slow reader' }): Undo {
    const { network, clientPlaces } = this.#tools.cluster
    const places = target === 'clients' ? clientPlaces : [this.#tools.cluster.node(this.#one(target)).place]
    const undos = places.map((place) => network.slowDown(place, everyMs))
    return () => {
      for (const undo of undos) undo()
    }
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
