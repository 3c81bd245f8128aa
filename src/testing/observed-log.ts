import type { LogIndex, RangeId, ReplicaId } from '../base/ids.js'
import type { LogReader } from '../raft/types.js'
import type { LogItem, NodeLog, NodeRecord, RecoveredRange } from '../storage/types.js'

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

  get tombstones(): ReadonlyMap<RangeId, ReplicaId> {
    return this.#log.tombstones
  }

  get node(): NodeRecord {
    return this.#log.node
  }

  get isFull(): boolean {
    return this.#log.isFull
  }

  get oldestUnsyncedMs(): number {
    return this.#log.oldestUnsyncedMs
  }

  get lastBatch(): number {
    return this.#log.lastBatch
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

  configurations(range: RangeId): readonly LogIndex[] {
    return this.#log.configurations(range)
  }

  damaged(range: RangeId): readonly LogIndex[] {
    return this.#log.damaged(range)
  }

  whenSpace(action: () => void): void {
    this.#log.whenSpace(action)
  }

  close(): Promise<void> {
    return this.#log.close()
  }
}
