import type { SeededRandom } from './random.js'
import type { Scheduler } from './scheduler.js'
import type { Trace } from './trace.js'

/** Who sends and receives: 'node 1', 'client 2'. */
export type Place = string

/** How a link treats frames. Probabilities in [0, 1). */
export interface LinkQuality {
  /** Least time from one end to the other, in milliseconds. */
  readonly delayMs: number
  /** Up to this much is added to each frame, uniformly: frames overtake each other within it. */
  readonly jitterMs: number
  /** Chance that a frame is dropped. */
  readonly loss: number
  /** Chance that a frame arrives twice. */
  readonly duplicate: number
  /** Chance that a frame is held back for up to `straggleMs` more and is overtaken by many. */
  readonly straggle: number
  readonly straggleMs: number
}

export const calmLink: LinkQuality = {
  delayMs: 0.2,
  jitterMs: 0.2,
  loss: 0,
  duplicate: 0,
  straggle: 0,
  straggleMs: 0,
}

/** What the network did to frames, so that a test can demand that faults took effect. */
export interface NetworkCounters {
  delivered: number
  lost: number
  blocked: number
  duplicated: number
  straggled: number
}

/** What waits for a link to open. */
export interface Held {
  readonly from: Place
  readonly to: Place
  released(): void
}

/**
 * The simulated network: what is sent arrives late, out of order, twice or never, as the links' quality and the
 * partitions say. Frames are objects handed over as they are: nobody may change one after sending it.
 */
export class SimNetwork {
  quality: LinkQuality = calmLink
  readonly counters: NetworkCounters = { delivered: 0, lost: 0, blocked: 0, duplicated: 0, straggled: 0 }
  readonly #scheduler: Scheduler
  readonly #random: SeededRandom
  readonly #trace: Trace
  /** How many faults block a way now: overlapping partitions heal one by one. */
  readonly #blocked = new Map<string, number>()
  readonly #holding = new Set<Held>()

  constructor(options: { scheduler: Scheduler; random: SeededRandom; trace: Trace }) {
    this.#scheduler = options.scheduler
    this.#random = options.random
    this.#trace = options.trace
  }

  /** Nothing passes from `from` to `to` until it is unblocked as often as it was blocked. */
  block(from: Place, to: Place): void {
    const way = wayOf(from, to)
    this.#blocked.set(way, (this.#blocked.get(way) ?? 0) + 1)
  }

  unblock(from: Place, to: Place): void {
    const way = wayOf(from, to)
    const faults = this.#blocked.get(way) ?? 0
    if (faults > 1) this.#blocked.set(way, faults - 1)
    else this.#open(way)
  }

  /** Opens every way. */
  healAll(): void {
    for (const way of [...this.#blocked.keys()]) this.#open(way)
  }

  isBlocked(from: Place, to: Place): boolean {
    return this.#blocked.size > 0 && this.#blocked.has(wayOf(from, to))
  }

  /** Sends one frame that may be lost, doubled and overtaken. `deliver` runs when it arrives. */
  datagram(from: Place, to: Place, deliver: () => void): void {
    const { loss, duplicate } = this.quality
    if (this.isBlocked(from, to)) {
      this.counters.blocked++
      return
    }
    if (loss > 0 && this.#random.chance(loss)) {
      this.counters.lost++
      this.#trace.event(this.#scheduler.nowMs, from, 'lost', to)
      return
    }
    this.#arriveLater(from, to, deliver)
    if (duplicate > 0 && this.#random.chance(duplicate)) {
      this.counters.duplicated++
      this.#arriveLater(from, to, deliver)
    }
  }

  /** Draws how long one frame is under way, in milliseconds. */
  drawDelayMs(): number {
    const { delayMs, jitterMs, straggle, straggleMs } = this.quality
    const usual = delayMs + this.#random.next() * jitterMs
    if (straggle === 0 || !this.#random.chance(straggle)) return usual
    this.counters.straggled++
    return usual + this.#random.next() * straggleMs
  }

  /** Whether a frame of a reliable stream has to be sent again. */
  drawLoss(): boolean {
    const lost = this.quality.loss > 0 && this.#random.chance(this.quality.loss)
    if (lost) this.counters.lost++
    return lost
  }

  /** `held.released` is called once its way is open. */
  hold(held: Held): void {
    this.#holding.add(held)
  }

  #open(way: string): void {
    this.#blocked.delete(way)
    for (const held of [...this.#holding]) {
      if (wayOf(held.from, held.to) !== way) continue
      this.#holding.delete(held)
      held.released()
    }
  }

  #arriveLater(from: Place, to: Place, deliver: () => void): void {
    this.#scheduler.schedule(this.drawDelayMs(), () => {
      // A partition also swallows what was under way when it began.
      if (this.isBlocked(from, to)) {
        this.counters.blocked++
        return
      }
      this.counters.delivered++
      deliver()
    })
  }
}

function wayOf(from: Place, to: Place): string {
  return `${from}>${to}`
}
