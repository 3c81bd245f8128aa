import { assert } from '../base/assert.js'
import { HoldfastError } from '../base/errors.js'
import type { Version } from '../base/ids.js'
import { limits } from '../base/limits.js'
import type { Clock, Random } from '../base/ports.js'
import type { Reply, ReplyError, Request, Route, ServerHello } from '../kv/requests.js'
import type { Body, Call, CallOptions, CallOwner, Ending, Send } from './call.js'
import { Calls } from './calls.js'
import type { ClientCoreOptions } from './core-options.js'
import { errorOf } from './errors.js'
import { deadlineError } from './expiry.js'
import type { LinkOwner, NodeLink } from './link.js'
import { Links } from './links.js'
import type { GetPart } from './parts.js'
import { pickLink, pickReplica } from './picker.js'
import { type Plan, planOf } from './plan.js'
import { blames, react } from './reactions.js'
import { requestOf } from './requests.js'
import { type CachedRoute, RouteCache } from './route-cache.js'
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
      default:
        this.#follow(call, planOf(call, body, this.#routes))
    }
  }

  #follow(call: Call, plan: Plan): void {
    switch (plan.kind) {
      case 'send':
        this.#sendTo(call, plan.route)
        return
      case 'part':
        this.#part(call, plan.parts)
        return
      case 'find':
        call.state = 'unrouted'
        this.#wheel.arm(call, call.deadlineAtMs)
        this.#finder.wait(call, plan.key)
        return
      case 'refuse':
        this.#calls.fail(call, plan.error)
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

  /** Goes on as one call per part; this call is the first of them. */
  #part(call: Call, parts: readonly GetPart[]): void {
    const [first, ...more] = parts
    if (more.length > 0) call.ending.parted?.(more.length)
    if (call.body !== first!.body) call.disown()
    call.body = first!.body
    this.#sendTo(call, first!.route)
    for (const part of more) this.#sendTo(this.#calls.fork(call, part.body), part.route)
  }

  #sendTo(call: Call, route: CachedRoute): void {
    if (call.route !== route) {
      call.disown()
      // Who refused the old one may well lead the new one: a split leaves both halves where the whole was.
      call.refusedBy = null
    }
    call.route = route
    const pick = call.isForAnyReplica ? pickReplica : pickLink
    this.#queueOrPause(call, pick(call, route, this.#links, this.#clock.monotonicMs()))
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
    if (reply.kind === 'routes') this.#learnRoutes(reply.routes, link)
    if (reply.kind === 'error') this.#learnRoutes(reply.error.routes, link)
    if (call.isDone || !removeOpen(send)) return
    if (reply.kind === 'error') {
      this.#onRefusal(send, reply.error)
      return
    }
    // Who executes a request of a range leads it, but for reads that any replica answers.
    if (call.route !== null && send === call.current && !call.isForAnyReplica) call.route.leader = link.node
    this.#calls.succeed(call, reply)
  }

  #learnRoutes(routes: readonly Route[], teller: NodeLink): void {
    this.#routes.learn(routes, teller.node)
    for (const { leader } of routes) if (leader !== null) this.#links.forNode(leader)?.hearOf()
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
    const reaction = react(send, refusal, () => this.#namesLeader(refusal, link))
    if (reaction.kind === 'fail') {
      this.#calls.fail(call, error)
      return
    }
    call.lastError = error
    if (send === call.current && blames(refusal)) call.refusedBy = link
    if (refusal.code === 'RANGE_MOVED' && refusal.routes.length === 0 && call.route !== null) {
      // Ours is wrong, and there is no better one: ask anew. A node that told an older one just lags behind us.
      this.#routes.forget(call.route)
    }
    switch (reaction.kind) {
      case 'part':
        this.#part(call, reaction.parts)
        return
      case 'restamp':
        this.#calls.restamp(call)
        if (send === call.current) this.#again(call)
        return
      case 'again':
        this.#again(call)
        return
      case 'pause':
        this.#pause(call, reaction.atLeastMs)
        return
      case 'wait':
    }
  }

  #namesLeader(refusal: ReplyError, refuser: NodeLink): boolean {
    const nowMs = this.#clock.monotonicMs()
    return refusal.routes.some(({ leader }) => {
      const link = leader === null ? undefined : this.#links.forNode(leader)
      return link !== undefined && link !== refuser && link.isUsable(nowMs)
    })
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

/** False: the call no longer waits for this one. */
function removeOpen(send: Send): boolean {
  const at = send.call.open.indexOf(send)
  if (at >= 0) send.call.open.splice(at, 1)
  return at >= 0
}

function unreachable(link: NodeLink): HoldfastError {
  return link.lastError ?? new HoldfastError('UNAVAILABLE', `${link.address} does not answer`)
}
