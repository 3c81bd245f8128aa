import type { NodeInfo } from '../base/descriptor.js'
import { HoldfastError } from '../base/errors.js'
import type { NodeId } from '../base/ids.js'
import type { Fatal, Logger } from '../base/ports.js'
import type { Identity } from '../storage/identity.js'
import { callBirth, callIdentify, callJoin } from '../transport/peer-calls.js'
import type { BirthDocument, JoinAnswer, JoinRequest, NodeIdentification } from '../transport/peer-types.js'
import { ProblemLog } from '../transport/problem-log.js'
import { type BirthOptions, drawBirth } from './birth.js'
import { refuseForeignCluster } from './join-check.js'
import { newClusterId, realClock } from './real-ports.js'

const RETRY_MS = 300
const IDENTIFY_DEADLINE_MS = 5_000
/** About as often as a node that is away is dialled where it was. */
const LOOK_EVERY_MS = 1_000

export interface MembershipParts {
  readonly identity: Identity
  readonly self: () => { clientAddress: string; peerAddress: string }
  /** Peer addresses named by --join. */
  readonly join: readonly string[]
  readonly logger: Logger
  readonly fatal: Fatal
  /** Writes the identity down, durably. */
  save(identity: Identity): Promise<void>
  /** The node knows who it is: bring its store up. */
  becomeMember(identity: Identity): Promise<void>
  /** All nodes that this one knows, itself included; none while it is no member. */
  nodes(): readonly NodeInfo[]
  isConnected(node: NodeId): boolean
  /** A node said itself who and where it is. */
  nodeSeen(info: NodeInfo): void
  /** Asks the running store for a node id; null while it does not run. */
  admit(request: JoinRequest): Promise<JoinAnswer> | null
}

/**
 * How a node gets its identity: from the birth of a cluster (it was told `init`, or another node was and sent the document), or by
 * joining one. Whoever has answered one birth refuses every other cluster for ever.
 */
export class Membership {
  readonly #parts: MembershipParts
  readonly #problems: ProblemLog
  #identity: Identity
  #becoming: Promise<void> | null = null
  /** `init` said again while it is under way is the same one. */
  #birthGiven: Promise<void> | null = null
  #stopped = false
  readonly #timers = new Set<() => void>()

  constructor(parts: MembershipParts) {
    this.#parts = parts
    this.#problems = new ProblemLog(parts.logger)
    this.#identity = parts.identity
  }

  get identity(): Identity {
    return this.#identity
  }

  /** Continues where the last start ended: serve, or look for a cluster to join. */
  async start(): Promise<void> {
    if (this.#identity.cluster === null) return this.#repeat(() => this.#tryJoin())
    await refuseForeignCluster(this.#identity, this.#others)
    await this.#become(this.#identity)
    this.#repeat(() => this.#deliverBirth())
    this.#repeat(() => this.#findOthers(), LOOK_EVERY_MS)
  }

  /** From now on the node becomes a member of nothing; resolves once what it was just becoming is open. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const cancel of this.#timers) cancel()
    await this.#becoming?.catch(() => {})
  }

  /** Whom --join names, without this node itself. */
  get #others(): readonly string[] {
    return this.#parts.join.filter((address) => address !== this.#parts.self().peerAddress)
  }

  /** Throws UNAVAILABLE while the node's addresses are not known yet: a cluster must not be born with a node that nobody can reach. */
  identify(): NodeIdentification {
    const { cluster, node, token } = this.#identity
    const addresses = this.#parts.self()
    if (addresses.peerAddress === '') throw new HoldfastError('UNAVAILABLE', 'this node is just starting')
    return { token, cluster, node, pid: process.pid, ...addresses, nodes: this.#parts.nodes() }
  }

  // ---- birth ----

  /** `holdfast init`: this node and those it was told to join become a cluster. The same answer when it was one before. */
  async init(options: BirthOptions): Promise<{ cluster: string; nodes: readonly NodeInfo[] }> {
    if (this.#identity.cluster === null) {
      this.#birthGiven ??= this.#giveBirth(options).finally(() => {
        this.#birthGiven = null
      })
      await this.#birthGiven
    }
    // It may be on its way to the disk only.
    await this.#becoming
    const { cluster, birth } = this.#identity
    return { cluster: cluster!, nodes: birth?.nodes ?? [] }
  }

  async #giveBirth(options: BirthOptions): Promise<void> {
    const members = await this.#gather()
    // One of another node may have come in meanwhile.
    if (this.#identity.cluster === null) await this.birth(drawBirth(newClusterId(), members, options))
  }

  /** Everyone who is to be born: all must answer and none may belong to a cluster yet. */
  async #gather(): Promise<NodeIdentification[]> {
    const others = this.#others
    const found = await Promise.allSettled(
      others.map((address) => callIdentify(address, { deadlineMs: IDENTIFY_DEADLINE_MS })),
    )
    const silent = others.filter((_, at) => found[at]!.status === 'rejected')
    if (silent.length > 0) {
      throw new HoldfastError(
        'UNAVAILABLE',
        `init: no answer from ${silent.join(', ')}: start these nodes first, or leave them out of --join`,
      )
    }
    const members = found.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
    const taken = members.find((member) => member.cluster !== null)
    if (taken !== undefined) {
      throw new HoldfastError(
        'WRONG_CLUSTER',
        `init: ${taken.peerAddress} already belongs to cluster ${taken.cluster}. To add this node to that cluster, just start it with --join ${taken.peerAddress}`,
      )
    }
    // A node may be named twice, and this one under another name: it is one all the same.
    return [...new Map([this.identify(), ...members].map((member) => [member.token, member])).values()]
  }

  /** Takes the document, once. It is on disk before this returns: from then on the node refuses another cluster. */
  async birth(document: BirthDocument): Promise<void> {
    const { cluster, token } = this.#identity
    if (cluster !== null && cluster !== document.cluster) {
      throw new HoldfastError('WRONG_CLUSTER', `this node belongs to cluster ${cluster}, not to ${document.cluster}`)
    }
    if (cluster === null) {
      const own = document.tokens.find((each) => each.token === token)
      if (own === undefined) {
        throw new HoldfastError(
          'WRONG_CLUSTER',
          `cluster ${document.cluster} was not made for the data directory of this node`,
        )
      }
      const { nodes, ranges, tokens } = document
      const identity = {
        ...this.#identity,
        cluster: document.cluster,
        node: own.node,
        birth: { nodes: [...nodes], ranges: [...ranges], tokens: [...tokens] },
      }
      await this.#adopt(identity)
      // Not only by the node that was told `init`: it may be gone for good, or not reach a member that this one does.
      this.#repeat(() => this.#deliverBirth())
    }
    await this.#becoming
  }

  async #adopt(identity: Identity): Promise<void> {
    if (this.#stopped) throw new HoldfastError('UNAVAILABLE', 'this node is stopping')
    const before = this.#identity
    // Set before the first await: a second document that arrives meanwhile is compared with this one.
    this.#identity = identity
    this.#becoming = this.#saveAndBecome(identity, before)
    await this.#becoming
  }

  async #saveAndBecome(identity: Identity, before: Identity): Promise<void> {
    try {
      await this.#parts.save(identity)
    } catch (error) {
      this.#identity = before
      throw error
    }
    // The cluster counts on this node from here on: it serves, or ends by name.
    await this.#parts.becomeMember(identity).catch((error: unknown) => this.#parts.fatal('cannot serve', error))
  }

  async #become(identity: Identity): Promise<void> {
    this.#becoming = this.#parts.becomeMember(identity)
    await this.#becoming
  }

  /** Sends the document to members that have not taken it yet: the node that was told `init` may have died half way. */
  async #deliverBirth(): Promise<boolean> {
    const { birth, node } = this.#identity
    // Who joined later has no tokens: the members themselves see to it.
    const others = birth === null || birth.tokens.length === 0 ? [] : birth.nodes.filter((each) => each.node !== node)
    const delivered = await Promise.all(others.map((each) => this.#deliverTo(each)))
    return delivered.every((each) => each)
  }

  async #deliverTo({ node, peerAddress }: Pick<NodeInfo, 'node' | 'peerAddress'>): Promise<boolean> {
    const { cluster, birth } = this.#identity
    // A node that lost its replicas does not know any more what the others began with.
    if (cluster === null || birth === null || birth.ranges.length === 0) return true
    const document: BirthDocument = { cluster, ...birth }
    try {
      const there = await callIdentify(peerAddress, { deadlineMs: IDENTIFY_DEADLINE_MS })
      if (there.cluster === document.cluster) return true
      const problem = notDeliverable(there, document, node)
      if (problem === null) await callBirth(peerAddress, document, { deadlineMs: IDENTIFY_DEADLINE_MS })
      else this.#problems.maybeLog(`node ${node} at ${peerAddress}`, problem)
      return true
    } catch (error) {
      this.#parts.logger.log('debug', 'birth not delivered yet', { node, peerAddress, error: String(error) })
      return false
    }
  }

  /** Not before the document is on disk here. */
  async #handOver(to: { node: NodeId; peerAddress: string }): Promise<void> {
    const isWritten = await this.#becoming?.then(() => true).catch(() => false)
    if (isWritten && !this.#stopped) await this.#deliverTo(to)
  }

  // ---- joining ----

  async join(request: JoinRequest): Promise<JoinAnswer> {
    const { birth, cluster } = this.#identity
    const { peerAddress } = request
    // A member of the birth has not got its document yet, or its old address was tried: told by its token, wherever it is now.
    const lacking = birth?.tokens.find(({ token }) => token === request.token)
    if (lacking !== undefined) {
      void this.#handOver({ node: lacking.node, peerAddress })
      return { kind: 'notInitialised' }
    }
    // One that comes with another token lost its disk: it gets no second identity here.
    const member = birth?.nodes.find((each) => each.peerAddress === peerAddress)
    const isKnown = birth?.tokens.some(({ node }) => node === member?.node) ?? false
    if (!isKnown) return (await this.#parts.admit(request)) ?? { kind: 'notInitialised' }
    throw new HoldfastError(
      'NOT_PERMITTED',
      `${peerAddress} is node ${member?.node} of cluster ${cluster}, but its data directory is another one than ` +
        'that node was made with: it may have forgotten what it promised and is kept out. Give it the old data directory, or ' +
        `run \`holdfast node rejoin --data DIRECTORY --node ${member?.node} --join ${this.#parts.self().peerAddress}\`; with ` +
        'another peer address it joins as a new node',
    )
  }

  async #tryJoin(): Promise<boolean> {
    const { clientAddress, peerAddress } = this.#parts.self()
    const request: JoinRequest = { token: this.#identity.token, clientAddress, peerAddress, pid: process.pid }
    for (const address of this.#others) {
      // A birth may have come in meanwhile.
      if (this.#stopped || this.#identity.cluster !== null) return true
      const problem = await this.#joinThrough(address, request)
      if (problem === null) return true
      this.#problems.maybeLog(`join ${address}`, problem)
    }
    return false
  }

  /** Null once the node belongs to a cluster, else why it does not yet. */
  async #joinThrough(address: string, request: JoinRequest): Promise<string | null> {
    try {
      let answer = await callJoin(address, request, { deadlineMs: IDENTIFY_DEADLINE_MS })
      if (answer.kind === 'redirect') {
        answer = await callJoin(answer.peerAddress, request, { deadlineMs: IDENTIFY_DEADLINE_MS })
      }
      if (this.#identity.cluster !== null) return null
      if (answer.kind !== 'joined') return 'there is no cluster yet: waiting for `holdfast init`'
      const birth = { nodes: [...answer.nodes], ranges: [], tokens: [] }
      await this.#adopt({ ...this.#identity, cluster: answer.cluster, node: answer.node, birth })
      return null
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      const isRefused = error instanceof HoldfastError && error.code === 'NOT_PERMITTED'
      return isRefused ? message : `no answer yet: ${message}`
    }
  }

  // ---- finding nodes that moved ----

  /**
   * A node that moved tells the others, where it finds them; those that moved as well it finds by --join alone. Never done: who was
   * connected may move later. Whoever has not moved since it became a member needs none of this, the others know where it is.
   */
  async #findOthers(): Promise<boolean> {
    const others = this.#parts.nodes().filter(({ node }) => node !== this.#identity.node)
    const connected = others.filter(({ node }) => this.#parts.isConnected(node))
    if (connected.length === others.length) return false
    const settled = new Set(connected.map(({ peerAddress }) => peerAddress))
    const asked = this.#others.filter((address) => !settled.has(address))
    await Promise.all(asked.map((address) => this.#askWhoIsAt(address)))
    return false
  }

  /**
   * What a node says of itself wins over the index, which may be from before it moved, until a connection with it is lost. While
   * there is none this is asked again, so that an old row of the index does not stay.
   */
  async #askWhoIsAt(address: string): Promise<void> {
    const there = await callIdentify(address, { deadlineMs: IDENTIFY_DEADLINE_MS }).catch(() => null)
    const { cluster, node: own } = this.#identity
    if (this.#stopped || there === null || there.cluster !== cluster) return
    const { node, clientAddress, peerAddress, pid } = there
    if (node === null || node === own || this.#parts.isConnected(node)) return
    this.#parts.nodeSeen({ node, clientAddress, peerAddress, pid })
  }

  #repeat(attempt: () => Promise<boolean>, everyMs = RETRY_MS): void {
    if (this.#stopped) return
    void attempt().then((done) => {
      if (done || this.#stopped) return
      const cancel = realClock.setTimer(everyMs, () => {
        this.#timers.delete(cancel)
        this.#repeat(attempt, everyMs)
      })
      this.#timers.add(cancel)
    })
  }
}

/** Why the node that answers is not given the document, or null. Handing it over again would bring the same. */
function notDeliverable(there: NodeIdentification, document: BirthDocument, node: NodeId): string | null {
  if (there.cluster !== null) {
    return `belongs to cluster ${there.cluster}, expected ${document.cluster}: it was told another \`holdfast init\`, and is missing here`
  }
  if (there.token === document.tokens.find((each) => each.node === node)?.token) return null
  return 'came back with another data directory than it was made with: it may have forgotten what it promised and is kept out'
}
