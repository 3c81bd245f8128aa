/**
 * Keeps deletes and reads of LevelDB apart. Without the fix for google/leveldb#320 a compaction that must keep two versions of one
 * physical key, because an iterator, get or getMany stands between them, may cut them into two tables and later move only the newer one
 * down: the older comes back, or a live neighbour of a delete vanishes. Records are written once, so only a delete makes a second
 * version; if no read is open when it is handed over and none opens before it is in, nothing ever stands between the two.
 * test/storage/state-churn.test.ts fails without it.
 */
export class ReadBarrier {
  #open = 0
  #closed = false
  readonly #reads: (() => void)[] = []
  readonly #closers: (() => void)[] = []

  /** Starts a read now, or once the barrier is lifted. `start` calls `end` when its last iterator is closed. */
  read(start: (end: () => void) => void): void {
    const begin = (): void => {
      this.#open++
      start(() => {
        this.#open--
        this.#maybeClose()
      })
    }
    if (this.#closed || this.#closers.length > 0) this.#reads.push(begin)
    else begin()
  }

  /** Calls `action` when no read is open. None begins before it calls `lift`. */
  close(action: (lift: () => void) => void): void {
    this.#closers.push(() =>
      action(() => {
        this.#closed = false
        this.#maybeClose()
        if (!this.#closed) for (const begin of this.#reads.splice(0)) this.#enter(begin)
      }),
    )
    this.#maybeClose()
  }

  /** What waited may close the barrier again at once: then the rest waits on. */
  #enter(begin: () => void): void {
    if (this.#closed) this.#reads.push(begin)
    else begin()
  }

  #maybeClose(): void {
    if (this.#closed || this.#open > 0) return
    const next = this.#closers.shift()
    if (next === undefined) return
    this.#closed = true
    next()
  }
}
