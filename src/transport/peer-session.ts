import type grpc from '@grpc/grpc-js'
import { HoldfastError } from '../base/errors.js'
import type { BootId, NodeId } from '../base/ids.js'
import { helloOf, refusalOf } from './handshake-check.js'
import type { PeerHandler, PeerIdentity } from './peer-types.js'
import { maybeWiden } from './receive-window.js'
import { holdfastErrorOf, statusOf } from './statuses.js'
import { decodePeerHello, encodePeerAnswer, type PeerHello } from './wire/handshake.js'
import { decodePeerFrame } from './wire/peer-decoder.js'
import { WireError } from './wire/reader.js'

/** Answers wait for nobody: a peer that sends heartbeats and reads no answers is cut. */
const ANSWERS_WAITING_MAX = 1_000
/** What a node may send ahead of what was read: several frames, or one large entry. */
const RECEIVE_WINDOW_BYTES = 4 * 1024 * 1024

/** Whose session it is. */
export interface Begun {
  readonly node: NodeId
  readonly boot: BootId
}

/** The accepting end of a session: takes what one node sends on one channel. */
export class PeerSession {
  readonly #call: grpc.ServerDuplexStream<Buffer, Buffer>
  readonly #handler: PeerHandler
  readonly #report: (from: string, problem: string | null) => void
  readonly #onBegun: (who: Begun) => void
  readonly #onClosed: (session: PeerSession) => void
  /** Set once its hello was taken: its frames are. */
  #from: PeerHello | null = null
  #isGreeting = false
  #answersWaiting = 0
  #silentTicks = 0
  #isClosed = false

  constructor(options: {
    call: grpc.ServerDuplexStream<Buffer, Buffer>
    handler: PeerHandler
    /** Told of refusals, and (null) of sessions that began well. */
    report: (from: string, problem: string | null) => void
    /** Its hello was taken. */
    onBegun: (who: Begun) => void
    onClosed: (session: PeerSession) => void
  }) {
    this.#call = options.call
    this.#handler = options.handler
    this.#report = options.report
    this.#onBegun = options.onBegun
    this.#onClosed = options.onClosed
    this.#call.on('data', (frame: Buffer) => this.#take(frame))
    this.#call.on('end', () => this.#close(() => this.#call.end()))
    this.#call.on('cancelled', () => this.#close())
    this.#call.on('close', () => this.#close())
  }

  watch(ticksMax: number): void {
    this.#silentTicks++
    if (this.#silentTicks > ticksMax) this.#refuse(new HoldfastError('DEADLINE', 'no heartbeat came for long'))
  }

  /**
   * A later one of the same node and another boot has begun. Two processes on copies of one directory would both be taken otherwise; this
   * one's boot is refused when it comes again.
   */
  maybeYield({ node, boot }: Begun): void {
    if (this.#from === null || this.#from.info.node !== node || this.#from.boot === boot) return
    this.#refuse(new HoldfastError('UNAVAILABLE', 'the node was started again'))
  }

  stop(): void {
    this.#close(() => this.#call.emit('error', statusOf(new HoldfastError('UNAVAILABLE', 'the node is stopping'))))
  }

  #take(bytes: Buffer): void {
    if (this.#isClosed) return
    this.#silentTicks = 0
    try {
      if (this.#isGreeting) throw new WireError('a frame came before the hello was answered')
      if (this.#from === null) this.#greet(bytes)
      else this.#frame(bytes, this.#from)
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      this.#refuse(new HoldfastError('INVALID_ARGUMENT', `a frame is malformed: ${error.message}`))
    }
  }

  #greet(bytes: Buffer): void {
    const own = this.#handler.identity()
    if (own === null) return this.#refuse(new HoldfastError('UNAVAILABLE', 'this node belongs to no cluster yet'))
    const hello = decodePeerHello(bytes)
    if (hello === null) throw new WireError('the first frame has no hello')
    if (hello.history.boots.at(-1) !== hello.boot) throw new WireError("a node's history does not end with its boot")
    const refusal = refusalOf(hello, own, null)
    if (refusal !== null) return this.#refuse(refusal, hello)
    this.#isGreeting = true
    this.#handler.admit(hello).then(
      () => this.#begin(own, hello),
      (error: unknown) => this.#refuse(holdfastErrorOf(error), hello),
    )
  }

  /**
   * Nothing of a new boot is taken before the boot is on disk here: a vote or acknowledgement that counts must not be forgotten by
   * the one who gave it and go unnoticed (decision 0009).
   */
  #begin(own: PeerIdentity, hello: PeerHello): void {
    if (this.#isClosed) return
    this.#isGreeting = false
    this.#from = hello
    this.#report(nameOf(hello), null)
    this.#onBegun({ node: hello.info.node, boot: hello.boot })
    maybeWiden(this.#call, RECEIVE_WINDOW_BYTES)
    this.#answer(own, hello)
    this.#handler.nodeSeen(hello.info)
    this.#handler.frame({ from: hello.info.node, boot: hello.boot, wallMs: hello.wallMs, messages: [] })
  }

  #frame(bytes: Buffer, { info, boot }: PeerHello): void {
    const { wallMs, batch, messages } = decodePeerFrame(bytes, boot)
    this.#handler.logReaches({ node: info.node, boot, batch })
    if (messages.length === 0) this.#answer(null, null)
    this.#handler.frame({ from: info.node, boot, wallMs, messages })
  }

  #answer(own: PeerIdentity | null, to: PeerHello | null): void {
    const hello =
      own === null || to === null
        ? null
        : helloOf(own, { node: to.info.node, channel: to.channel, wallMs: Date.now(), isDialled: false })
    if (this.#answersWaiting >= ANSWERS_WAITING_MAX) {
      return this.#refuse(new HoldfastError('OVERLOADED', `${this.#answersWaiting} answers wait to be read`))
    }
    this.#answersWaiting++
    this.#call.write(encodePeerAnswer(hello), () => {
      this.#answersWaiting--
    })
  }

  #refuse(error: HoldfastError, hello = this.#from): void {
    if (this.#isClosed) return
    this.#report(hello === null ? this.#call.getPeer() : nameOf(hello), error.message)
    this.#close(() => this.#call.emit('error', statusOf(error)))
  }

  #close(last?: () => void): void {
    if (this.#isClosed) return
    this.#isClosed = true
    last?.()
    this.#onClosed(this)
  }
}

function nameOf(hello: PeerHello): string {
  return `${hello.info.peerAddress} (${hello.channel})`
}
