import type grpc from '@grpc/grpc-js'
import { HoldfastError } from '../base/errors.js'
import type { Clock } from '../base/ports.js'
import type { ClientConnection, ConnectionEvents, Connector } from '../client/ports.js'
import type { Request } from '../kv/requests.js'
import { newClient, streamMethods } from './methods.js'
import { Pulse } from './pulse.js'
import { errorFromStatus } from './statuses.js'
import { WireError } from './wire/reader.js'
import { decodeServerFrame, type ServerFrame } from './wire/reply-decoder.js'
import { encodePing, encodeRequests } from './wire/request-encoder.js'

export { initCluster } from './init.js'

/** A connection pings the node this often. */
export const PING_EVERY_MS = 250
/** Beats without any byte from the node after which it counts as dead: 1.5 s. Before the hello: 2.5 s. */
const SILENT_BEATS_MAX = 6
const OPENING_BEATS_MAX = 10

type Timers = Pick<Clock, 'setTimer'>

const realTimers: Timers = {
  setTimer(delayMs, action) {
    const timer = setTimeout(action, delayMs)
    return () => clearTimeout(timer)
  },
}

/** Connects the SDK to nodes over gRPC: one HTTP/2 connection and one stream on it per call of `connect`. */
export class GrpcConnector implements Connector {
  readonly #timers: Timers

  /** `clock` paces the heartbeats; default: the process's own timers. */
  constructor(options: { clock?: Timers } = {}) {
    this.#timers = options.clock ?? realTimers
  }

  /**
   * Events come later, never within this call. onClose gets a HoldfastError that names the address: UNAVAILABLE (refused,
   * lost, silent for 1.5 s, or no hello within 2.5 s), or what the node answered. Own `close()` calls nothing.
   */
  connect(address: string, events: ConnectionEvents): ClientConnection {
    return new GrpcConnection(address, events, this.#timers)
  }
}

class GrpcConnection implements ClientConnection {
  readonly #address: string
  readonly #events: ConnectionEvents
  readonly #timers: Timers
  #client: grpc.Client | null = null
  #call: grpc.ClientDuplexStream<Buffer, Buffer> | null = null
  #cancelBeat: () => void
  #isOpen = false
  #isClosed = false
  readonly #pulse = new Pulse()
  #pings = 0

  constructor(address: string, events: ConnectionEvents, timers: Timers) {
    this.#address = address
    this.#events = events
    this.#timers = timers
    this.#cancelBeat = timers.setTimer(PING_EVERY_MS, () => this.#beat())
    try {
      this.#dial()
    } catch (error) {
      const message = `${address}: ${error instanceof Error ? error.message : String(error)}, expected host:port`
      queueMicrotask(() => this.#fail(new HoldfastError('INVALID_ARGUMENT', message, { cause: error })))
    }
  }

  send(requests: readonly Request[]): void {
    if (this.#isClosed || !this.#isOpen) return
    for (const frame of encodeRequests(requests)) this.#call?.write(frame, () => this.#pulse.progress())
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#cancelBeat()
    this.#call?.cancel()
    this.#client?.close()
  }

  #dial(): void {
    this.#client = newClient(this.#address)
    const { path, requestSerialize, responseDeserialize } = streamMethods.connect
    const call = this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
    this.#call = call
    call.on('data', (frame: Buffer) => this.#take(frame))
    call.on('error', (error: grpc.ServiceError) => this.#fail(errorFromStatus(this.#address, error)))
    call.on('end', () => this.#fail(new HoldfastError('UNAVAILABLE', `${this.#address}: the node ended the stream`)))
  }

  #take(bytes: Buffer): void {
    if (this.#isClosed) return
    this.#pulse.hear()
    let frame: ServerFrame
    try {
      frame = decodeServerFrame(bytes)
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      const message = `${this.#address}: the node sent a malformed frame: ${error.message}`
      return this.#fail(new HoldfastError('UNAVAILABLE', message, { cause: error }))
    }
    if (frame.hello !== null && !this.#isOpen) {
      this.#isOpen = true
      this.#events.onOpen(frame.hello)
    } else if (this.#isOpen) this.#events.onAlive?.()
    if (frame.replies.length > 0 && !this.#isClosed) this.#events.onReplies(frame.replies)
  }

  #beat(): void {
    const silentBeats = this.#pulse.beat()
    if (silentBeats >= (this.#isOpen ? SILENT_BEATS_MAX : OPENING_BEATS_MAX)) {
      const waited = `within ${silentBeats * PING_EVERY_MS} ms`
      const message = this.#isOpen ? `nothing came ${waited}` : `no answer to the connection attempt ${waited}`
      return this.#fail(new HoldfastError('UNAVAILABLE', `${this.#address}: ${message}`))
    }
    if (this.#isOpen && this.#pulse.wantsPing) this.#call?.write(encodePing(++this.#pings), this.#pulse.pinging())
    this.#cancelBeat = this.#timers.setTimer(PING_EVERY_MS, () => this.#beat())
  }

  #fail(error: HoldfastError): void {
    if (this.#isClosed) return
    this.close()
    this.#events.onClose(error)
  }
}
