import type { RangeId } from '../base/ids.js'
import { limits } from '../base/limits.js'
import type { Checkpoint, NodeLog, StateStore } from '../storage/types.js'
import type { LogWriter } from './log-writer.js'
import type { Replica } from './replica.js'

/**
 * Moves D: the index up to which a range's state is durable in the state store, and behind which replay starts.
 *
 * The order is the safety argument. (1) In one turn, picture every range's bookkeeping as of its applied index. (2) State sync:
 * everything written to the state store before that turn becomes durable. (3) Only then do the pictures go to our log, all in one
 * batch: they are D. (4) Only once that batch is synced may entries below be dropped. If (3) came before (2), a power cut would
 * leave a D above a hole in LevelDB, and what was acknowledged there would be gone (test: 'replays what a power cut took from the state').
 * All ranges go into one batch because a split's child has no checkpoint before its parent's passes the split.
 */
export class StateSync {
  readonly #log: NodeLog
  readonly #state: StateStore
  readonly #writer: LogWriter
  readonly #replicas: ReadonlyMap<RangeId, Replica>
  readonly #wake: () => void
  #running = false
  #loggedAtLast = 0
  #then: (() => void)[] = []

  constructor(parts: {
    log: NodeLog
    state: StateStore
    writer: LogWriter
    replicas: ReadonlyMap<RangeId, Replica>
    wake: () => void
  }) {
    this.#log = parts.log
    this.#state = parts.state
    this.#writer = parts.writer
    this.#replicas = parts.replicas
    this.#wake = parts.wake
  }

  maybeStart(everyBytes: number = limits.stateSyncEveryBytes): boolean {
    if (this.#running || this.#log.appendedBytes - this.#loggedAtLast < everyBytes) return false
    this.start(() => {})
    return true
  }

  /** `done` after a whole sync that began at or after this call. */
  start(done: () => void): void {
    if (this.#running) {
      this.#then.push(() => this.start(done))
      return
    }
    this.#running = true
    this.#loggedAtLast = this.#log.appendedBytes
    const pictures: { range: RangeId; replica: Replica; checkpoint: Checkpoint }[] = []
    for (const [range, replica] of this.#replicas) {
      if (replica.needsCheckpoint) pictures.push({ range, replica, checkpoint: replica.checkpoint() })
    }
    this.#state.sync(() => {
      this.#writer.checkpoints(pictures, () => {
        for (const { replica, checkpoint } of pictures) replica.checkpointWritten(checkpoint)
        this.#finish(done)
      })
      this.#wake()
    })
  }

  #finish(done: () => void): void {
    this.#running = false
    done()
    for (const next of this.#then.splice(0)) next()
  }
}
