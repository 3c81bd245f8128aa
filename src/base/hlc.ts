import { assert } from './assert.js'
import type { NodeId, Version } from './ids.js'
import { limits } from './limits.js'
import { versionAt } from './version.js'

/** One reading of this node's two clocks, taken together. Milliseconds. */
export interface ClockReading {
  readonly wallMs: number
  readonly monotonicMs: number
}

/** Log time runs at most this much faster or slower than the monotonic clock while it closes a difference. */
const SLEW = 1 / 10

/**
 * The physical part of log time (the logical part is that a leader assigns above everything it has seen).
 *
 * Log time follows the lower median of the wall clocks of all nodes heard, its own included, and moves by the monotonic
 * clock: a difference is closed by running up to a tenth faster or slower. So one clock that jumps, or a node that
 * starts an hour off, neither lets sessions expire nor makes versions that others refuse. It never goes back, so the
 * first answer can't be taken back either: a node of a cluster asks only after it has heard a majority (`size`).
 *
 * The door (`doorVersion`) is where versions that come from outside are refused as too far ahead. It goes by the upper
 * median, so that a node whose clock is behind does not refuse what the others made.
 */
export class LogClock {
  /** Wall clock minus our monotonic clock, per other node. */
  readonly #offsetsMs = new Map<NodeId, number>()
  #last: { readonly logMs: number; readonly monotonicMs: number } | null = null

  /** The medians of the last reading: a turn asks three times for the same. */
  #computed: (ClockReading & { readonly lowerMs: number; readonly upperMs: number }) | null = null

  /** Clocks known, our own included. */
  get size(): number {
    return this.#offsetsMs.size + 1
  }

  /** Another node's wall clock, as its frame carried it, and our monotonic clock when the frame came in. */
  heard(reading: { node: NodeId; wallMs: number; monotonicMs: number }): void {
    this.#offsetsMs.set(reading.node, reading.wallMs - reading.monotonicMs)
    this.#computed = null
  }

  /** This node's clocks contradict each other: what was heard says nothing about now. */
  forgetAll(): void {
    this.#offsetsMs.clear()
    this.#computed = null
  }

  /** The node is no longer of the cluster. */
  forget(node: NodeId): void {
    this.#offsetsMs.delete(node)
    this.#computed = null
  }

  /** Whole milliseconds since the Unix epoch, for `versionAt`. Never less than it said before. */
  logTimeMs(own: ClockReading): number {
    const logMs = this.#logMs(own)
    this.#last = { logMs, monotonicMs: own.monotonicMs }
    return Math.floor(logMs)
  }

  /** Versions above this one are refused when they come from outside. Never below log time, so never our own. */
  doorVersion(own: ClockReading): Version {
    const { upperMs } = this.#medians(own)
    const doorMs = this.#last === null ? upperMs : Math.max(upperMs, this.#logMs(own))
    return versionAt(Math.floor(doorMs) + limits.versionAheadMsMax)
  }

  /**
   * The upper median as it stands, where log time may still run after the lower one: for what must not be older than it seems. Of two
   * clocks the later counts: a slow one must not make an old picture new.
   */
  upperMedianMs(own: ClockReading): number {
    return this.#medians(own).upperMs
  }

  /** How far our wall clock is ahead (behind, if negative) of the lower median. Worth a warning from `limits.clockDifferenceWarnMs` on. */
  differenceMs(own: ClockReading): number {
    return own.wallMs - this.#medians(own).lowerMs
  }

  #logMs(own: ClockReading): number {
    const targetMs = this.#medians(own).lowerMs
    if (this.#last === null) return targetMs
    const elapsedMs = own.monotonicMs - this.#last.monotonicMs
    assert(elapsedMs >= 0, 'the monotonic clock went back', this.#last.monotonicMs, own.monotonicMs)
    const runMs = this.#last.logMs + elapsedMs
    const slewMs = elapsedMs * SLEW
    return runMs + Math.max(-slewMs, Math.min(slewMs, targetMs - runMs))
  }

  #medians(own: ClockReading): { lowerMs: number; upperMs: number } {
    const known = this.#computed
    if (known !== null && known.wallMs === own.wallMs && known.monotonicMs === own.monotonicMs) return known
    const wallsMs = [own.wallMs]
    for (const offsetMs of this.#offsetsMs.values()) wallsMs.push(offsetMs + own.monotonicMs)
    wallsMs.sort((a, b) => a - b)
    const lowerMs = wallsMs[(wallsMs.length - 1) >>> 1]!
    const upperMs = wallsMs[wallsMs.length >>> 1]!
    this.#computed = { wallMs: own.wallMs, monotonicMs: own.monotonicMs, lowerMs, upperMs }
    return this.#computed
  }
}
