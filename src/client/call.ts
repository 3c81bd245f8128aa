import type { HoldfastError } from '../base/errors.js'
import type { Key, NodeId, Version } from '../base/ids.js'
import { NO_VERSION } from '../base/ids.js'
import type { Reply, Route, ServerHello, WeakRead } from '../kv/requests.js'
import type { Condition, Write } from '../kv/types.js'
import type { NodeLink } from './link.js'
import type { CachedRoute } from './route-cache.js'
import { Timed } from './wheel.js'

/** How long, and until when, a call of the core may go on. */
export interface CallOptions {
  /** Milliseconds; default: the core's defaultDeadlineMs. */
  readonly deadlineMs?: number | undefined
  /** Gives the call up. A write that was sent already ends as OUTCOME_UNKNOWN. */
  readonly signal?: AbortSignal | undefined
  /** Of reads. Absent: linearizable. */
  readonly weak?: WeakRead | undefined
}

export interface PageAsked {
  readonly start: Key
  readonly end: Key | null
  readonly reverse: boolean
  readonly limit: number
  readonly keysOnly: boolean
  readonly bytesMax: number
  /** Version to read at: the one of the page before, while within its range. Null or absent: the present. */
  readonly at?: Version | null | undefined
  /** Absent: linearizable. */
  readonly weak?: WeakRead | undefined
}

export interface GetBody {
  readonly kind: 'get'
  readonly keys: readonly Key[]
  /** Where the rows belong in what the caller asked for; null: in this order, all of it. */
  readonly places: readonly number[] | null
  /** Absent: linearizable. */
  readonly weak?: WeakRead | undefined
}

export interface ScanBody extends PageAsked {
  readonly kind: 'scan'
}

export interface WriteBody {
  readonly kind: 'write'
  readonly conditions: readonly Condition[]
  readonly writes: readonly Write[]
  readonly wantValue: boolean
}

export interface SplitBody {
  readonly kind: 'split'
  readonly at: Key
}

/** `found`: the range as some node told of it. Others may not have heard of it yet. */
export interface TransferBody {
  readonly kind: 'transfer'
  readonly found: Route
  readonly to: NodeId
}

export interface RoutesBody {
  readonly kind: 'routes'
  /** Tells questions apart, so that they go to different nodes in turn. */
  readonly turn: number
  readonly from: Key
  readonly limit: number
}

/** Asks the one node at `link`, no other. */
export interface StatusBody {
  readonly kind: 'status'
  readonly link: NodeLink
}

/** Waits until any node has said hello. Nothing is sent. */
export interface HelloBody {
  readonly kind: 'hello'
}

export type RangeBody = GetBody | ScanBody | WriteBody | SplitBody | TransferBody
export type Body = RangeBody | RoutesBody | StatusBody | HelloBody

export type Answer = Exclude<Reply, { kind: 'error' }> | { readonly kind: 'hello'; readonly hello: ServerHello }

/** Where a call's end goes. Exactly one is called, once. */
export interface Ending {
  resolve(answer: Answer, call: Call): void
  reject(error: HoldfastError): void
  /** A get goes on as `more` calls beside this one. */
  parted?(more: number): void
}

/** One request that left, or is about to, on one connection. */
export interface Send {
  readonly call: Call
  readonly link: NodeLink
}

/** What happens when a call's time has come. */
export interface CallOwner {
  onCallDue(call: Call, nowMs: number): void
}

/**
 * waiting: for admission. unrouted: for its range to be known. queued: on a link, not sent yet. sent: its newest send is
 * open. pausing: until the next try.
 */
export type CallState = 'waiting' | 'unrouted' | 'queued' | 'sent' | 'pausing' | 'done'

/** One call from its start to its end, over all its sends. */
export class Call extends Timed {
  readonly #owner: CallOwner
  /** Replaced only when a get's keys part ways. */
  body: Body
  readonly deadlineAtMs: number
  readonly bytes: number
  readonly ending: Ending
  state: CallState = 'waiting'
  /** The newest send; an answer to an older one counts too, but only this one leads to another try. */
  current: Send | null = null
  /** Sends whose connection is open and that were not answered. */
  open: Send[] = []
  /** Sends not answered for certain: `open` and those whose connection was lost. Never negative. */
  unanswered = 0
  /** 0 before the first send, and for what is no mutation. */
  sequence = 0
  firstSent: Version = NO_VERSION
  /** Where the newest try goes; null for what goes to a node. */
  route: CachedRoute | null = null
  /** Tries since the start: replicas are taken in turn. */
  tries = 0
  pauses = 0
  /** Tries that followed fresh routes at once; bounded, so that two nodes that name each other cause no storm. */
  redirects = 0
  /** Who last refused this route, or did not answer: not asked again next. */
  refusedBy: NodeLink | null = null
  lastError: HoldfastError | null = null
  /** Counted by admission. */
  admitted = false
  /** Lets go of the caller's AbortSignal. */
  unlisten: (() => void) | null = null

  constructor(owner: CallOwner, body: Body, limits: { deadlineAtMs: number; bytes: number }, ending: Ending) {
    super()
    this.#owner = owner
    this.body = body
    this.deadlineAtMs = limits.deadlineAtMs
    this.bytes = limits.bytes
    this.ending = ending
  }

  get isDone(): boolean {
    return this.state === 'done'
  }

  get mutation(): boolean {
    const { kind } = this.body
    return kind === 'write' || kind === 'split' || kind === 'transfer'
  }

  /** A read that any replica may answer. */
  get isForAnyReplica(): boolean {
    const { body } = this
    return (body.kind === 'get' || body.kind === 'scan') && body.weak !== undefined && body.weak.kind !== 'leaderLease'
  }

  /**
   * A read goes on as another question (a part of its keys, another range's share of a span): what earlier sends bring is no
   * answer to it. A mutation stays what it is, and any answer tells its outcome.
   */
  disown(): void {
    if (!this.mutation && this.open.length > 0) this.open = []
  }

  override onDue(nowMs: number): void {
    this.#owner.onCallDue(this, nowMs)
  }
}

/** The key whose range a call goes to. Every retry goes there too, also if the keys would now lie in several ranges. */
export function anchorOf(body: Exclude<RangeBody, ScanBody>): Key {
  switch (body.kind) {
    case 'get':
      return body.keys[0]!
    case 'write':
      return (body.writes[0] ?? body.conditions[0])!.key
    case 'split':
      return body.at
    case 'transfer':
      return body.found.descriptor.span.start
  }
}

const OPERATION_BYTES = 64

/** About what a request weighs on the wire. */
export function bytesOf(body: Body): number {
  let bytes = OPERATION_BYTES
  switch (body.kind) {
    case 'get':
      for (const key of body.keys) bytes += key.length + 8
      return bytes
    case 'write':
      for (const write of body.writes) bytes += write.key.length + (write.kind === 'put' ? write.value.length : 0) + 16
      for (const check of body.conditions)
        bytes += check.key.length + (check.kind === 'value' ? check.value.length : 0) + 16
      return bytes
    case 'scan':
    case 'split':
    case 'transfer':
    case 'routes':
    case 'status':
    case 'hello':
      return bytes
  }
}
