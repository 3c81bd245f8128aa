import type { NodeInfo } from '../base/descriptor.js'
import type { NodeId } from '../base/ids.js'

/** Who and where the cluster's nodes are, this one included. */
export class KnownNodes {
  readonly #self: NodeInfo
  readonly #nodes = new Map<NodeId, NodeInfo>()
  /** Nodes that told of themselves and were not lost since: the index may be older than that. */
  readonly #met = new Set<NodeId>()
  readonly #onNode: (info: NodeInfo) => void

  /** `onNode` is called when a node is first heard of, or its addresses change; not for those of `born`. */
  constructor(self: NodeInfo, born: readonly NodeInfo[], onNode: (info: NodeInfo) => void) {
    this.#self = self
    this.#onNode = onNode
    for (const node of [...born, self]) this.#nodes.set(node.node, node)
  }

  get byId(): ReadonlyMap<NodeId, NodeInfo> {
    return this.#nodes
  }

  get all(): NodeInfo[] {
    return [...this.#nodes.values()]
  }

  get others(): NodeId[] {
    return [...this.#nodes.keys()].filter((node) => node !== this.#self.node)
  }

  /** A node said itself who and where it is. */
  seen(info: NodeInfo): void {
    this.#met.add(info.node)
    this.#take(info)
  }

  /**
   * The index says where a node is, perhaps from before it moved: a node that is here would be dialled in the wrong place, and
   * then hear of no leader whom it could tell.
   */
  told(info: NodeInfo): void {
    if (!this.#met.has(info.node)) this.#take(info)
  }

  /** The connection to it is gone. */
  lost(node: NodeId): void {
    this.#met.delete(node)
  }

  #take(info: NodeInfo): void {
    const known = this.#nodes.get(info.node)
    const same =
      known?.clientAddress === info.clientAddress && known.peerAddress === info.peerAddress && known.pid === info.pid
    if (same || info.node === this.#self.node) return
    this.#nodes.set(info.node, info)
    this.#onNode(info)
  }
}
