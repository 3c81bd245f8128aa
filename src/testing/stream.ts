import type { Held, Place, SimNetwork } from './network.js'
import type { Scheduler } from './scheduler.js'

/** A lost segment of a stream comes again after this, as TCP's least retransmission time-out. Milliseconds. */
const RESEND_MS = 200

interface PipeOptions {
  readonly scheduler: Scheduler
  readonly network: SimNetwork
  readonly from: Place
  readonly to: Place
  /** Promise-based code waits for what arrives. */
  readonly settles: boolean
  /** Something has been stuck in it for `silenceMs`. */
  readonly silenceMs: number
  onSilence(): void
}

/** One direction of a connection: like TCP, in order and whole, or nothing more. A link that is not open holds it up. */
export class Pipe implements Held {
  readonly #options: PipeOptions
  readonly #stuck: (() => void)[] = []
  #lastArrivalMs = 0
  #closed = false

  constructor(options: PipeOptions) {
    this.#options = options
  }

  get from(): Place {
    return this.#options.from
  }

  get to(): Place {
    return this.#options.to
  }

  /** `arrive` runs at the other end, after everything sent before, unless the pipe is closed until then. */
  send(arrive: () => void): void {
    if (this.#closed) return
    const { scheduler, network, settles } = this.#options
    const resendMs = network.drawLoss(this.from, this.to) ? RESEND_MS : 0
    const delayMs = network.drawDelayMs(this.from, this.to)
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, scheduler.nowMs + delayMs + resendMs)
    scheduler.schedule(this.#lastArrivalMs - scheduler.nowMs, () => this.#arrive(arrive), settles)
  }

  /** Nothing arrives any more. */
  close(): void {
    this.#closed = true
    this.#stuck.length = 0
  }

  released(): void {
    const { scheduler, network, settles } = this.#options
    scheduler.schedule(
      network.drawDelayMs(this.from, this.to),
      () => {
        if (!network.isOpen(this.from, this.to)) network.hold(this)
        else for (const arrive of this.#stuck.splice(0)) if (!this.#closed) arrive()
      },
      settles,
    )
  }

  #arrive(arrive: () => void): void {
    if (this.#closed) return
    const { network } = this.#options
    if (this.#stuck.length === 0 && network.isOpen(this.from, this.to)) {
      arrive()
      return
    }
    this.#stuck.push(arrive)
    if (this.#stuck.length === 1) this.#becomeStuck()
  }

  #becomeStuck(): void {
    const { scheduler, network, silenceMs, onSilence } = this.#options
    network.counters.blocked++
    network.hold(this)
    const first = this.#stuck[0]
    scheduler.schedule(
      silenceMs,
      () => {
        if (!this.#closed && this.#stuck[0] === first) onSilence()
      },
      true,
    )
  }
}
