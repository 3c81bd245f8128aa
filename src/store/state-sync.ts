import type { LogIndex, RangeId } from '../base/ids.js'
import { limits } from '../base/limits.js'
import type { Buggify } from '../base/ports.js'
import type { Checkpoint, NodeLog, StateStore } from '../storage/types.js'
import { truncationPoints } from './log-kept.js'
import type { LogWriter } from './log-writer.js'
import type { Replica } from './replica.js'

interface Picture {
  readonly range: RangeId
  readonly replica: Replica
  readonly incarnation: number
  readonly checkpoint: Checkpoint
}

/**
 * Moves D: the index up to which a range's state is durable in the state store, and behind which replay starts.
 *
 * The order is the safety argument. (1) In one turn, picture every range's bookkeeping as of its applied index. (2) State sync:
 * everything written to the state store before that turn becomes durable. (3) Only then do the pictures go to our log, all in one
 * batch: they are D. (4) Only once that batch is synced may entries below be dropped. If (3) came before (2), a power cut would
 * leave a D above a hole in LevelDB, and what was acknowledged there would be gone (test: 'replays what a power cut took from the state').
 * All ranges go into one batch because a split's child has no checkpoint before its parent's passes the split.
 *
 * A replica that was removed, or whose state was replaced, while the state was being synced is left out: its picture is of a state
 * that our log has already left behind (test: 'a checkpoint pictured before a snapshot was installed is not written after it').
 */
export class StateSync {
  readonly #log: NodeLog
  readonly #state: StateStore
  readonly #writer: LogWriter
  readonly #replicas: ReadonlyMap<RangeId, Replica>
  readonly #wake: () => void
  readonly #keptBytesMax: number
  readonly #buggify: Buggify
  readonly #pinned: (replica: Replica) => LogIndex | null
  #running = false
  #isWanted = false
  #loggedAtLast = 0
  /** Wait for a whole sync of their own; one serves them all. */
  #waiting: (() => void)[] = []
  /** After it there is none. */
  #last: (() => void) | null = null
  #closed = false

  constructor(parts: {
    log: NodeLog
    state: StateStore
    writer: LogWriter
    replicas: ReadonlyMap<RangeId, Replica>
    wake: () => void
    /** Log kept for slow or dead replicas, over all ranges. */
    keptBytesMax: number
    buggify: Buggify
    /** A snapshot of it is under way, to be followed by the log above this index. */
    pinned: (replica: Replica) => LogIndex | null
  }) {
    this.#log = parts.log
    this.#state = parts.state
    this.#writer = parts.writer
    this.#replicas = parts.replicas
    this.#wake = parts.wake
    this.#pinned = parts.pinned
    this.#keptBytesMax = parts.keptBytesMax
    this.#buggify = parts.buggify
  }

  maybeStart(everyBytes: number = limits.stateSyncEveryBytes): boolean {
    if (this.#running) return false
    const isDue = this.#isWanted || this.#log.appendedBytes - this.#loggedAtLast >= everyBytes
    if (!isDue && !this.#buggify('early sync')) return false
    this.start(() => {})
    return true
  }

  /**
   * A split was applied: the child has no checkpoint before the next sync, and until then its vote and its log here are of use only as
   * long as its parent's state is there to make it from again.
   */
  wantForChild(): void {
    this.#isWanted ||= !this.#buggify('late checkpoint')
  }

  /** `done` after a whole sync that began at or after this call. */
  start(done: () => void): void {
    if (this.#closed) return
    if (this.#running) this.#waiting.push(done)
    else this.#begin(done)
  }

  /** The last one, behind all that wait: `done` after it, and nothing is begun any more. */
  close(done: () => void): void {
    this.#closed = true
    if (this.#running) this.#last = done
    else this.#begin(done)
  }

  #begin(done: () => void): void {
    this.#running = true
    this.#isWanted = false
    this.#loggedAtLast = this.#log.appendedBytes
    const pictures = this.#pictures()
    this.#state.sync(() => {
      const current = pictures.filter(({ replica, incarnation }) => this.#isCurrent(replica, incarnation))
      for (const { replica, checkpoint } of current) replica.checkpointLeaves(checkpoint)
      this.#writer.node({ stateMarker: this.#state.marker })
      this.#writer.checkpoints(current, () => {
        for (const { replica, checkpoint, incarnation } of current) {
          if (this.#isCurrent(replica, incarnation)) replica.checkpointWritten(checkpoint)
        }
        this.#finish(done)
      })
      this.#wake()
    })
  }

  #pictures(): readonly Picture[] {
    const replicas = [...this.#replicas.values()].filter(({ hasState }) => hasState)
    const points = truncationPoints(
      replicas.map((replica) => ({ ...replica.truncatable, pinned: this.#pinned(replica) })),
      this.#buggify('log let go') ? 0 : this.#keptBytesMax,
    )
    return replicas.flatMap((replica, at) => {
      if (!replica.needsCheckpoint(points[at]!)) return []
      const { range, incarnation } = replica
      return [{ range, replica, incarnation, checkpoint: replica.checkpoint(points[at]!) }]
    })
  }

  #isCurrent(replica: Replica, incarnation: number): boolean {
    return this.#replicas.get(replica.range) === replica && replica.incarnation === incarnation
  }

  #finish(done: () => void): void {
    this.#running = false
    const waiting = this.#waiting.splice(0)
    const last = this.#last
    if (waiting.length > 0) {
      this.#begin(() => {
        for (const each of waiting) each()
      })
    } else if (last !== null) {
      this.#last = null
      this.#begin(last)
    }
    done()
  }
}
