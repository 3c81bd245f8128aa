import type { NodeInfo } from '../base/descriptor.js'
import { HoldfastError } from '../base/errors.js'
import type { NodeId } from '../base/ids.js'
import type { Logger } from '../base/ports.js'
import type { Identity } from '../storage/identity.js'
import { callBirth, callIdentify, callJoin } from '../transport/peer-calls.js'
import type { BirthDocument, JoinAnswer, JoinRequest, NodeIdentification } from '../transport/peer-types.js'
import { type BirthOptions, drawBirth } from './birth.js'
import { newClusterId, realClock } from './real-ports.js'

const RETRY_MS = 300
const IDENTIFY_DEADLINE_MS = 5_000

export interface MembershipParts {
  readonly identity: Identity
  readonly self: () => { clientAddress: string; peerAddress: string }
  /** Peer addresses named by --join. */
  readonly join: readonly string[]
  readonly logger: Logger
  /** Writes the identity down, durably. */
  save(identity: Identity): Promise<void>
  /** The node knows who it is: bring its store up. */
  becomeMember(identity: Identity): Promise<void>
  /** Asks the running store for a node id; null while it does not run. */
  admit(request: JoinRequest): Promise<JoinAnswer> | null
}

/**
 * How a node gets its identity: from the birth of a cluster (it was told `init`, or another node was and sent the document), or by
 * joining one. Whoever has answered one birth refuses every other cluster for ever.
 */
export class Membership {
  readonly #parts: MembershipParts
  #identity: Identity
  #becoming: Promise<void> | null = null
  #stopped = false
  #cancelTimer: () => void = () => {}

  constructor(parts: MembershipParts) {
    this.#parts = parts
    this.#identity = parts.identity
  }

  get identity(): Identity {
    return this.#identity
  }

  /** Continues where the last start ended: serve, or look for a cluster to join. */
  async start(): Promise<void> {
    if (this.#identity.cluster !== null) await this.#become(this.#identity)
    if (this.#identity.cluster === null) this.#repeat(() => this.#tryJoin())
    else this.#repeat(() => this.#deliverBirth())
  }

  stop(): void {
    this.#stopped = true
    this.#cancelTimer()
  }

  identify(): NodeIdentification {
    const { cluster, node, token } = this.#identity
    return { token, cluster, node, pid: process.pid, ...this.#parts.self() }
  }

  // ---- birth ----

  /** `holdfast init`: this node and those it was told to join become a cluster. The same answer when it was one before. */
  async init(options: BirthOptions): Promise<{ cluster: string; nodes: readonly NodeInfo[] }> {
    if (this.#identity.cluster === null) {
      const members = await this.#gather()
      const document = drawBirth(newClusterId(), members, options)
      await this.birth(document)
      this.#repeat(() => this.#deliverBirth())
    }
    const { cluster, birth } = this.#identity
    return { cluster: cluster!, nodes: birth?.nodes ?? [] }
  }

  /** Everyone who is to be born: all must answer and none may belong to a cluster yet. */
  async #gather(): Promise<NodeIdentification[]> {
    const others = this.#parts.join.filter((address) => address !== this.#parts.self().peerAddress)
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
    return [this.identify(), ...members]
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
    }
    await this.#becoming
  }

  async #adopt(identity: Identity): Promise<void> {
    // Set before the first await: a second document that arrives meanwhile is compared with this one.
    this.#identity = identity
    await this.#parts.save(identity)
    await this.#become(identity)
  }

  #become(identity: Identity): Promise<void> {
    this.#becoming ??= this.#parts.becomeMember(identity)
    return this.#becoming
  }

  /** Sends the document to members that have not taken it yet: the node that was told `init` may have died half way. */
  async #deliverBirth(): Promise<boolean> {
    const { cluster, birth, node } = this.#identity
    if (cluster === null || birth === null) return true
    const document: BirthDocument = { cluster, ...birth }
    const others = birth.nodes.filter((each) => each.node !== node)
    const delivered = await Promise.all(others.map((each) => this.#deliverTo(each, document)))
    return delivered.every((each) => each)
  }

  async #deliverTo({ node, peerAddress }: NodeInfo, document: BirthDocument): Promise<boolean> {
    try {
      const there = await callIdentify(peerAddress, { deadlineMs: IDENTIFY_DEADLINE_MS })
      if (there.cluster !== null) return true
      const expected = document.tokens.find((each) => each.node === node)?.token
      if (there.token !== expected) {
        this.#parts.logger.log(
          'warn',
          'a member came back with an empty data directory: it may have forgotten what it promised and is kept out',
          { node, peerAddress },
        )
        return true
      }
      await callBirth(peerAddress, document, { deadlineMs: IDENTIFY_DEADLINE_MS })
      return true
    } catch (error) {
      this.#parts.logger.log('debug', 'birth not delivered yet', { node, peerAddress, error: String(error) })
      return false
    }
  }

  // ---- joining ----

  async join(request: JoinRequest): Promise<JoinAnswer> {
    // A member of the birth that asks to join has not got its document yet, or lost its disk: it gets no second identity here.
    const isMember = this.#identity.birth?.nodes.some((each) => each.peerAddress === request.peerAddress) ?? false
    if (isMember) return { kind: 'notInitialised' }
    return (await this.#parts.admit(request)) ?? { kind: 'notInitialised' }
  }

  async #tryJoin(): Promise<boolean> {
    // A birth may have come in since the last attempt.
    if (this.#identity.cluster !== null) return true
    const { clientAddress, peerAddress } = this.#parts.self()
    const request: JoinRequest = { token: this.#identity.token, clientAddress, peerAddress, pid: process.pid }
    for (const address of this.#parts.join) {
      if (address === peerAddress) continue
      try {
        if (await this.#joinThrough(address, request)) return true
      } catch (error) {
        this.#parts.logger.log('info', 'no answer yet', {
          join: address,
          error: error instanceof Error ? error.message : String(error),
        })
      }
    }
    return false
  }

  async #joinThrough(address: string, request: JoinRequest): Promise<boolean> {
    let answer = await callJoin(address, request, { deadlineMs: IDENTIFY_DEADLINE_MS })
    if (answer.kind === 'redirect')
      answer = await callJoin(answer.peerAddress, request, { deadlineMs: IDENTIFY_DEADLINE_MS })
    if (answer.kind !== 'joined') return false
    if (this.#identity.cluster !== null) return true
    const birth = { nodes: [...answer.nodes], ranges: [], tokens: [] }
    await this.#adopt({ ...this.#identity, cluster: answer.cluster, node: answer.node as NodeId, birth })
    return true
  }

  #repeat(attempt: () => Promise<boolean>): void {
    if (this.#stopped || (this.#identity.cluster === null && this.#parts.join.length === 0)) return
    void attempt().then((done) => {
      if (done || this.#stopped) return
      this.#cancelTimer = realClock.setTimer(RETRY_MS, () => this.#repeat(attempt))
    })
  }
}
