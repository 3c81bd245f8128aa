import { HoldfastError } from '../base/errors.js'
import type { SessionId, Version } from '../base/ids.js'
import { NO_VERSION } from '../base/ids.js'
import { limits } from '../base/limits.js'
import type { Clock } from '../base/ports.js'
import { Admission } from './admission.js'
import { type Answer, type Body, bytesOf, Call, type CallOptions, type CallOwner, type Ending } from './call.js'
import { toldError } from './errors.js'
import type { Stamp } from './requests.js'
import { Sequences } from './sequences.js'
import type { TimerWheel } from './wheel.js'

export interface CallsPorts extends CallOwner {
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly session: SessionId
  readonly defaultDeadlineMs: number
  /** The call was admitted: find its way. */
  go(call: Call): void
}

/** The calls that are open, from admission to the one end each has, and the session they share. */
export class Calls {
  readonly #ports: CallsPorts
  readonly #open = new Set<Call>()
  readonly #sequences = new Sequences()
  readonly #admission: Admission<Call>
  #seen: Version = NO_VERSION
  #isClosed = false

  constructor(ports: CallsPorts) {
    this.#ports = ports
    this.#admission = new Admission(
      {
        requestsMax: limits.clientRequestsInFlightMax,
        bytesMax: limits.clientBytesInFlightMax,
        waitingMax: 32 * limits.clientRequestsInFlightMax,
        waitingBytesMax: 4 * limits.clientBytesInFlightMax,
      },
      (call) => this.#admitted(call),
    )
  }

  /** Highest version seen in any answer. */
  get seen(): Version {
    return this.#seen
  }

  see(version: Version): void {
    if (version > this.#seen) this.#seen = version
  }

  start(body: Body, options: CallOptions, ending: Ending): void {
    const deadlineMs = options.deadlineMs ?? this.#ports.defaultDeadlineMs
    const refusal = this.#refusalOf(deadlineMs, options.signal)
    if (refusal !== null) {
      ending.reject(refusal)
      return
    }
    const call = this.#create(body, this.#ports.clock.monotonicMs() + deadlineMs, ending)
    this.#listen(call, options.signal)
    if (body.kind === 'routes' || body.kind === 'status' || body.kind === 'hello') {
      this.#ports.go(call)
      return
    }
    const entered = this.#admission.enter(call)
    if (entered === null) this.fail(call, new HoldfastError('OVERLOADED', 'too many calls wait for their turn already'))
    else if (!entered) this.#ports.wheel.arm(call, call.deadlineAtMs)
  }

  /** A part of `call` goes on beside it. */
  fork(call: Call, body: Body): Call {
    const part = this.#create(body, call.deadlineAtMs, call.ending)
    part.admitted = true
    this.#admission.adopt(part)
    return part
  }

  /** What the request of this call carries; a mutation gets its sequence when it is about to leave for the first time. */
  stamp(call: Call, id: number): Stamp {
    if (call.mutation && call.sequence === 0) {
      call.sequence = this.#sequences.open()
      call.firstSent = this.#seen
    }
    const leftMs = Math.ceil(call.deadlineAtMs - this.#ports.clock.monotonicMs())
    const { session } = this.#ports
    return { id, deadlineMs: Math.max(1, leftMs), seen: this.#seen, session, lowest: this.#sequences.lowest }
  }

  /** Every send was refused for certain: the next one gets a sequence of its own. */
  restamp(call: Call): void {
    this.#sequences.settle(call.sequence)
    call.sequence = 0
  }

  succeed(call: Call, answer: Answer): void {
    if (call.isDone) return
    this.#end(call)
    call.ending.resolve(answer, call)
  }

  /** Ends with what `error` means for this call, given how far it got. */
  fail(call: Call, error: HoldfastError): void {
    if (call.isDone) return
    const told = toldError(call, error)
    this.#end(call)
    call.ending.reject(told)
  }

  helloCame(answer: Extract<Answer, { kind: 'hello' }>): void {
    for (const call of [...this.#open]) if (call.body.kind === 'hello') this.succeed(call, answer)
  }

  close(): void {
    this.#isClosed = true
    for (const call of [...this.#open]) this.fail(call, new HoldfastError('CANCELLED', 'the client was closed'))
  }

  #refusalOf(deadlineMs: number, signal: AbortSignal | undefined): HoldfastError | null {
    if (this.#isClosed) return new HoldfastError('CANCELLED', 'the client is closed')
    if (signal?.aborted) return cancelled(signal)
    if (deadlineMs > 0 && deadlineMs <= limits.deadlineMsMax) return null
    const expected = `expected above 0 and at most ${limits.deadlineMsMax}`
    return new HoldfastError('INVALID_ARGUMENT', `deadlineMs is ${deadlineMs}; ${expected}`)
  }

  #create(body: Body, deadlineAtMs: number, ending: Ending): Call {
    const call = new Call(this.#ports, body, { deadlineAtMs, bytes: bytesOf(body) }, ending)
    this.#open.add(call)
    return call
  }

  #listen(call: Call, signal: AbortSignal | undefined): void {
    if (signal === undefined) return
    const onAbort = (): void => this.fail(call, cancelled(signal))
    signal.addEventListener('abort', onAbort, { once: true })
    call.unlisten = () => signal.removeEventListener('abort', onAbort)
  }

  #admitted(call: Call): void {
    call.admitted = true
    // Calls that end at a deadline, or all at the close, make room for others whose time is up too: these don't leave any more.
    const isLate = this.#ports.clock.monotonicMs() >= call.deadlineAtMs
    if (!this.#isClosed && !isLate) this.#ports.go(call)
  }

  #end(call: Call): void {
    call.state = 'done'
    this.#open.delete(call)
    this.#ports.wheel.disarm(call)
    call.unlisten?.()
    if (call.sequence !== 0) this.#sequences.settle(call.sequence)
    if (call.admitted) this.#admission.leave(call)
  }
}

function cancelled(signal: AbortSignal): HoldfastError {
  return new HoldfastError('CANCELLED', 'the caller gave the call up', { cause: signal.reason })
}
