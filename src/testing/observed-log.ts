import type { RangeId, StorageId } from '../base/ids.js'
import type { LogReader } from '../raft/types.js'
import type { LogItem, NodeLog, RecoveredRange } from '../storage/types.js'

/** A node's log with somebody looking on: `onAppend` sees what is written and returns what to call once it is durable. */
export class ObservedLog implements NodeLog {
  readonly #log: NodeLog
  readonly #onAppend: (items: readonly LogItem[]) => () => void

  constructor(log: NodeLog, onAppend: (items: readonly LogItem[]) => () => void) {
    this.#log = log
    this.#onAppend = onAppend
  }

  get recovered(): ReadonlyMap<RangeId, RecoveredRange> {
    return this.#log.recovered
  }

  get nextStorage(): StorageId {
    return this.#log.nextStorage
  }

  get appendedBytes(): number {
    return this.#log.appendedBytes
  }

  get diskBytes(): number {
    return this.#log.diskBytes
  }

  append(items: readonly LogItem[], done: () => void): void {
    const onDurable = this.#onAppend(items)
    this.#log.append(items, () => {
      onDurable()
      done()
    })
  }

  reader(range: RangeId): LogReader {
    return this.#log.reader(range)
  }

  close(): Promise<void> {
    return this.#log.close()
  }
}
