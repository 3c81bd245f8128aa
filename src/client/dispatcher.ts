import { assert } from '../base/assert.js'
import { HoldfastError } from '../base/errors.js'
import type { Key, SessionId, Version } from '../base/ids.js'
import { limits } from '../base/limits.js'
import type { Clock, Random } from '../base/ports.js'
import type { Reply, ReplyError, Request, ServerHello } from '../kv/requests.js'
import { contains } from '../range/span.js'
import type { RangeBody, Send } from './call.js'
import { anchorOf, type Body, type Call, type CallOptions, type CallOwner, type Ending, type GetBody } from './call.js'
import { Calls } from './calls.js'
import { crossesRanges, errorOf, isDefinite, isRetried } from './errors.js'
import { deadlineError } from './expiry.js'
import type { LinkOwner, NodeLink } from './link.js'
import { Links } from './links.js'
import { type GetPart, halves, partsByRange } from './parts.js'
import { pickLink } from './picker.js'
import type { Connector } from './ports.js'
import { requestOf } from './requests.js'
import { type CachedRoute, keyBelow, RouteCache } from './route-cache.js'
import { RouteFinder } from './route-finder.js'
import { TimerWheel } from './wheel.js'

/** A send not answered for this long goes to another replica as well, though its node may answer others. */
const PATIENCE_MS = 2 * limits.electionTicksMax * limits.tickMs
const PAUSE_MS_MIN = 8
const PAUSE_MS_MAX = 100
/** Tries in a row without a pause: one to follow a correction, one more for what that one brings. */
const REDIRECTS_MAX = 2
/** After so many pauses a route is learned anew, and with it the addresses of its nodes. */
const PAUSES_PER_ROUTE = 4

export interface ClientCoreOptions {
  readonly connector: Connector
  /** host:port of one or more nodes; the others are learned from them. */
  readonly endpoints: readonly string[]
  readonly clock: Clock
  readonly random: Random
  /** Milliseconds, for calls that name no deadline of their own. */
  readonly defaultDeadlineMs: number
  newSessionId(): SessionId
}

/**
 * Finds the way of every call: range, link, answer or another try. Calls only queue; at the end of the tick each link is
 * flushed once, so that what was asked in one tick leaves for a node as one message.
 */
export class Dispatcher implements CallOwner, LinkOwner {
  readonly #clock: Clock
  readonly #random: Random
  readonly #wheel: TimerWheel
  readonly #calls: Calls
  readonly #finder: RouteFinder
  readonly #routes = new RouteCache()
  readonly #links: Links
  #unflushed: NodeLink[] = []
  #lastHello: ServerHello | null = null

  constructor(options: ClientCoreOptions) {
    const { clock, connector, defaultDeadlineMs, endpoints, random } = options
    assert(endpoints.length > 0, 'a client has an endpoint')
    this.#clock = clock
    this.#random = random
    this.#wheel = new TimerWheel(clock)
    this.#calls = new Calls({
      clock,
      wheel: this.#wheel,
      session: options.newSessionId(),
      defaultDeadlineMs,
      go: (call) => this.#dispatch(call),
      onCallDue: (call, nowMs) => this.onCallDue(call, nowMs),
    })
    this.#finder = new RouteFinder({
      cache: this.#routes,
      wheel: this.#wheel,
      nowMs: () => clock.monotonicMs(),
      ask: (body, ending) => this.start(body, { deadlineMs: PATIENCE_MS }, ending),
      routed: (call) => this.#dispatch(call),
    })
    this.#links = new Links(endpoints, { connector, clock, random, wheel: this.#wheel }, this)
  }

  get links(): Links {
    return this.#links
  }

  /** Highest version seen in any answer. */
  get seen(): Version {
    return this.#calls.seen
  }

  start(body: Body, options: CallOptions, ending: Ending): void {
    this.#calls.start(body, options, ending)
  }

  close(): void {
    this.#calls.close()
    this.#links.close()
    this.#wheel.close()
  }

  // ---- where a call goes ----

  #dispatch(call: Call): void {
    const { body } = call
    switch (body.kind) {
      case 'hello':
        this.#awaitHello(call)
        return
      case 'routes':
        this.#queueOrPause(call, this.#links.any(body.turn + call.tries))
        return
      case 'status':
        if (body.link.connectNow()) this.#queue(call, body.link)
        else this.#calls.fail(call, unreachable(body.link))
        return
      case 'get':
        this.#dispatchGet(call, body)
        return
      case 'scan':
      case 'write':
      case 'split':
        this.#dispatchWhole(call, body)
    }
  }

  #awaitHello(call: Call): void {
    if (this.#lastHello !== null && this.#links.hasOpen) {
      this.#calls.succeed(call, { kind: 'hello', hello: this.#lastHello })
      return
    }
    this.#links.connectEndpoints()
    call.state = 'pausing'
    this.#wheel.arm(call, Math.min(call.deadlineAtMs, this.#clock.monotonicMs() + PAUSE_MS_MAX))
  }

  #dispatchWhole(call: Call, body: Exclude<RangeBody, GetBody>): void {
    if (body.kind === 'scan' && body.reverse) {
      this.#sendOrFind(call, this.#routes.findBelow(body.end), keyBelow(body.end))
      return
    }
    const key = body.kind === 'scan' ? body.start : anchorOf(body)
    const route = this.#routes.find(key)
    const crossing = route !== null && body.kind === 'write' ? this.#crossing(call, route, body) : null
    if (crossing !== null) this.#calls.fail(call, crossing)
    else this.#sendOrFind(call, route, key)
  }

  /** Only what is nowhere yet is refused here: a retry goes to the range of its first key, which remembers the outcome. */
  #crossing(call: Call, route: CachedRoute, body: Extract<RangeBody, { kind: 'write' }>): HoldfastError | null {
    if (call.unanswered > 0 || body.writes.length + body.conditions.length === 1) return null
    const { span } = route
    const isElsewhere = ({ key }: { key: Key }): boolean => !contains(span, key) && this.#routes.find(key) !== null
    const outside = body.writes.find(isElsewhere) ?? body.conditions.find(isElsewhere)
    return outside === undefined ? null : crossesRanges(anchorOf(body), outside.key)
  }

  #dispatchGet(call: Call, body: GetBody): void {
    if (body.keys.length === 1) {
      this.#sendOrFind(call, this.#routes.find(body.keys[0]!), body.keys[0]!)
      return
    }
    const grouped = partsByRange(body, this.#routes)
    if ('unknown' in grouped) this.#findRoute(call, grouped.unknown)
    else this.#part(call, grouped.parts)
  }

  /** Goes on as one call per part; this call is the first of them. */
  #part(call: Call, parts: readonly GetPart[]): void {
    const [first, ...more] = parts
    if (more.length > 0) call.ending.parted?.(more.length)
    call.body = first!.body
    this.#sendTo(call, first!.route)
    for (const part of more) this.#sendTo(this.#calls.fork(call, part.body), part.route)
  }

  #sendOrFind(call: Call, route: CachedRoute | null, key: Key): void {
    if (route === null) this.#findRoute(call, key)
    else this.#sendTo(call, route)
  }

  #findRoute(call: Call, key: Key): void {
    call.state = 'unrouted'
    this.#wheel.arm(call, call.deadlineAtMs)
    this.#finder.wait(call, key)
  }

  #sendTo(call: Call, route: CachedRoute): void {
    call.route = route
    this.#queueOrPause(call, pickLink(call, route, this.#links, this.#clock.monotonicMs()))
  }

  #queueOrPause(call: Call, link: NodeLink | null): void {
    if (link === null) this.#pause(call, 0)
    else this.#queue(call, link)
  }

  #queue(call: Call, link: NodeLink): void {
    this.#wheel.arm(call, Math.min(call.deadlineAtMs, this.#clock.monotonicMs() + PATIENCE_MS))
    const open = call.open.find((send) => send.link === link)
    if (open !== undefined) {
      // That node has the request and owes the answer: asking twice on one connection brings nothing.
      call.current = open
      call.state = 'sent'
      return
    }
    call.state = 'queued'
    call.current = { call, link }
    link.enqueue(call)
  }

  // ---- what links tell ----

  flushSoon(link: NodeLink): void {
    this.#unflushed.push(link)
    if (this.#unflushed.length === 1) this.#clock.defer(() => this.#flush())
  }

  #flush(): void {
    const links = this.#unflushed
    this.#unflushed = []
    for (const link of links) link.flush()
  }

  requestFor(call: Call, id: number): Request {
    assert(call.current !== null && call.state === 'queued', 'only what is queued is sent')
    call.state = 'sent'
    call.unanswered++
    call.open.push(call.current)
    return requestOf(call, this.#calls.stamp(call, id))
  }

  onHello(link: NodeLink, hello: ServerHello): HoldfastError | null {
    const refusal = this.#links.welcome(link, hello)
    if (refusal !== null) return refusal
    this.#calls.see(hello.version)
    this.#lastHello = hello
    this.#calls.helloCame({ kind: 'hello', hello })
    return null
  }

  onReply(send: Send, reply: Reply): void {
    const { call, link } = send
    this.#calls.see(reply.version)
    if (reply.kind === 'routes') this.#links.learn(reply.nodes)
    if (reply.kind === 'routes') this.#routes.learn(reply.routes, link.node)
    if (reply.kind === 'error') this.#routes.learn(reply.error.routes, link.node)
    if (call.isDone) return
    removeOpen(send)
    if (reply.kind === 'error') {
      this.#onRefusal(send, reply.error)
      return
    }
    // Who executes a request of a range leads it.
    if (call.route !== null && send === call.current) call.route.leader = link.node
    this.#calls.succeed(call, reply)
  }

  onDown(link: NodeLink, ended: { lost: readonly Send[]; unsent: readonly Call[] }): void {
    for (const send of ended.lost) removeOpen(send)
    this.onSilent(link, { open: ended.lost, unsent: ended.unsent })
  }

  onSilent(link: NodeLink, ended: { open: readonly Send[]; unsent: readonly Call[] }): void {
    for (const send of ended.open) if (send.call.current === send) this.#elsewhere(send.call, link)
    for (const call of ended.unsent) this.#elsewhere(call, link)
  }

  // ---- another try ----

  onCallDue(call: Call, nowMs: number): void {
    if (nowMs >= call.deadlineAtMs) this.#calls.fail(call, deadlineError(call, this.#links.describe()))
    else if (call.state === 'pausing') this.#dispatch(call)
    else if (call.state === 'sent' || call.state === 'queued') this.#elsewhere(call, call.current!.link)
    else this.#wheel.arm(call, call.deadlineAtMs)
  }

  /** The node does not answer, or is gone. */
  #elsewhere(call: Call, link: NodeLink): void {
    if (call.isDone || call.state === 'pausing') return
    call.lastError = unreachable(link)
    if (call.body.kind === 'status') {
      this.#calls.fail(call, call.lastError)
      return
    }
    call.refusedBy = link
    this.#again(call)
  }

  #onRefusal(send: Send, refusal: ReplyError): void {
    const { call, link } = send
    const error = errorOf(refusal, call)
    if (isDefinite(refusal.code)) call.unanswered--
    if (refusal.code === 'SESSION_EXPIRED' && call.mutation && call.unanswered === 0) this.#calls.restamp(call)
    else if (refusal.code === 'SESSION_EXPIRED' || !isRetried(refusal.code)) {
      if (!this.#maybeHalve(call, refusal)) this.#calls.fail(call, error)
      return
    }
    call.lastError = error
    if (send === call.current) this.#retry(call, link, refusal)
  }

  #retry(call: Call, link: NodeLink, refusal: ReplyError): void {
    switch (refusal.code) {
      case 'NOT_LEADER':
        call.refusedBy = link
        if (this.#namesLeader(refusal, link)) this.#again(call)
        else this.#pause(call, 0)
        return
      case 'RANGE_MOVED':
        call.refusedBy = link
        if (call.route !== null && this.#routes.has(call.route) && refusal.routes.length === 0) {
          // It is wrong, and there is no better one: ask anew. A node that told something older just lags behind us.
          this.#routes.forget(call.route)
        }
        this.#again(call)
        return
      case 'SESSION_EXPIRED':
        this.#again(call)
        return
      default:
        if (refusal.code === 'UNAVAILABLE') call.refusedBy = link
        this.#pause(call, refusal.retryAfterMs ?? 0)
    }
  }

  #namesLeader(refusal: ReplyError, refuser: NodeLink): boolean {
    const nowMs = this.#clock.monotonicMs()
    return refusal.routes.some(({ leader }) => {
      const link = leader === null ? undefined : this.#links.forNode(leader)
      return link !== undefined && link !== refuser && link.isUsable(nowMs)
    })
  }

  /** A get whose rows do not fit into one answer is asked in halves. */
  #maybeHalve(call: Call, refusal: ReplyError): boolean {
    const { body, route } = call
    if (refusal.code !== 'TOO_LARGE' || body.kind !== 'get' || body.keys.length === 1 || route === null) return false
    this.#part(call, halves(body, route))
    return true
  }

  #again(call: Call): void {
    if (call.redirects >= REDIRECTS_MAX) {
      this.#pause(call, 0)
      return
    }
    call.redirects++
    call.tries++
    this.#dispatch(call)
  }

  /** The next try comes later: jittered, growing, bounded. One correction may be followed at once after it. */
  #pause(call: Call, atLeastMs: number): void {
    const fullMs = Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** Math.min(call.pauses, 10))
    call.pauses++
    call.tries++
    call.redirects = REDIRECTS_MAX - 1
    if (call.route !== null && call.pauses % PAUSES_PER_ROUTE === 0) this.#routes.forget(call.route)
    call.state = 'pausing'
    const pauseMs = Math.max(atLeastMs, fullMs * (0.5 + this.#random.next() / 2))
    this.#wheel.arm(call, Math.min(call.deadlineAtMs, this.#clock.monotonicMs() + pauseMs))
  }
}

function removeOpen(send: Send): void {
  const at = send.call.open.indexOf(send)
  if (at >= 0) send.call.open.splice(at, 1)
}

function unreachable(link: NodeLink): HoldfastError {
  return link.lastError ?? new HoldfastError('UNAVAILABLE', `${link.address} does not answer`)
}
