import type { NodeInfo } from '../base/descriptor.js'
import { HoldfastError } from '../base/errors.js'
import type { ClusterId, NodeId } from '../base/ids.js'
import { randomBelow } from '../base/ports.js'
import type { ServerHello } from '../kv/requests.js'
import { type LinkOwner, type LinkPorts, NodeLink } from './link.js'

/** All links of a client: to the endpoints it was given and to the nodes it heard of. One cluster only. */
export class Links {
  readonly #ports: LinkPorts
  readonly #owner: LinkOwner
  readonly #endpoints: readonly string[]
  readonly #byAddress = new Map<string, NodeLink>()
  /** The link on which a node last said hello. */
  readonly #byNode = new Map<NodeId, NodeLink>()
  readonly #nodes = new Map<NodeId, NodeInfo>()
  #cluster: ClusterId | null = null
  /** Where the search for any node starts, so that clients spread over the nodes. */
  readonly #firstLink: number
  /** Drawn per client: which replica it reads from where any will do. */
  readonly preference: number

  constructor(endpoints: readonly string[], ports: LinkPorts, owner: LinkOwner) {
    this.#ports = ports
    this.#owner = owner
    this.#endpoints = [...new Set(endpoints)]
    this.#firstLink = Math.floor(ports.random.next() * Math.max(1, this.#endpoints.length))
    this.preference = randomBelow(ports.random, 0x10000)
    for (const endpoint of this.#endpoints) this.#linkAt(endpoint)
  }

  get cluster(): ClusterId | null {
    return this.#cluster
  }

  get nodes(): readonly NodeInfo[] {
    return [...this.#nodes.values()]
  }

  /** Takes a hello; an error refuses the node that said it. */
  welcome(link: NodeLink, hello: ServerHello): HoldfastError | null {
    if (this.#cluster !== null && this.#cluster !== hello.cluster) {
      return new HoldfastError(
        'WRONG_CLUSTER',
        `${link.address} belongs to cluster ${hello.cluster}, this client to ${this.#cluster}`,
      )
    }
    this.#cluster = hello.cluster
    link.node = hello.node
    this.#byNode.set(hello.node, link)
    this.learn(hello.nodes)
    return null
  }

  learn(nodes: readonly NodeInfo[]): void {
    for (const info of nodes) {
      const known = this.#nodes.get(info.node)
      if (known !== undefined && known.clientAddress !== info.clientAddress) this.#maybeDrop(known.clientAddress)
      this.#nodes.set(info.node, info)
    }
  }

  get hasOpen(): boolean {
    for (const link of this.#byAddress.values()) if (link.state === 'open') return true
    return false
  }

  /** Undefined: nobody told us of this node. */
  forNode(node: NodeId): NodeLink | undefined {
    const greeted = this.#byNode.get(node)
    if (greeted !== undefined && greeted.state === 'open' && greeted.node === node) return greeted
    const info = this.#nodes.get(node)
    return info === undefined ? greeted : this.#linkAt(info.clientAddress)
  }

  /** A node to ask what any node knows. Another `turn` means another node: the open ones come first, then the rest. */
  any(turn: number): NodeLink | null {
    const nowMs = this.#ports.clock.monotonicMs()
    const links = this.#known()
    const rotated = [...links.slice(this.#firstLink), ...links.slice(0, this.#firstLink)]
    const usable = rotated.filter((link) => link.isUsable(nowMs))
    const open = usable.filter(({ state }) => state === 'open')
    const inOrder = [...open, ...usable.filter(({ state }) => state !== 'open')]
    return inOrder[turn % inOrder.length] ?? null
  }

  /** Every endpoint is tried that is not connected and did not fail a moment ago. */
  connectEndpoints(): void {
    for (const endpoint of this.#endpoints) this.#linkAt(endpoint).maybeConnect()
  }

  /** Why nobody answers, endpoint by endpoint. */
  describe(): string {
    return this.#known().map(describeLink).join(', ')
  }

  close(): void {
    for (const link of this.#byAddress.values()) link.close()
  }

  /** Endpoints, then addresses of nodes; an address that its node has left is not among them. */
  #known(): NodeLink[] {
    const addresses = new Set(this.#endpoints)
    for (const info of this.#nodes.values()) addresses.add(info.clientAddress)
    return [...addresses].map((address) => this.#linkAt(address))
  }

  /** A node left this address: nothing remains of it unless it is in use. */
  #maybeDrop(address: string): void {
    const link = this.#byAddress.get(address)
    if (link === undefined || link.state === 'open' || link.state === 'connecting') return
    if (!this.#endpoints.includes(address)) this.#byAddress.delete(address)
  }

  #linkAt(address: string): NodeLink {
    let link = this.#byAddress.get(address)
    if (link === undefined) {
      link = new NodeLink(address, this.#ports, this.#owner)
      this.#byAddress.set(address, link)
    }
    return link
  }
}

function describeLink({ address, isSilent, lastError, state }: NodeLink): string {
  if (state === 'open') return `${address} (${isSilent ? 'silent' : 'connected'})`
  if (lastError === null) return `${address} (${state === 'idle' ? 'not tried' : 'no answer yet'})`
  // Many messages begin with the address as it is.
  return `${address} (${lastError.message.replace(`${address}: `, '')})`
}
