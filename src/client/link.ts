import { HoldfastError } from '../base/errors.js'
import type { ClusterId, NodeId } from '../base/ids.js'
import { limits } from '../base/limits.js'
import type { Clock, Random } from '../base/ports.js'
import type { Reply, Request, ServerHello } from '../kv/requests.js'
import type { Call, Send } from './call.js'
import type { ClientConnection, Connector } from './ports.js'
import { Timed, type TimerWheel } from './wheel.js'

/** A node that owes answers and gave no sign of life for this long is taken for dead until it speaks: one election timeout. */
export const SILENCE_MS_MAX = limits.electionTicksMin * limits.tickMs
/** A connection that did not open by then is given up. */
const CONNECT_MS_MAX = 5_000
const RECONNECT_MS_MIN = 50
const RECONNECT_MS_MAX = 1_000
const REQUEST_ID_MAX = 0xffff_fffe

export interface LinkPorts {
  readonly connector: Connector
  readonly clock: Clock
  readonly random: Random
  readonly wheel: TimerWheel
}

/** What a link tells its owner. `lost`: were sent and not answered; `unsent`: were only queued. */
export interface LinkOwner {
  /** An error refuses the node. */
  onHello(link: NodeLink, hello: ServerHello): HoldfastError | null
  onReply(send: Send, reply: Reply): void
  onDown(link: NodeLink, ended: { lost: readonly Send[]; unsent: readonly Call[] }): void
  onSilent(link: NodeLink, ended: { open: readonly Send[]; unsent: readonly Call[] }): void
  /** Called at flush, for a call still queued: makes its request. */
  requestFor(call: Call, id: number): Request
  /** Something was queued: flush it at the end of this tick. */
  flushSoon(link: NodeLink): void
}

/** The stream to one address: what is queued for it, what is open on it, and whether it can be counted on. */
export class NodeLink extends Timed {
  readonly address: string
  /** Who answered there; null until the first hello. */
  node: NodeId | null = null
  cluster: ClusterId | null = null
  state: 'idle' | 'connecting' | 'open' | 'closed' = 'idle'
  /** Why the last connection ended or could not be made. */
  lastError: HoldfastError | null = null
  readonly #ports: LinkPorts
  readonly #owner: LinkOwner
  #connection: ClientConnection | null = null
  /** Raised with every connection, so that events of one that was given up go nowhere. */
  #attempt = 0
  #queued: Call[] = []
  readonly #open = new Map<number, Send>()
  #nextId = 1
  #silent = false
  /** Since when an answer is owed without a sign of life. */
  #owedSinceMs = 0
  #connectingSinceMs = 0
  #failures = 0
  #closedAtMs = 0
  #retryAtMs = 0

  constructor(address: string, ports: LinkPorts, owner: LinkOwner) {
    super()
    this.address = address
    this.#ports = ports
    this.#owner = owner
  }

  get openCount(): number {
    return this.#open.size
  }

  /** Answers are owed and none came for SILENCE_MS_MAX, or the connection takes that long to open. */
  get isSilent(): boolean {
    return this.#silent
  }

  /** A request given to it now has a good chance. */
  isUsable(nowMs: number): boolean {
    if (this.#silent) return false
    if (this.state === 'closed' && nowMs < this.#retryAtMs) return false
    return this.hasRoom
  }

  /** The node would refuse more than this on one connection. */
  get hasRoom(): boolean {
    return this.#open.size + this.#queued.length < limits.clientRequestsInFlightMax
  }

  /**
   * Another node names this one as a leader, so it is alive: tries that failed before (while it was restarted) say nothing of
   * now. Tries stay the least pause apart, whatever is said.
   */
  hearOf(): void {
    if (this.state !== 'closed') return
    this.#failures = 0
    this.#retryAtMs = Math.min(this.#retryAtMs, this.#closedAtMs + RECONNECT_MS_MIN)
  }

  /** Connects unless it is connected, connecting, or failed a moment ago. True if there is hope. */
  maybeConnect(): boolean {
    if (this.state === 'open' || this.state === 'connecting') return true
    if (this.#ports.clock.monotonicMs() < this.#retryAtMs) return false
    return this.connectNow()
  }

  /** Connects though the last try failed a moment ago. */
  connectNow(): boolean {
    if (this.state === 'open' || this.state === 'connecting') return true
    const { clock, connector, wheel } = this.#ports
    const nowMs = clock.monotonicMs()
    const attempt = ++this.#attempt
    this.state = 'connecting'
    this.#connectingSinceMs = nowMs
    wheel.arm(this, nowMs + SILENCE_MS_MAX)
    const isPresent = (): boolean => attempt === this.#attempt
    const connection = connector.connect(this.address, {
      onOpen: (hello) => isPresent() && this.#onOpen(hello),
      onReplies: (replies) => isPresent() && this.#onReplies(replies),
      onAlive: () => isPresent() && this.#onAlive(),
      onClose: (error) => isPresent() && this.#onClose(error),
    })
    if (!isPresent()) {
      connection.close()
      return false
    }
    this.#connection = connection
    this.flush()
    return true
  }

  /** Queues the call; it leaves with all others of this tick, or when the connection opens. */
  enqueue(call: Call): void {
    this.#queued.push(call)
    if (this.state === 'open') {
      if (this.#queued.length === 1) this.#owner.flushSoon(this)
    } else this.maybeConnect()
  }

  flush(): void {
    const connection = this.#connection
    if (this.state !== 'open' || connection === null || this.#queued.length === 0) return
    const queued = this.#queued
    this.#queued = []
    const requests: Request[] = []
    for (const call of queued) {
      // Given up or sent elsewhere while it was queued.
      if (call.state !== 'queued' || call.current?.link !== this) continue
      const id = this.#takeId()
      requests.push(this.#owner.requestFor(call, id))
      this.#open.set(id, call.current)
    }
    if (requests.length === 0) return
    if (this.#open.size === requests.length) this.#owe(this.#ports.clock.monotonicMs())
    connection.send(requests)
  }

  override onDue(nowMs: number): void {
    if (this.state === 'connecting') this.#onConnectDue(nowMs)
    else if (this.state === 'open' && this.#open.size > 0) this.#onOwedDue(nowMs)
  }

  close(): void {
    this.#ports.wheel.disarm(this)
    this.#attempt++
    this.state = 'closed'
    this.#connection?.close()
    this.#connection = null
    this.#queued = []
    this.#open.clear()
  }

  #takeId(): number {
    do {
      this.#nextId = this.#nextId > REQUEST_ID_MAX ? 1 : this.#nextId + 1
    } while (this.#open.has(this.#nextId))
    return this.#nextId
  }

  #owe(nowMs: number): void {
    this.#owedSinceMs = nowMs
    if (this.slot === 0) this.#ports.wheel.arm(this, nowMs + SILENCE_MS_MAX)
  }

  #onOpen(hello: ServerHello): void {
    const refusal = this.#owner.onHello(this, hello)
    if (refusal !== null) {
      this.#onClose(refusal)
      return
    }
    this.#ports.wheel.disarm(this)
    this.state = 'open'
    this.#silent = false
    this.#failures = 0
    this.lastError = null
    this.flush()
  }

  #onReplies(replies: readonly Reply[]): void {
    this.#silent = false
    for (const reply of replies) {
      const send = this.#open.get(reply.id)
      if (send === undefined) continue
      this.#open.delete(reply.id)
      this.#owner.onReply(send, reply)
    }
    if (this.#open.size > 0) this.#owe(this.#ports.clock.monotonicMs())
  }

  /**
   * What it owes may be slow for reasons of its own (a range that makes no progress, a replica that lags), and no other answer can come
   * while it is sent nothing: it gets another chance, of the same length.
   */
  #onAlive(): void {
    if (!this.#silent || this.state !== 'open') return
    this.#silent = false
    if (this.#open.size > 0) this.#owe(this.#ports.clock.monotonicMs())
  }

  #onClose(error: Error): void {
    const { clock, random, wheel } = this.#ports
    this.#attempt++
    this.#connection?.close()
    this.#connection = null
    this.state = 'closed'
    this.#silent = false
    this.lastError = asHoldfastError(error)
    this.#closedAtMs = clock.monotonicMs()
    const pauseMs = Math.min(RECONNECT_MS_MAX, RECONNECT_MS_MIN * 2 ** Math.min(this.#failures++, 10))
    this.#retryAtMs = this.#closedAtMs + pauseMs * (0.5 + random.next() / 2)
    wheel.disarm(this)
    const lost = [...this.#open.values()]
    this.#open.clear()
    this.#owner.onDown(this, { lost, unsent: this.#takeQueued() })
  }

  #onConnectDue(nowMs: number): void {
    const waitedMs = nowMs - this.#connectingSinceMs
    if (waitedMs >= CONNECT_MS_MAX) {
      this.#onClose(new HoldfastError('UNAVAILABLE', `${this.address} did not answer within ${CONNECT_MS_MAX} ms`))
      return
    }
    this.#ports.wheel.arm(this, this.#connectingSinceMs + CONNECT_MS_MAX)
    this.#becomeSilent()
  }

  #onOwedDue(nowMs: number): void {
    const dueMs = this.#owedSinceMs + SILENCE_MS_MAX
    if (nowMs < dueMs) this.#ports.wheel.arm(this, dueMs)
    else this.#becomeSilent()
  }

  #becomeSilent(): void {
    if (this.#silent) return
    this.#silent = true
    this.#owner.onSilent(this, { open: [...this.#open.values()], unsent: this.#takeQueued() })
  }

  #takeQueued(): Call[] {
    const queued = this.#queued.filter((call) => call.state === 'queued' && call.current?.link === this)
    this.#queued = []
    return queued
  }
}

function asHoldfastError(error: Error): HoldfastError {
  if (error instanceof HoldfastError) return error
  return new HoldfastError('UNAVAILABLE', error.message, { cause: error })
}
