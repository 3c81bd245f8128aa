import type { LogIndex } from '../base/ids.js'
import { limits } from '../base/limits.js'
import type { GetRequest, ReplySink, ScanRequest } from '../kv/requests.js'

export interface PendingRead {
  readonly request: GetRequest | ScanRequest
  readonly sink: ReplySink
  /** Of its keys, for the bound. */
  readonly bytes: number
  /** Monotonic milliseconds. */
  readonly expiresAt: number
}

/**
 * Linearizable reads of one range (thesis 6.4). All reads of a turn share one context; the core confirms it with the index
 * that must be applied before they are answered.
 */
export class Reads {
  #arrived: PendingRead[] = []
  #nextContext = 1
  readonly #confirming = new Map<number, PendingRead[]>()
  #confirmed: { readonly index: LogIndex; readonly reads: PendingRead[] }[] = []
  #bytes = 0
  #waiting = 0

  /** Waiting to be confirmed or applied. */
  get waiting(): number {
    return this.#waiting
  }

  /** Of what waits, as counted for the bound. */
  get bytes(): number {
    return this.#bytes
  }

  /** False: as many wait as may, this one was not taken. */
  arrive(read: PendingRead): boolean {
    if (this.#bytes + read.bytes > limits.rangeReadBytesMax) return false
    this.#bytes += read.bytes
    this.#waiting++
    this.#arrived.push(read)
    return true
  }

  /**
   * Starts confirming what arrived. `ask` is the core's readIndex; what it refuses comes back. Reads that settle for the
   * leader's lease need no round while `leaseAt` (called for them only) names the index that they see.
   */
  begin(ask: (context: number) => boolean, leaseAt: () => LogIndex | null): PendingRead[] {
    if (this.#arrived.length === 0) return []
    const reads = this.#underLease(this.#arrived, leaseAt)
    this.#arrived = []
    if (reads.length === 0) return []
    const context = this.#nextContext++
    if (!ask(context)) return this.#gone(reads)
    this.#confirming.set(context, reads)
    return []
  }

  /** Puts those that the lease covers where confirmed ones wait; returns the others. */
  #underLease(arrived: PendingRead[], leaseAt: () => LogIndex | null): PendingRead[] {
    const covered = arrived.filter(wantsLease)
    const index = covered.length === 0 ? null : leaseAt()
    if (index === null) return arrived
    this.#confirmed.push({ index, reads: covered })
    return arrived.filter((read) => !wantsLease(read))
  }

  confirm(context: number, index: LogIndex): void {
    const reads = this.#confirming.get(context)
    if (reads === undefined) return
    this.#confirming.delete(context)
    this.#confirmed.push({ index, reads })
  }

  /** The core can no longer confirm it: this node lost the lead. Confirmed reads stay: they are served once applied. */
  fail(context: number): PendingRead[] {
    const reads = this.#confirming.get(context) ?? []
    this.#confirming.delete(context)
    return this.#gone(reads)
  }

  /** Reads whose index is applied. */
  takeServable(applied: LogIndex): PendingRead[] {
    if (this.#confirmed.length === 0) return []
    const servable: PendingRead[] = []
    const waiting: { readonly index: LogIndex; readonly reads: PendingRead[] }[] = []
    for (const group of this.#confirmed) {
      if (group.index <= applied) servable.push(...group.reads)
      else waiting.push(group)
    }
    this.#confirmed = waiting
    return this.#gone(servable)
  }

  /** Everything: this node stops. */
  takeAll(): PendingRead[] {
    const confirmed = this.#confirmed.flatMap(({ reads }) => reads)
    const all = [...this.#arrived, ...[...this.#confirming.values()].flat(), ...confirmed]
    this.#arrived = []
    this.#confirming.clear()
    this.#confirmed = []
    return this.#gone(all)
  }

  #gone(reads: PendingRead[]): PendingRead[] {
    for (const read of reads) this.#bytes -= read.bytes
    this.#waiting -= reads.length
    return reads
  }
}

function wantsLease({ request }: PendingRead): boolean {
  return request.weak?.kind === 'leaderLease'
}
