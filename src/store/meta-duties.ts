import type { Descriptor, NodeInfo } from '../base/descriptor.js'
import type { NodeId, RangeId, Version } from '../base/ids.js'
import { META_RANGE, NO_VERSION } from '../base/ids.js'
import type { Command } from '../kv/types.js'
import type { Birth } from './factory.js'
import type { IdPool } from './id-pool.js'
import type { MetaIndex } from './meta-index.js'
import type { PeerMessage } from './ports.js'
import type { Replica } from './replica.js'
import type { Settled } from './replies.js'

const REPORT_EVERY_TICKS = 25
const META_PROPOSAL_BYTES = 512
/** So that reports and the commands made of them stay small; the rest follows with the next ones. */
const DESCRIPTORS_PER_REPORT = 500
/** Internal proposals wait as long as they must: whoever asked repeats or gives up by itself. */
const NO_EXPIRY = Number.POSITIVE_INFINITY

export interface MetaParts {
  readonly self: () => NodeInfo
  readonly index: MetaIndex
  readonly birth: Birth
  readonly replicas: ReadonlyMap<RangeId, Replica>
  /** Nodes to ask when no local replica knows who leads the meta range. */
  readonly others: () => readonly NodeId[]
  send(to: NodeId, message: PeerMessage): void
  touch(replica: Replica): void
}

export type JoinResult =
  | { readonly kind: 'joined'; readonly node: NodeId }
  | { readonly kind: 'redirect'; readonly leader: NodeId | null }

/**
 * The meta range is an index of what the ranges know of themselves. Whoever leads a range reports its descriptor to the node
 * that leads the meta range, again and again until the index has it; nothing else keeps the two in step, so a lost report,
 * a crash or a change of leader needs no repair.
 */
export class MetaDuties {
  readonly #parts: MetaParts
  #reportAtTick: number = REPORT_EVERY_TICKS
  #publishing = false
  readonly #pendingDescriptors = new Map<RangeId, Descriptor>()
  readonly #pendingNodes = new Map<NodeId, NodeInfo>()

  constructor(parts: MetaParts) {
    this.#parts = parts
  }

  isDue(tick: number): boolean {
    return tick >= this.#reportAtTick
  }

  /** There is news: reports with the next tick, however much of it comes until then. */
  reportSoon(): void {
    this.#reportAtTick = 0
  }

  /** Tells the meta range's leader what the index lacks, as far as this node can see. */
  report(tick: number): void {
    this.#reportAtTick = tick + REPORT_EVERY_TICKS
    const { index } = this.#parts
    const descriptors: Descriptor[] = []
    for (const replica of this.#parts.replicas.values()) {
      if (descriptors.length === DESCRIPTORS_PER_REPORT) break
      if (replica.leads && !index.has(replica.descriptor)) descriptors.push(replica.descriptor)
    }
    const self = this.#parts.self()
    const nodes = index.hasNode(self) ? [] : [self]
    if (descriptors.length + nodes.length === 0) return
    if (this.#meta?.leads) this.reported(descriptors, nodes)
    else for (const to of this.#metaLeaders()) this.#parts.send(to, { type: 'report', descriptors, nodes })
  }

  get #meta(): Replica | undefined {
    return this.#parts.replicas.get(META_RANGE)
  }

  #metaLeaders(): readonly NodeId[] {
    if (this.#meta === undefined) return this.#parts.others()
    return this.#meta.leaderNode === null ? [] : [this.#meta.leaderNode]
  }

  /** A report arrived: publish what is news, one command at a time. */
  reported(descriptors: readonly Descriptor[], nodes: readonly NodeInfo[]): void {
    for (const descriptor of descriptors) {
      if (!this.#parts.index.has(descriptor)) this.#pendingDescriptors.set(descriptor.range, descriptor)
    }
    for (const node of nodes) if (!this.#parts.index.hasNode(node)) this.#pendingNodes.set(node.node, node)
    this.#publish()
  }

  #publish(): void {
    if (this.#publishing || this.#pendingDescriptors.size + this.#pendingNodes.size === 0) return
    // The first publish names all ranges and nodes of birth in one command: only that sets up the counters of ids.
    const { nodes: bornNodes, ranges: bornRanges } = this.#parts.index.isEmpty
      ? this.#parts.birth
      : { nodes: [], ranges: [] }
    const descriptors = [...bornRanges, ...this.#pendingDescriptors.values()]
    const nodes = [...bornNodes, ...this.#pendingNodes.values()]
    this.#pendingDescriptors.clear()
    this.#pendingNodes.clear()
    this.#publishing = true
    const make = (version: Version): Command => ({ kind: 'publish', version, descriptors, nodes })
    this.#propose(make, META_PROPOSAL_BYTES * (descriptors.length + nodes.length), () => {
      this.#publishing = false
      this.#publish()
    })
  }

  #propose(make: (version: Version) => Command, bytes: number, settle: (settled: Settled | null) => void): void {
    const meta = this.#meta
    if (meta === undefined || !meta.leads) return settle(null)
    const taken = meta.proposals.offer({
      make,
      settle,
      bytes,
      seen: NO_VERSION,
      expiresAt: NO_EXPIRY,
      endsEntry: false,
    })
    if (taken) this.#parts.touch(meta)
    else settle(null)
  }

  // ---- ids ----

  /** Hands out `count` range ids; `done(null)` if this node cannot (it does not lead the meta range). */
  allocateRanges(count: number, done: (first: number | null) => void): void {
    this.#propose(
      (version) => ({ kind: 'allocate', version, counter: 'range', count, token: null }),
      META_PROPOSAL_BYTES,
      (settled) => done(settled?.kind === 'allocated' ? settled.first : null),
    )
  }

  /** Asks for range ids on behalf of this node's pool. */
  requestIds(pool: IdPool, request: number, count: number): void {
    if (this.#meta?.leads) return this.allocateRanges(count, (first) => pool.allocated(request, first))
    for (const to of this.#metaLeaders()) this.#parts.send(to, { type: 'allocate', request, count })
  }

  // ---- joining ----

  /** Gives a new node its id: the same token gets the same id again. */
  join(
    request: { token: string; clientAddress: string; peerAddress: string; pid: number },
    done: (result: JoinResult) => void,
  ): void {
    const redirect = () => done({ kind: 'redirect', leader: this.#meta?.leaderNode ?? null })
    if (!this.#meta?.leads) return redirect()
    const { token, clientAddress, peerAddress, pid } = request
    this.#propose(
      (version) => ({ kind: 'allocate', version, counter: 'node', count: 1, token }),
      META_PROPOSAL_BYTES,
      (settled) => {
        if (settled?.kind !== 'allocated') return redirect()
        const node = settled.first as NodeId
        this.reported([], [{ node, clientAddress, peerAddress, pid }])
        done({ kind: 'joined', node })
      },
    )
  }
}
