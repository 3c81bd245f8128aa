import { type ClockReading, LogClock } from '../base/hlc.js'
import type { NodeId, Version } from '../base/ids.js'
import { NO_VERSION } from '../base/ids.js'
import type { Clock } from '../base/ports.js'
import { versionAt } from '../base/version.js'

/** Two clocks of one machine that part by more than this between two turns are no longer believed. */
const CLOCK_GAP_MS = 1_000

/**
 * Log time as this node's turns see it. It is known once the clocks of a majority of a range's nodes are: before, a node that is an
 * hour off would take its own for it, and log time never goes back. Nobody leads without having heard from a majority, so no
 * version is given before.
 */
export class LogTime {
  readonly #clock: Pick<Clock, 'wallMs' | 'monotonicMs'>
  readonly #logClock = new LogClock()
  #clocksNeeded = 1
  #last: ClockReading | null = null
  #now: Version = NO_VERSION
  #door: Version = NO_VERSION
  #clusterMs: number | null = null

  constructor(clock: Pick<Clock, 'wallMs' | 'monotonicMs'>) {
    this.#clock = clock
  }

  /** Clocks, this node's included, that must be known before log time is: a majority of `nodes`. */
  needMajorityOf(nodes: number): void {
    this.#clocksNeeded = Math.max(this.#clocksNeeded, (nodes >> 1) + 1)
  }

  heard(node: NodeId, wallMs: number): void {
    this.#logClock.heard({ node, wallMs, monotonicMs: this.#clock.monotonicMs() })
  }

  /** Reads both clocks: once at the start of each turn. */
  read(): void {
    const own = { wallMs: this.#clock.wallMs(), monotonicMs: this.#clock.monotonicMs() }
    this.#distrustAfterGap(own)
    this.#clusterMs = null
    if (this.#logClock.size < this.#clocksNeeded) return
    this.#clusterMs = this.#logClock.upperMedianMs(own)
    this.#now = versionAt(this.#logClock.logTimeMs(own))
    this.#door = this.#logClock.doorVersion(own)
  }

  /** The lowest version that a command proposed now may get. */
  get now(): Version {
    return this.#now
  }

  /** Highest version taken from a client. */
  get door(): Version {
    return this.#door
  }

  /** What the cluster's clocks say at this moment, milliseconds since the epoch; null: not enough of them were heard. */
  get clusterMs(): number | null {
    return this.#clusterMs
  }

  /**
   * The wall clock parted from the monotonic one: it was set, or the machine was suspended, and then what was heard of other
   * clocks is as old as that. Whatever depends on the present waits until a majority is heard again.
   */
  #distrustAfterGap(own: ClockReading): void {
    const last = this.#last
    this.#last = own
    if (last === null) return
    const gapMs = own.wallMs - last.wallMs - (own.monotonicMs - last.monotonicMs)
    if (Math.abs(gapMs) > CLOCK_GAP_MS) this.#logClock.forgetAll()
  }
}
