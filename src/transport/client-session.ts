import type grpc from '@grpc/grpc-js'
import { type ErrorCode, HoldfastError } from '../base/errors.js'
import { NO_VERSION } from '../base/ids.js'
import { limits } from '../base/limits.js'
import type { Logger, Metrics } from '../base/ports.js'
import type { Reply, ReplyError, ReplySink, Request, ServerHello } from '../kv/requests.js'
import type { ClientLoad } from './client-load.js'
import { maybeWiden } from './receive-window.js'
import { checkRequest } from './request-checks.js'
import { statusOf } from './statuses.js'
import { WireError } from './wire/reader.js'
import { encodeHello, encodePong, encodeReplies } from './wire/reply-encoder.js'
import { type ClientFrame, RequestDecoder } from './wire/request-decoder.js'

/** Replies that wait for a slow client: above it, results of reads are replaced by OVERLOADED (reading again is safe). */
export const REPLY_BYTES_SOFT = 16 * 1024 * 1024
/** Above it the client counts as one that never reads: its connection is cut, what waited is thrown away. */
export const REPLY_BYTES_MAX = 24 * 1024 * 1024
/** A result this small is sent even then: it costs no more than the error in its place. */
const SMALL_RESULT_BYTES = 1_024
const RETRY_AFTER_MS = 100
/** What a client may send ahead of what was read: a frame. */
const RECEIVE_WINDOW_BYTES = limits.frameBytesMax

export interface SessionHandler {
  submit(requests: readonly Request[], sink: ReplySink): void
  closed(sink: ReplySink): void
}

/** The node's end of one client's stream. Checks and bounds what comes in, bounds what waits to go out. */
export class ClientSession implements ReplySink {
  readonly peer: string
  readonly #call: grpc.ServerDuplexStream<Buffer, Buffer>
  readonly #handler: SessionHandler
  readonly #logger: Logger
  readonly #cut: (peer: string) => void
  readonly #onGone: (session: ClientSession) => void
  readonly #load: ClientLoad
  readonly #onOverfull: () => void
  readonly #metrics: Metrics
  readonly #decoder = new RequestDecoder()
  /** Requests that have no reply yet, by id. */
  readonly #open = new Map<number, { readonly bytes: number; readonly kind: Request['kind'] }>()
  #openBytes = 0
  #waitingBytes = 0
  #silentTicks = 0
  #isClosed = false
  #isStopping = false

  constructor(options: {
    call: grpc.ServerDuplexStream<Buffer, Buffer>
    hello: ServerHello
    handler: SessionHandler
    logger: Logger
    cut: (peer: string) => void
    /** The stream is closed, and nothing waits for it any more. */
    onGone: (session: ClientSession) => void
    load: ClientLoad
    /** More waits for all clients together than may. */
    onOverfull: () => void
    metrics: Metrics
  }) {
    this.#call = options.call
    this.peer = options.call.getPeer()
    this.#handler = options.handler
    this.#logger = options.logger
    this.#cut = options.cut
    this.#onGone = options.onGone
    this.#load = options.load
    this.#onOverfull = options.onOverfull
    this.#metrics = options.metrics
    this.#call.on('data', (frame: Buffer) => this.#take(frame))
    this.#call.on('end', () => this.#close(() => this.#call.end()))
    // What still waited is gone with the stream, and grpc-js calls back for none of it.
    for (const event of ['cancelled', 'close']) {
      this.#call.on(event, () => {
        this.#close()
        this.#left(this.#waitingBytes)
      })
    }
    maybeWiden(this.#call, RECEIVE_WINDOW_BYTES)
    this.#write(encodeHello(options.hello))
  }

  /** Bytes of answers that this client has not taken yet. */
  get waitingBytes(): number {
    return this.#waitingBytes
  }

  replies(replies: readonly Reply[]): void {
    if (this.#isClosed) return
    const due = replies.filter((reply) => this.#settle(reply))
    this.#send(due)
    if (this.#isStopping && this.#open.size === 0) this.#leave()
  }

  /** One tick of the server's watch over silent clients; a client pings far more often than `ticksMax`. */
  watch(ticksMax: number): void {
    this.#silentTicks++
    if (this.#silentTicks <= ticksMax) return
    this.#fail('DEADLINE', 'nothing was heard from this client for a minute, expected pings')
    this.#cut(this.peer)
  }

  /** Refuses new requests and ends the stream once all open ones are answered. */
  stop(): void {
    this.#isStopping = true
    if (this.#open.size === 0) this.#leave()
  }

  #leave(): void {
    this.#close(() => this.#call.emit('error', statusOf(new HoldfastError('UNAVAILABLE', 'the node is stopping'))))
  }

  #take(bytes: Buffer): void {
    if (this.#isClosed) return
    this.#silentTicks = 0
    let frame: ClientFrame
    try {
      frame = this.#decoder.decode(bytes)
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      return this.#fail('INVALID_ARGUMENT', `a frame is malformed: ${error.message}`)
    }
    if (frame.ping !== null) this.#write(encodePong(frame.ping))
    const refused: Reply[] = []
    for (const { id, reason } of frame.unreadable) {
      refused.push(errorReply(id, 'INVALID_ARGUMENT', `the request is malformed: ${reason}`))
      this.#metrics.count('requests_total', 1, 'unreadable INVALID_ARGUMENT')
    }
    const admitted: Request[] = []
    for (const [i, request] of frame.requests.entries()) {
      if (this.#open.has(request.id)) {
        return this.#fail('INVALID_ARGUMENT', `request id ${request.id} is in use, expected one that is not open`)
      }
      const refusal = this.#admit(request, frame.sizes[i] ?? 0)
      if (refusal === null) admitted.push(request)
      else refused.push(errorReply(request.id, refusal.code, refusal.message))
      if (refusal !== null) this.#metrics.count('requests_total', 1, `${request.kind} ${refusal.code}`)
    }
    this.#send(refused)
    if (admitted.length > 0 && !this.#isClosed) this.#handler.submit(admitted, this)
  }

  #admit(request: Request, bytes: number): { readonly code: ErrorCode; readonly message: string } | null {
    if (this.#isStopping) return { code: 'UNAVAILABLE', message: 'the node is stopping' }
    const bad = checkRequest(request)
    if (bad !== null) return bad
    const overload = this.#overload(bytes)
    if (overload !== null) return { code: 'OVERLOADED', message: overload }
    this.#open.set(request.id, { bytes, kind: request.kind })
    this.#openBytes += bytes
    this.#load.opened(bytes)
    return null
  }

  #overload(bytes: number): string | null {
    if (this.#open.size >= limits.clientRequestsInFlightMax) {
      return `${this.#open.size} requests are open, expected at most ${limits.clientRequestsInFlightMax}`
    }
    if (this.#openBytes + bytes > limits.clientBytesInFlightMax) {
      return `${this.#openBytes + bytes} bytes are open, expected at most ${limits.clientBytesInFlightMax}`
    }
    return this.#load.refusalOf(bytes)
  }

  #settle(reply: Reply): boolean {
    const open = this.#open.get(reply.id)
    if (open === undefined) return false
    this.#open.delete(reply.id)
    this.#openBytes -= open.bytes
    this.#load.closed(1, open.bytes)
    this.#metrics.count('requests_total', 1, `${open.kind} ${reply.kind === 'error' ? reply.error.code : 'OK'}`)
    return true
  }

  #send(replies: readonly Reply[]): void {
    if (replies.length === 0) return
    let waiting = this.#waitingBytes
    const refuseRead = (bytes: number): ReplyError | null => {
      waiting += bytes
      if (waiting <= REPLY_BYTES_SOFT || bytes <= SMALL_RESULT_BYTES) return null
      waiting -= bytes
      return replyError(
        'OVERLOADED',
        `${waiting} bytes of replies wait to be read, expected at most ${REPLY_BYTES_SOFT}`,
      )
    }
    for (const frame of encodeReplies(replies, refuseRead)) this.#write(frame)
  }

  #write(frame: Buffer): void {
    if (this.#isClosed) return
    if (this.#waitingBytes + frame.length > REPLY_BYTES_MAX) return this.cutOff()
    this.#waitingBytes += frame.length
    this.#load.replyBytes += frame.length
    this.#call.write(frame, () => this.#left(frame.length))
    if (this.#load.replyBytes > limits.nodeReplyBytesMax) this.#onOverfull()
  }

  #left(bytes: number): void {
    const counted = Math.min(bytes, this.#waitingBytes)
    this.#waitingBytes -= counted
    this.#load.replyBytes -= counted
    if (this.#isClosed && this.#waitingBytes === 0) this.#onGone(this)
  }

  /** For a client that does not read: its connection ends, and what waits for it is thrown away. */
  cutOff(): void {
    const message = `${this.#waitingBytes} bytes of replies wait, expected at most ${REPLY_BYTES_MAX}, and of all clients ${limits.nodeReplyBytesMax}`
    this.#fail('OVERLOADED', `the client does not read: ${message}`)
    this.#cut(this.peer)
  }

  #fail(code: ErrorCode, message: string): void {
    this.#logger.log('warn', `client ${this.peer} is cut off: ${message}`, { peer: this.peer, code })
    this.#close(() => this.#call.emit('error', statusOf(new HoldfastError(code, message))))
  }

  #close(last?: () => void): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#load.closed(this.#open.size, this.#openBytes)
    this.#open.clear()
    this.#openBytes = 0
    last?.()
    if (this.#waitingBytes === 0) this.#onGone(this)
    this.#handler.closed(this)
  }
}

function replyError(code: ErrorCode, message: string): ReplyError {
  return { code, message, retryAfterMs: code === 'OVERLOADED' ? RETRY_AFTER_MS : null, routes: [], failed: [] }
}

function errorReply(id: number, code: ErrorCode, message: string): Reply {
  return { id, version: NO_VERSION, kind: 'error', error: replyError(code, message) }
}
