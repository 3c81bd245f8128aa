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
  /** Held by a clog, and delivered after it. */
  clogged: number
  /** Came to a slow reader that had too many waiting. */
  refused: number
}

/** So many datagrams wait for a slow reader; what comes on top is dropped, as a sender does whose buffers are full. */
const READER_WAITING_MAX = 256

/** Who takes one frame every so often. */
interface SlowReader {
  readonly everyMs: number
  /** When it has taken all that is under way to it. */
  freeMs: number
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
  /** Of every link that has none of its own. */
  quality: LinkQuality = calmLink
  readonly counters: NetworkCounters = {
    delivered: 0,
    lost: 0,
    blocked: 0,
    duplicated: 0,
    straggled: 0,
    clogged: 0,
    refused: 0,
  }
  readonly #scheduler: Scheduler
  readonly #random: SeededRandom
  readonly #trace: Trace
  /** How many faults block a way now: overlapping partitions heal one by one. */
  readonly #blocked = new Map<string, number>()
  /** How many faults clog a way now. */
  readonly #clogged = new Map<string, number>()
  readonly #links = new Map<string, LinkQuality>()
  readonly #slow = new Map<Place, SlowReader>()
  readonly #holding = new Set<Held>()

  constructor(options: { scheduler: Scheduler; random: SeededRandom; trace: Trace }) {
    this.#scheduler = options.scheduler
    this.#random = options.random
    this.#trace = options.trace
  }

  /** Nothing passes from `from` to `to` until it is unblocked as often as it was blocked. */
  block(from: Place, to: Place): void {
    raise(this.#blocked, wayOf(from, to))
  }

  unblock(from: Place, to: Place): void {
    lower(this.#blocked, wayOf(from, to))
    this.#maybeRelease(wayOf(from, to))
  }

  /** What is sent from `from` to `to` is held until it is unclogged as often as it was clogged; then all of it comes. */
  clog(from: Place, to: Place): void {
    raise(this.#clogged, wayOf(from, to))
  }

  unclog(from: Place, to: Place): void {
    lower(this.#clogged, wayOf(from, to))
    this.#maybeRelease(wayOf(from, to))
  }

  /** One way gets a quality of its own. Returns how to take it back, which does nothing where it has got another since. */
  setLink(from: Place, to: Place, quality: LinkQuality): () => void {
    const way = wayOf(from, to)
    this.#links.set(way, quality)
    return () => {
      if (this.#links.get(way) === quality) this.#links.delete(way)
    }
  }

  /** Whoever is there takes one frame every `everyMs`, in milliseconds. Returns how to make it quick again. */
  slowDown(place: Place, everyMs: number): () => void {
    const reader = { everyMs, freeMs: this.#scheduler.nowMs }
    this.#slow.set(place, reader)
    return () => {
      if (this.#slow.get(place) === reader) this.#slow.delete(place)
    }
  }

  /** Opens every way and makes all links as they are between faults. */
  healAll(): void {
    this.#links.clear()
    this.#slow.clear()
    const ways = [...this.#blocked.keys(), ...this.#clogged.keys()]
    this.#blocked.clear()
    this.#clogged.clear()
    for (const way of ways) this.#maybeRelease(way)
  }

  isBlocked(from: Place, to: Place): boolean {
    return this.#blocked.size > 0 && this.#blocked.has(wayOf(from, to))
  }

  /** Neither blocked nor clogged. */
  isOpen(from: Place, to: Place): boolean {
    return (this.#blocked.size === 0 && this.#clogged.size === 0) || this.#isOpenWay(wayOf(from, to))
  }

  /** Sends one frame that may be lost, doubled and overtaken. `deliver` runs when it arrives; `settles`: promises wait for it. */
  datagram(from: Place, to: Place, deliver: () => void, settles = false): void {
    const { loss, duplicate } = this.#qualityOf(from, to)
    if (this.isBlocked(from, to)) {
      this.counters.blocked++
      return
    }
    if (loss > 0 && this.#random.chance(loss)) {
      this.counters.lost++
      this.#trace.event(this.#scheduler.nowMs, from, 'lost', to)
      return
    }
    if (this.#isFull(to)) {
      this.counters.refused++
      return
    }
    this.#arriveLater(from, to, deliver, settles)
    if (duplicate > 0 && this.#random.chance(duplicate)) {
      this.counters.duplicated++
      this.#arriveLater(from, to, deliver, settles)
    }
  }

  /** Draws how long one frame is under way until it is read, in milliseconds. */
  drawDelayMs(from: Place, to: Place): number {
    const delayMs = this.#drawWayMs(from, to)
    const reader = this.#slow.size > 0 ? this.#slow.get(to) : undefined
    if (reader === undefined) return delayMs
    const { nowMs } = this.#scheduler
    reader.freeMs = Math.max(nowMs + delayMs, reader.freeMs) + reader.everyMs
    return reader.freeMs - nowMs
  }

  /** Whether a frame of a reliable stream has to be sent again. */
  drawLoss(from: Place, to: Place): boolean {
    const { loss } = this.#qualityOf(from, to)
    const lost = loss > 0 && this.#random.chance(loss)
    if (lost) this.counters.lost++
    return lost
  }

  /** `held.released` is called once its way is open. */
  hold(held: Held): void {
    this.#holding.add(held)
  }

  #qualityOf(from: Place, to: Place): LinkQuality {
    return this.#links.size === 0 ? this.quality : (this.#links.get(wayOf(from, to)) ?? this.quality)
  }

  #drawWayMs(from: Place, to: Place): number {
    const { delayMs, jitterMs, straggle, straggleMs } = this.#qualityOf(from, to)
    const usual = delayMs + this.#random.next() * jitterMs
    if (straggle === 0 || !this.#random.chance(straggle)) return usual
    this.counters.straggled++
    return usual + this.#random.next() * straggleMs
  }

  #isFull(to: Place): boolean {
    const reader = this.#slow.size > 0 ? this.#slow.get(to) : undefined
    return reader !== undefined && reader.freeMs - this.#scheduler.nowMs > READER_WAITING_MAX * reader.everyMs
  }

  #isOpenWay(way: string): boolean {
    return !this.#blocked.has(way) && !this.#clogged.has(way)
  }

  #maybeRelease(way: string): void {
    if (!this.#isOpenWay(way)) return
    for (const held of [...this.#holding]) {
      if (wayOf(held.from, held.to) !== way) continue
      this.#holding.delete(held)
      held.released()
    }
  }

  #arriveLater(from: Place, to: Place, deliver: () => void, settles: boolean): void {
    this.#scheduler.schedule(this.drawDelayMs(from, to), () => this.#arrive({ from, to, deliver, settles }), settles)
  }

  #arrive(frame: { from: Place; to: Place; deliver: () => void; settles: boolean }): void {
    const { from, to, deliver, settles } = frame
    if (this.isOpen(from, to)) {
      this.counters.delivered++
      deliver()
    } else if (this.isBlocked(from, to)) {
      // A partition also swallows what was under way when it began.
      this.counters.blocked++
    } else {
      this.counters.clogged++
      this.hold({ from, to, released: () => this.#arriveLater(from, to, deliver, settles) })
    }
  }
}

function wayOf(from: Place, to: Place): string {
  return `${from}>${to}`
}

function raise(faults: Map<string, number>, way: string): void {
  faults.set(way, (faults.get(way) ?? 0) + 1)
}

function lower(faults: Map<string, number>, way: string): void {
  const count = faults.get(way) ?? 0
  if (count > 1) faults.set(way, count - 1)
  else faults.delete(way)
}
