import type { NodeInfo } from '../base/descriptor.js'
import { HoldfastError } from '../base/errors.js'
import type { BootId, NodeId } from '../base/ids.js'
import type { Random } from '../base/ports.js'
import type { BootsSeen } from '../storage/boots-seen.js'
import type { PeerFrame, PeerMessage } from '../store/ports.js'
import { helloOf, refusalOf } from '../transport/handshake-check.js'
import type { PeerIdentity } from '../transport/peer-types.js'
import type { PeerHello } from '../transport/wire/handshake.js'
import type { SimProcess } from './process.js'

/** What travels between two nodes. A session is named by whoever opens it, with a number that no other ever gets. */
export type Packet =
  | { readonly kind: 'hello'; readonly session: number; readonly hello: PeerHello }
  | { readonly kind: 'welcome'; readonly session: number; readonly hello: PeerHello }
  | { readonly kind: 'refused'; readonly session: number; readonly error: HoldfastError }
  | { readonly kind: 'frame'; readonly session: number; readonly batch: number; readonly frame: PeerFrame }
  /** There is no such session at this end. */
  | { readonly kind: 'reset'; readonly session: number }

/** A node's way to the others. */
export interface PeerWire {
  send(to: NodeId, packet: Packet): void
  newSession(): number
  /** Whether a heartbeat would go there and its answer come back. */
  isAlive(to: NodeId, session: number): boolean
}

export interface PeerSessionsParts {
  readonly identity: PeerIdentity
  /** Up to which batch the node's log is synced. */
  lastBatch(): number
  readonly bootsSeen: BootsSeen
  readonly process: SimProcess
  readonly random: Random
  readonly wire: PeerWire
  frame(frame: PeerFrame): void
  nodeSeen(info: NodeInfo): void
  down(node: NodeId): void
  /** Another node knows more of this one than its own disk does: it must not go on. */
  keptOut(error: HoldfastError): void
}

/** An unanswered hello goes out again after this. Milliseconds, as all here. */
const RESEND_MS = 250
const RESENDS_MAX = 8
const BACKOFF_MIN_MS = 50
const BACKOFF_MAX_MS = 1_000
/** A session is looked at this often, and given up when this many looks in a row found it dead: 2 s. */
const LOOK_EVERY_MS = 500
const DEAD_LOOKS_MAX = 4

/** The dialling end of a session. */
interface Line {
  session: number
  isUp: boolean
  hellos: number
  deadLooks: number
  backoffMs: number
  cancelTimer: () => void
}

/**
 * A node's sessions with the others, for one life of its process: the handshake of the real transport, over the simulated network.
 * Nothing is sent to a node, or taken of one, before its start is durably known at the other end.
 */
export class PeerSessions {
  readonly #parts: PeerSessionsParts
  readonly #lines = new Map<NodeId, Line>()
  /** Of those that others opened: those that may send. */
  readonly #accepted = new Map<number, { readonly node: NodeId; readonly boot: BootId }>()
  readonly #greeting = new Set<number>()

  constructor(parts: PeerSessionsParts) {
    this.#parts = parts
  }

  /** Dials, and dials again for ever. */
  setPeer({ node }: NodeInfo): void {
    if (node === this.#parts.identity.node || this.#lines.has(node)) return
    const none = { session: 0, isUp: false, hellos: 0, deadLooks: 0, cancelTimer: () => {} }
    this.#lines.set(node, { ...none, backoffMs: BACKOFF_MIN_MS })
    this.#dial(node)
  }

  /** Dropped where there is no session. */
  send(to: NodeId, messages: readonly PeerMessage[]): void {
    const line = this.#lines.get(to)
    if (line?.isUp === true) this.#sendIn(line.session, to, messages)
  }

  #sendIn(session: number, to: NodeId, messages: readonly PeerMessage[]): void {
    const { identity, process, wire, lastBatch } = this.#parts
    const frame = { from: identity.node, boot: identity.boot, wallMs: process.clock.wallMs(), messages }
    wire.send(to, { kind: 'frame', session, batch: lastBatch(), frame })
  }

  take(from: NodeId, packet: Packet): void {
    switch (packet.kind) {
      case 'hello':
        return this.#greet(from, packet)
      case 'frame':
        return this.#frame(from, packet)
      case 'welcome':
        return this.#welcomed(from, packet)
      case 'refused':
        return this.#refused(from, packet)
      case 'reset':
        if (this.#lines.get(from)?.session === packet.session) this.#fail(from)
    }
  }

  /** Whether this end takes what is sent in it. */
  accepts(session: number): boolean {
    return this.#accepted.has(session)
  }

  /** There are others, and each takes what is sent to it. */
  get isLetInByAll(): boolean {
    const lines = [...this.#lines.values()]
    return lines.length > 0 && lines.every(({ isUp }) => isUp)
  }

  /** The other end is gone, and its system says so. */
  reset(node: NodeId): void {
    if (this.#lines.get(node)?.isUp === true) this.#fail(node)
  }

  /** What `node` opened is forgotten at this end only: `node` finds out by itself. */
  forget(node: NodeId): void {
    for (const [session, from] of this.#accepted) if (from.node === node) this.#accepted.delete(session)
  }

  // ---- the dialling end ----

  #dial(node: NodeId): void {
    const line = this.#lines.get(node)!
    line.session = this.#parts.wire.newSession()
    line.hellos = 0
    this.#hello(node, line)
  }

  #hello(node: NodeId, line: Line): void {
    if (line.hellos === RESENDS_MAX) return this.#fail(node)
    line.hellos++
    const { identity, wire } = this.#parts
    wire.send(node, { kind: 'hello', session: line.session, hello: this.#helloTo(identity, node, true) })
    this.#later(line, RESEND_MS, () => this.#hello(node, line))
  }

  #helloTo(identity: PeerIdentity, node: NodeId, isDialled: boolean): PeerHello {
    return helloOf(identity, { node, channel: 'control', wallMs: this.#parts.process.clock.wallMs(), isDialled })
  }

  #welcomed(from: NodeId, { session, hello }: Packet & { kind: 'welcome' }): void {
    const line = this.#lines.get(from)
    if (line === undefined || line.session !== session || line.isUp) return
    if (refusalOf(hello, this.#parts.identity, from) !== null) return this.#fail(from)
    line.isUp = true
    line.deadLooks = 0
    line.backoffMs = BACKOFF_MIN_MS
    this.#later(line, LOOK_EVERY_MS, () => this.#look(from, line))
  }

  #refused(from: NodeId, { session, error }: Packet & { kind: 'refused' }): void {
    if (this.#lines.get(from)?.session !== session) return
    this.#fail(from)
    if (error.code === 'NOT_PERMITTED') this.#parts.keptOut(error)
  }

  /** A heartbeat, whose answer is seen from outside: one that goes unanswered counts. */
  #look(node: NodeId, line: Line): void {
    line.deadLooks = this.#parts.wire.isAlive(node, line.session) ? 0 : line.deadLooks + 1
    if (line.deadLooks === DEAD_LOOKS_MAX) return this.#fail(node)
    this.#sendIn(line.session, node, [])
    this.#later(line, LOOK_EVERY_MS, () => this.#look(node, line))
  }

  #fail(node: NodeId): void {
    const line = this.#lines.get(node)!
    const wasUp = line.isUp
    line.isUp = false
    line.session = 0
    const waitMs = (line.backoffMs / 2) * (1 + this.#parts.random.next())
    line.backoffMs = Math.min(line.backoffMs * 2, BACKOFF_MAX_MS)
    this.#later(line, waitMs, () => this.#dial(node))
    if (wasUp) this.#parts.down(node)
  }

  #later(line: Line, delayMs: number, action: () => void): void {
    line.cancelTimer()
    line.cancelTimer = this.#parts.process.clock.setTimer(delayMs, action)
  }

  // ---- the accepting end ----

  #greet(from: NodeId, { session, hello }: Packet & { kind: 'hello' }): void {
    const { identity, bootsSeen, process } = this.#parts
    if (this.#accepted.has(session)) return this.#welcome(from, session)
    if (this.#greeting.has(session)) return
    const refusal = refusalOf(hello, identity, null)
    if (refusal !== null) return this.#refuse(from, session, refusal)
    this.#greeting.add(session)
    const done = (action: () => void) =>
      process.enter(() => {
        this.#greeting.delete(session)
        action()
      })
    bootsSeen.admit({ node: hello.info.node, boot: hello.boot, history: hello.history }).then(
      () => done(() => this.#begin(session, hello)),
      (error: unknown) => done(() => this.#refuse(from, session, error)),
    )
  }

  #begin(session: number, { info, boot, wallMs }: PeerHello): void {
    for (const [other, from] of this.#accepted) {
      if (from.node === info.node && from.boot !== boot) this.#accepted.delete(other)
    }
    this.#accepted.set(session, { node: info.node, boot })
    this.#welcome(info.node, session)
    this.#parts.nodeSeen(info)
    this.#parts.frame({ from: info.node, boot, wallMs, messages: [] })
  }

  #welcome(to: NodeId, session: number): void {
    const { identity, wire } = this.#parts
    wire.send(to, { kind: 'welcome', session, hello: this.#helloTo(identity, to, false) })
  }

  #refuse(to: NodeId, session: number, error: unknown): void {
    if (!(error instanceof HoldfastError)) throw error
    this.#parts.wire.send(to, { kind: 'refused', session, error })
  }

  #frame(from: NodeId, { session, batch, frame }: Packet & { kind: 'frame' }): void {
    if (this.#accepted.has(session)) {
      this.#parts.bootsSeen.heard({ node: frame.from, boot: frame.boot, batch })
      return this.#parts.frame(frame)
    }
    this.#parts.wire.send(from, { kind: 'reset', session })
  }
}
