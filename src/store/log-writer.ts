import type { RangeId, ReplicaId, StorageId } from '../base/ids.js'
import type { Entry, Message, Ready } from '../raft/types.js'
import type { Written } from '../raft/writes.js'
import type { Checkpoint, LogItem, NodeLog, NodeRecord } from '../storage/types.js'

/** Who waits for a log batch: it learns what became durable, then its messages may leave. */
export interface Persisting {
  persisted(written: Written): void
  release(messages: readonly Message[]): void
}

interface Waiter {
  readonly replica: Persisting
  readonly ready: Ready
}

interface Batch {
  readonly number: number
  readonly items: LogItem[]
  readonly waiters: Waiter[]
  readonly actions: (() => void)[]
  /** False while it holds only commit indexes, which need not be synced: they ride with the next batch. */
  needed: boolean
}

/** Lazily written commit indexes are flushed anyway once this many have gathered. */
const LAZY_ITEMS_MAX = 4_096

/**
 * Gathers the log writes of all ranges into numbered batches, one in flight at a time: while one is being synced the next
 * collects, which is group commit without a timer.
 *
 * Order that matters: a message of `sendAfterPersist` leaves only after the batch that holds everything its replica wrote
 * before it. Sent earlier, an acknowledgement or a vote would not survive a power cut (test: 'acknowledges only what is synced').
 */
export class LogWriter {
  readonly #log: NodeLog
  readonly #wake: () => void
  #collecting: Batch = newBatch(1)
  #inFlight: Batch | null = null
  readonly #finished: Batch[] = []
  #durable = 0
  #node: NodeRecord

  constructor(log: NodeLog, wake: () => void) {
    this.#log = log
    this.#node = log.node
    this.#wake = wake
  }

  /**
   * Number of the batch after which all entries added so far are durable. A batch of commit indexes alone doesn't count: on an
   * idle node it would not be written for ever, and whatever waits for it would hang (test: 'scans where nothing is written').
   */
  get lastNumber(): number {
    if (this.#collecting.needed) return this.#collecting.number
    return this.#inFlight?.number ?? this.#durable
  }

  /** Number of the newest durable batch. */
  get durable(): number {
    return this.#durable
  }

  add(range: RangeId, replica: Persisting, ready: Ready): void {
    const writes = ready.entries.length > 0 || ready.mustSync
    const batch = this.#collecting
    if (ready.hardState !== null) batch.items.push({ kind: 'hardState', range, hardState: ready.hardState })
    if (ready.entries.length > 0) batch.items.push({ kind: 'entries', range, entries: ready.entries })
    if (writes) batch.needed = true
    if (writes || batch.needed) {
      batch.waiters.push({ replica, ready })
      return
    }
    // Nothing to sync: its messages wait only for what the replica wrote before, which is in flight if anywhere.
    if (ready.hardState !== null) batch.waiters.push({ replica, ready: { ...ready, sendAfterPersist: [] } })
    if (ready.sendAfterPersist.length === 0) return
    const messagesOnly: Ready = { ...ready, hardState: null }
    if (this.#inFlight !== null) this.#inFlight.waiters.push({ replica, ready: messagesOnly })
    else replica.release(ready.sendAfterPersist)
  }

  checkpoints(list: readonly { range: RangeId; checkpoint: Checkpoint }[], done: () => void): void {
    for (const { range, checkpoint } of list) this.#collecting.items.push({ kind: 'checkpoint', range, checkpoint })
    this.after(done)
  }

  /** The range's replica is out, and `lowest` is the lowest id that may follow it here. */
  tombstone(of: { range: RangeId; lowest: ReplicaId }, done: () => void): void {
    this.#collecting.items.push({ kind: 'tombstone', ...of })
    this.after(done)
  }

  /** Writes an entry over the damaged one of its index and term. */
  repair(range: RangeId, entry: Entry, done: () => void): void {
    this.#collecting.items.push({ kind: 'repair', range, entry })
    this.after(done)
  }

  /** `done` once everything added so far is durable. */
  after(done: () => void): void {
    this.#collecting.needed = true
    this.#collecting.actions.push(done)
  }

  get nextStorage(): StorageId {
    return this.#node.nextStorage
  }

  /** A storage id that was never used. Its first key may be written once what was added so far is durable. */
  allocateStorage(): StorageId {
    const storage = this.nextStorage
    this.node({ nextStorage: (storage + 1) as StorageId })
    return storage
  }

  /** What it isn't told stays as it was last told. */
  node(changes: Partial<NodeRecord>): void {
    this.#node = { ...this.#node, ...changes }
    this.#collecting.items.push({ kind: 'node', ...this.#node })
    this.#collecting.needed = true
  }

  /** Hands the gathered batch to the log, if none is in flight. */
  flush(): void {
    const batch = this.#collecting
    if (this.#inFlight !== null || !(batch.needed || batch.items.length > LAZY_ITEMS_MAX)) return
    this.#inFlight = batch
    this.#collecting = newBatch(batch.number + 1)
    const items = batch.items.filter((item) => item.kind !== 'repair' || this.#isDamaged(item))
    this.#log.append(items, () => {
      this.#inFlight = null
      this.#finished.push(batch)
      this.#wake()
    })
  }

  /** The batch before may have replaced the entry, or let go of it. */
  #isDamaged({ range, entry }: { range: RangeId; entry: Entry }): boolean {
    return this.#log.damaged(range).includes(entry.index) && this.#log.reader(range).term(entry.index) === entry.term
  }

  /** Makes even lazily kept commit indexes go with the next flush: before a shutdown, so that replay starts far. */
  force(): void {
    if (this.#collecting.items.length > 0) this.#collecting.needed = true
  }

  get idle(): boolean {
    return this.#inFlight === null && this.#finished.length === 0 && !this.#collecting.needed
  }

  /** Inputs of this turn: tells the replicas what became durable. Returns whether there was anything. */
  drainFinished(): boolean {
    if (this.#finished.length === 0) return false
    for (const batch of this.#finished.splice(0)) {
      this.#durable = batch.number
      for (const { replica, ready } of batch.waiters) {
        const last = ready.entries.at(-1)
        if (ready.hardState !== null || last !== undefined) {
          replica.persisted({
            hardState: ready.hardState,
            restored: ready.restored,
            lastEntry: last === undefined ? null : { index: last.index, term: last.term },
          })
        }
        if (ready.sendAfterPersist.length > 0) replica.release(ready.sendAfterPersist)
      }
      for (const action of batch.actions) action()
    }
    return true
  }
}

function newBatch(number: number): Batch {
  return { number, items: [], waiters: [], actions: [], needed: false }
}
