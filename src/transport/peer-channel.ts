import type grpc from '@grpc/grpc-js'
import type { NodeInfo } from '../base/descriptor.js'
import type { HoldfastError } from '../base/errors.js'
import { type Clock, type Random, randomBelow } from '../base/ports.js'
import { helloOf, refusalOf } from './handshake-check.js'
import { newClient, peerMethods } from './methods.js'
import type { PeerIdentity } from './peer-types.js'
import { Pulse } from './pulse.js'
import { errorFromStatus } from './statuses.js'
import { decodePeerHello, encodePeerHello, type PeerChannelKind } from './wire/handshake.js'
import { encodePeerHeartbeat, type FrameHeader } from './wire/peer-encoder.js'
import { WireError } from './wire/reader.js'

/** A heartbeat goes out this often on every session. */
export const HEARTBEAT_EVERY_MS = 250
/** Heartbeats without an answer after which a session counts as dead: 2 s. The same for an attempt to connect. */
const SILENT_BEATS_MAX = 8
/** Wait before dialling again: doubles from the first to the second, half of it by chance. */
const BACKOFF_MIN_MS = 50
const BACKOFF_MAX_MS = 1_000
/** Below any count of answers: nothing was sent that could be missing. */
const NO_FRAME = -1

export interface ChannelEvents {
  onUp(): void
  /** It was up, and is no more. */
  onDown(): void
  /** Why there is no session; told at every failed attempt. */
  onProblem(problem: string): void
  /** The peer knows more of this node than its own data directory does (NOT_PERMITTED): it must not go on. */
  onKeptOut(error: HoldfastError): void
}

interface Line {
  readonly client: grpc.Client
  readonly call: grpc.ClientDuplexStream<Buffer, Buffer>
}

/**
 * One connection to one peer for one class of traffic, dialled again for ever. A stuck attempt and a dead session are told
 * by the missing answers alone, and end in a new client: grpc-js can stay in CONNECTING after a peer's restart.
 */
export class PeerChannel {
  readonly #kind: PeerChannelKind
  readonly #identity: PeerIdentity
  readonly #peer: NodeInfo
  readonly #header: () => FrameHeader
  readonly #clock: Clock
  readonly #random: Random
  readonly #events: ChannelEvents
  readonly #unsentBytesMax: number
  #line: Line | null = null
  #isUp = false
  #cancelTimer: () => void = () => {}
  #unsentBytes = 0
  #backoffMs = BACKOFF_MIN_MS
  #pulse = new Pulse()
  /** Heartbeats sent and answered, and how many had been sent when the last frame went out. */
  #beats = 0
  #answers = 0
  #beatsAtLastFrame = NO_FRAME

  constructor(options: {
    kind: PeerChannelKind
    identity: PeerIdentity
    peer: NodeInfo
    header: () => FrameHeader
    clock: Clock
    random: Random
    unsentBytesMax: number
    events: ChannelEvents
  }) {
    this.#kind = options.kind
    this.#identity = options.identity
    this.#peer = options.peer
    this.#header = options.header
    this.#clock = options.clock
    this.#random = options.random
    this.#events = options.events
    this.#unsentBytesMax = options.unsentBytesMax
    this.#dial()
  }

  get isUp(): boolean {
    return this.#isUp
  }

  /** Given to the connection, and not sent yet. */
  get unsentBytes(): number {
    return this.#unsentBytes
  }

  /** Whether the peer has taken every frame given so far: a heartbeat sent after the last one was answered. */
  get isDrained(): boolean {
    return this.#answers > this.#beatsAtLastFrame
  }

  /** False: no session, or too much of what was given before has not left yet. Nothing was taken then. */
  maybeSend(frames: readonly Buffer[]): boolean {
    const line = this.#line
    if (line === null || !this.#isUp || this.#unsentBytes >= this.#unsentBytesMax) return false
    for (const frame of frames) this.#write(line, frame)
    this.#beatsAtLastFrame = this.#beats
    return true
  }

  close(): void {
    this.#hangUp()
  }

  #dial(): void {
    const client = newClient(this.#peer.peerAddress)
    const { path, requestSerialize, responseDeserialize } = peerMethods.session
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
    const line = { client, call }
    this.#line = line
    call.on('data', (answer: Buffer) => this.#take(line, answer))
    call.on('error', (error: grpc.ServiceError) => this.#refused(line, error))
    call.on('end', () => this.#fail(line, `${this.#peer.peerAddress}: the peer ended the session`))
    this.#pulse = new Pulse()
    this.#unsentBytes = 0
    this.#beats = 0
    this.#answers = 0
    this.#beatsAtLastFrame = NO_FRAME
    const wallMs = this.#clock.wallMs()
    const to = { node: this.#peer.node, channel: this.#kind, wallMs, isDialled: true }
    this.#write(line, encodePeerHello(helloOf(this.#identity, to)))
    this.#beatLater(line)
  }

  #write(line: Line, frame: Buffer, done?: () => void): void {
    this.#unsentBytes += frame.length
    const pulse = this.#pulse
    line.call.write(frame, () => {
      pulse.progress()
      done?.()
      if (this.#line === line) this.#unsentBytes -= frame.length
    })
  }

  #take(line: Line, bytes: Buffer): void {
    if (this.#line !== line) return
    this.#pulse.hear()
    if (this.#isUp) {
      this.#answers++
      return
    }
    const refusal = this.#refusal(bytes)
    if (refusal !== null) return this.#fail(line, refusal)
    this.#isUp = true
    this.#backoffMs = BACKOFF_MIN_MS
    this.#events.onUp()
  }

  #refused(line: Line, status: grpc.ServiceError): void {
    if (this.#line !== line) return
    const error = errorFromStatus(this.#peer.peerAddress, status)
    this.#fail(line, error.message)
    if (error.code === 'NOT_PERMITTED') this.#events.onKeptOut(error)
  }

  #refusal(bytes: Buffer): string | null {
    try {
      const hello = decodePeerHello(bytes)
      if (hello === null) return `${this.#peer.peerAddress}: the first answer has no hello`
      return refusalOf(hello, this.#identity, this.#peer.node)?.message ?? null
    } catch (error) {
      if (error instanceof WireError) return `${this.#peer.peerAddress}: the hello is malformed: ${error.message}`
      throw error
    }
  }

  #beatLater(line: Line): void {
    this.#cancelTimer = this.#clock.setTimer(HEARTBEAT_EVERY_MS, () => this.#beat(line))
  }

  #beat(line: Line): void {
    const silentBeats = this.#pulse.beat()
    if (silentBeats >= SILENT_BEATS_MAX) {
      const waited = `within ${silentBeats * HEARTBEAT_EVERY_MS} ms`
      const what = this.#isUp ? `no heartbeat was answered ${waited}` : `no answer to the connection attempt ${waited}`
      return this.#fail(line, `${this.#peer.peerAddress}: ${what}`)
    }
    if (this.#isUp && this.#pulse.wantsPing) {
      this.#beats++
      this.#write(line, encodePeerHeartbeat(this.#header()), this.#pulse.pinging())
    }
    this.#beatLater(line)
  }

  #fail(line: Line, problem: string): void {
    if (this.#line !== line) return
    const wasUp = this.#isUp
    this.#hangUp()
    const wait = this.#backoffMs / 2 + randomBelow(this.#random, this.#backoffMs / 2)
    this.#backoffMs = Math.min(this.#backoffMs * 2, BACKOFF_MAX_MS)
    this.#cancelTimer = this.#clock.setTimer(wait, () => this.#dial())
    this.#events.onProblem(problem)
    if (wasUp) this.#events.onDown()
  }

  #hangUp(): void {
    this.#cancelTimer()
    const line = this.#line
    this.#line = null
    this.#isUp = false
    line?.call.cancel()
    line?.client.close()
  }
}
