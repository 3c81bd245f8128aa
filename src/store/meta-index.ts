import type { Descriptor, NodeInfo } from '../base/descriptor.js'
import type { Key, NodeId, RangeId } from '../base/ids.js'
import { DESCRIPTOR_SPAN, decodeDescriptor, decodeNode, NODE_SPAN } from '../kv/meta.js'
import type { StateRecord } from '../kv/types.js'
import { RangeMap } from '../range/range-map.js'
import { contains } from '../range/span.js'

/** The meta range's contents in memory, on the nodes that hold a replica of it: kept up by what its machine applies. */
export class MetaIndex {
  #ranges = new RangeMap<Descriptor>((descriptor) => descriptor)
  readonly #byId = new Map<RangeId, Descriptor>()
  readonly #nodes = new Map<NodeId, NodeInfo>()

  /** Takes a record of the meta range, in log order. Returns the node that it tells of, if it does. */
  applied(record: Pick<StateRecord, 'key' | 'value'>): NodeInfo | null {
    if (record.value === null) return null
    if (contains(DESCRIPTOR_SPAN, record.key)) {
      const descriptor = decodeDescriptor(record.value)
      this.#ranges.insert(descriptor)
      // At a start they come in key order: where a split is indexed by half, the undivided range stands behind its own first half.
      if (!this.has(descriptor)) this.#byId.set(descriptor.range, descriptor)
    } else if (contains(NODE_SPAN, record.key)) {
      const node = decodeNode(record.value)
      this.#nodes.set(node.node, node)
      return node
    }
    return null
  }

  /** A snapshot of the meta range was installed: these are its records, in key order. */
  replace(records: readonly Pick<StateRecord, 'key' | 'value'>[]): void {
    this.#ranges = new RangeMap<Descriptor>((descriptor) => descriptor)
    this.#byId.clear()
    this.#nodes.clear()
    for (const record of records) this.applied(record)
  }

  /** Nothing was ever published. */
  get isEmpty(): boolean {
    return this.#byId.size === 0
  }

  get nodes(): readonly NodeInfo[] {
    return [...this.#nodes.values()]
  }

  /** Whether the index has this descriptor, or a newer one of its range. */
  has(descriptor: Descriptor): boolean {
    const known = this.#byId.get(descriptor.range)
    if (known === undefined || known.generation < descriptor.generation) return false
    return known.generation > descriptor.generation || known.epoch >= descriptor.epoch
  }

  hasNode(info: NodeInfo): boolean {
    const known = this.#nodes.get(info.node)
    return (
      known !== undefined &&
      known.clientAddress === info.clientAddress &&
      known.peerAddress === info.peerAddress &&
      known.pid === info.pid
    )
  }

  /** Up to `limit` descriptors that cover [from, …), in key order. */
  from(from: Key, limit: number): readonly Descriptor[] {
    return this.#ranges.overlapping({ start: from, end: null }).slice(0, limit)
  }
}
