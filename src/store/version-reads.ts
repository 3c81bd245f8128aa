import type { Version } from '../base/ids.js'
import { limits } from '../base/limits.js'
import { maxVersion } from '../base/version.js'
import type { PendingRead } from './reads.js'
import type { Replica } from './replica.js'

/** An `advance` or its answer was lost if nothing came of it for so long. */
const ASK_AGAIN_TICKS = limits.heartbeatTicks

interface Waiting {
  readonly read: PendingRead
  /** The lowest applied version at which it may be answered. */
  readonly needs: Version
}

interface RangeReads {
  waiting: Waiting[]
  bytes: number
  /** What the range was last asked to reach, and how many ticks ago. */
  asked: Version | null
  ticksSinceAsked: number
}

export interface VersionReadsParts {
  serve(replica: Replica, read: PendingRead): void
  /** Makes the range's log reach `to`: proposes an empty entry, or asks the leader to. */
  advance(replica: Replica, to: Version): void
  monotonicMs(): number
}

/**
 * Reads that any replica answers (ARCHITECTURE.md, one idea: the view by version). Entry timestamps strictly increase along a log, so a
 * replica that has applied an entry with timestamp T has everything up to T: a read that needs version T is answered once
 * the range's clock here is at or above it, led or not. Where nothing is written the clock stands: then an empty entry is asked for.
 */
export class VersionReads {
  readonly #parts: VersionReadsParts
  readonly #ranges = new Map<Replica, RangeReads>()

  constructor(parts: VersionReadsParts) {
    this.#parts = parts
  }

  get isWaiting(): boolean {
    return this.#ranges.size > 0
  }

  /** Of what waits at the replica where most does. */
  get bytesMost(): number {
    let most = 0
    for (const { bytes } of this.#ranges.values()) most = Math.max(most, bytes)
    return most
  }

  /** False: as many wait as may, this one was not taken. Answered at the end of this turn at the earliest. */
  arrive(replica: Replica, read: PendingRead, needs: Version): boolean {
    let reads = this.#ranges.get(replica)
    if (reads === undefined) {
      reads = { waiting: [], bytes: 0, asked: null, ticksSinceAsked: 0 }
      this.#ranges.set(replica, reads)
    }
    if (reads.bytes + read.bytes > limits.rangeReadBytesMax) return false
    reads.bytes += read.bytes
    reads.waiting.push({ read, needs })
    return true
  }

  /** The replica had its part of the turn: answers what its clock has reached, and sees to it that it reaches the rest. */
  turned(replica: Replica): void {
    const reads = this.#ranges.get(replica)
    if (reads === undefined) return
    const { clock } = replica
    for (const read of take(reads, ({ needs }) => needs <= clock)) this.#parts.serve(replica, read)
    this.#ask(replica, reads)
  }

  tick(): void {
    const nowMs = this.#parts.monotonicMs()
    for (const [replica, reads] of this.#ranges) {
      // Answered with DEADLINE: the leader is not to be heard, or this replica lags.
      for (const read of take(reads, (waiting) => waiting.read.expiresAt <= nowMs)) this.#parts.serve(replica, read)
      reads.ticksSinceAsked += 1
      if (reads.ticksSinceAsked >= ASK_AGAIN_TICKS) reads.asked = null
      this.#ask(replica, reads)
    }
  }

  /** Everything that waits, of one replica or of all. */
  takeAll(of?: Replica): PendingRead[] {
    const taken: PendingRead[] = []
    for (const [replica, reads] of this.#ranges) {
      if (of !== undefined && replica !== of) continue
      taken.push(...take(reads, () => true))
      this.#ranges.delete(replica)
    }
    return taken
  }

  #ask(replica: Replica, reads: RangeReads): void {
    if (reads.waiting.length === 0) {
      this.#ranges.delete(replica)
      return
    }
    const needs = reads.waiting.reduce(
      (highest, waiting) => maxVersion(highest, waiting.needs),
      reads.waiting[0]!.needs,
    )
    if (reads.asked !== null && reads.asked >= needs) return
    reads.asked = needs
    reads.ticksSinceAsked = 0
    this.#parts.advance(replica, needs)
  }
}

function take(reads: RangeReads, isTaken: (waiting: Waiting) => boolean): PendingRead[] {
  const taken: PendingRead[] = []
  const left: Waiting[] = []
  for (const waiting of reads.waiting) {
    if (isTaken(waiting)) taken.push(waiting.read)
    else left.push(waiting)
  }
  reads.waiting = left
  for (const { bytes } of taken) reads.bytes -= bytes
  return taken
}
