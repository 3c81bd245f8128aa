import { assert } from '../base/assert.js'
import type { LogIndex, ReplicaId } from '../base/ids.js'
import type { Message, Ready } from './types.js'

/** Effects that wait for the next takeReady. */
export class Outbox {
  #sendNow: Message[] = []
  #sendAfterPersist: Message[] = []
  #reads: Ready['reads'][number][] = []
  #failedReads: number[] = []
  #snapshots: ReplicaId[] = []
  /** The highest match of this turn's appends: one acknowledgement tells the leader all. */
  #acknowledgement: { readonly to: ReplicaId; readonly matchIndex: LogIndex } | null = null

  get isEmpty(): boolean {
    return (
      this.#sendNow.length === 0 &&
      this.#sendAfterPersist.length === 0 &&
      this.#reads.length === 0 &&
      this.#failedReads.length === 0 &&
      this.#snapshots.length === 0 &&
      this.#acknowledgement === null
    )
  }

  sendNow(message: Message): void {
    this.#sendNow.push(message)
  }

  sendAfterPersist(message: Message): void {
    this.#sendAfterPersist.push(message)
  }

  acknowledge(to: ReplicaId, matchIndex: LogIndex): void {
    const waiting = this.#acknowledgement
    assert(waiting === null || waiting.to === to, 'two leaders in one term', waiting?.to, to)
    if (waiting === null || waiting.matchIndex < matchIndex) this.#acknowledgement = { to, matchIndex }
  }

  takeAcknowledgement(): { readonly to: ReplicaId; readonly matchIndex: LogIndex } | null {
    const acknowledgement = this.#acknowledgement
    this.#acknowledgement = null
    return acknowledgement
  }

  confirmReads(reads: Ready['reads']): void {
    for (const read of reads) this.#reads.push(read)
  }

  failReads(contexts: readonly number[]): void {
    for (const context of contexts) this.#failedReads.push(context)
  }

  askSnapshot(replica: ReplicaId): void {
    this.#snapshots.push(replica)
  }

  /** The term changes: what was promised or acknowledged in the old one and has not left yet must not leave any more. */
  dropPromises(): void {
    this.#acknowledgement = null
    this.#sendAfterPersist = []
  }

  take(): Pick<Ready, 'sendNow' | 'sendAfterPersist' | 'reads' | 'failedReads' | 'snapshots'> {
    const taken = {
      sendNow: this.#sendNow,
      sendAfterPersist: this.#sendAfterPersist,
      reads: this.#reads,
      failedReads: this.#failedReads,
      snapshots: this.#snapshots,
    }
    this.#sendNow = []
    this.#sendAfterPersist = []
    this.#reads = []
    this.#failedReads = []
    this.#snapshots = []
    return taken
  }
}
