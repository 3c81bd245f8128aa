import { assert } from '../../base/assert.js'
import type { NodeId, RangeId, StorageId } from '../../base/ids.js'
import { limits } from '../../base/limits.js'
import type { Logger, Metrics } from '../../base/ports.js'
import type { StateChunk, StateStore } from '../../storage/types.js'
import type { PeerMessage, SnapshotChunkMessage, SnapshotOfferMessage, SnapshotRefusedMessage } from '../ports.js'
import type { Replica } from '../replica.js'

/** A pull nobody answers is repeated this often. */
const PULL_AGAIN_MS = 1_000

export interface ReceiverParts {
  readonly replicas: ReadonlyMap<RangeId, Replica>
  readonly state: Pick<StateStore, 'ingest' | 'dropStorage' | 'hold'>
  /** Null: damaged on the way, or not a chunk. */
  decodeChunk(bytes: Uint8Array): StateChunk | null
  /** Gives a storage id that was never used here; `done` once our log says so durably. */
  allocateStorage(done: (storage: StorageId) => void): void
  /** Another replica with state lies in the snapshot's span. */
  overlapping(replica: Replica, offer: SnapshotOfferMessage): Replica | null
  /** Everything staged under `storage` is in LevelDB: makes it the replica's state. `done(false)`: it can't be, and nothing changed. */
  install(replica: Replica, offer: SnapshotOfferMessage, storage: StorageId, done: (installed: boolean) => void): void
  send(to: NodeId, message: PeerMessage): void
  monotonicMs(): number
  touch(replica: Replica): void
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'count'>
}

interface Incoming {
  readonly node: NodeId
  readonly replica: Replica
  readonly offer: SnapshotOfferMessage
  storage: StorageId | null
  /**
   * Ends the hold on collection. What a snapshot brings of the journals of ranges that it comes from is needed by nobody here before
   * it is installed, so that another replica's floor would have it deleted, and with it outcomes of this range's sessions.
   */
  release: () => void
  /** The chunk waited for, from 1. */
  sequence: number
  phase: 'allocating' | 'pulling' | 'writing' | 'installing'
  touchedMs: number
  pulledMs: number
}

/**
 * Takes in snapshots, at most `snapshotsInMax` at once, a chunk at a time: the next is asked for when the one before is in LevelDB.
 * They are built under a storage id of their own, beside whatever the replica has: half a snapshot is only garbage.
 */
export class SnapshotReceiver {
  readonly #parts: ReceiverParts
  readonly #incoming = new Map<RangeId, Incoming>()

  constructor(parts: ReceiverParts) {
    this.#parts = parts
  }

  get open(): number {
    return this.#incoming.size
  }

  get isWaiting(): boolean {
    return this.#incoming.size > 0
  }

  offered(from: NodeId, offer: SnapshotOfferMessage): void {
    const open = this.#incoming.get(offer.range)
    if (open !== undefined && open.node === from && open.offer.id === offer.id) return this.#pullAgain(open)
    const refusal = this.#refusal(offer, open)
    if (refusal !== null) {
      this.#count('refused')
      return this.#refuse(from, offer, refusal)
    }
    if (open !== undefined) this.#forget(open)
    const nowMs = this.#parts.monotonicMs()
    const incoming: Incoming = {
      node: from,
      replica: this.#parts.replicas.get(offer.range)!,
      offer,
      storage: null,
      release: () => {},
      sequence: 1,
      phase: 'allocating',
      touchedMs: nowMs,
      pulledMs: nowMs,
    }
    this.#incoming.set(offer.range, incoming)
    this.#parts.allocateStorage((storage) => {
      if (!this.#isOpen(incoming)) return this.#parts.state.dropStorage(storage)
      incoming.storage = storage
      incoming.release = this.#parts.state.hold(storage)
      incoming.phase = 'pulling'
      this.#pull(incoming)
    })
  }

  /** Why it is not taken in, or null. A newer one takes the place of one that is still being pulled. */
  #refusal(offer: SnapshotOfferMessage, open: Incoming | undefined): string | null {
    const replica = this.#parts.replicas.get(offer.range)
    if (replica === undefined || replica.id !== offer.to) return 'there is no such replica here'
    if (replica.hasState && offer.index <= replica.applied) return 'the replica has applied as much'
    if (replica.goesOnBefore(offer)) return 'its own log comes first'
    if (open !== undefined && open.phase === 'installing') return 'another one is being installed'
    if (open === undefined && this.#incoming.size >= limits.snapshotsInMax) return 'as many are taken in as may be'
    const other = this.#parts.overlapping(replica, offer)
    return other === null ? null : `range ${other.range} lies there still`
  }

  #refuse(to: NodeId, { range, id, from, to: self }: SnapshotOfferMessage, reason: string): void {
    this.#parts.send(to, { type: 'snapshotRefused', range, from: self, to: from, id, reason })
  }

  #isOpen(incoming: Incoming): boolean {
    return this.#incoming.get(incoming.offer.range) === incoming
  }

  #pull(incoming: Incoming): void {
    incoming.pulledMs = this.#parts.monotonicMs()
    const { range, id, from, to } = incoming.offer
    const { sequence } = incoming
    this.#parts.send(incoming.node, { type: 'snapshotPull', range, from: to, to: from, id, sequence })
    this.#parts.touch(incoming.replica)
  }

  #pullAgain(incoming: Incoming): void {
    if (incoming.phase === 'pulling') this.#pull(incoming)
  }

  chunk(from: NodeId, message: SnapshotChunkMessage): void {
    const incoming = this.#incoming.get(message.range)
    if (incoming === undefined || incoming.node !== from || incoming.offer.id !== message.id) return
    if (incoming.phase !== 'pulling' || message.sequence !== incoming.sequence) return
    const chunk = this.#parts.decodeChunk(message.bytes)
    // Damaged on the way: it comes again when it is pulled again.
    if (chunk === null) return
    this.#parts.metrics.count('snapshot_bytes_total', message.bytes.length, 'in')
    const { storage } = incoming
    assert(storage !== null, 'a chunk was pulled before there was a place for it', message.range)
    incoming.touchedMs = this.#parts.monotonicMs()
    incoming.phase = 'writing'
    this.#parts.state.ingest({ storage, ...chunk }, () => {
      if (!this.#isOpen(incoming)) return this.#drop(incoming, storage)
      incoming.touchedMs = this.#parts.monotonicMs()
      incoming.sequence++
      if (message.last) return this.#install(incoming, storage)
      incoming.phase = 'pulling'
      this.#pull(incoming)
    })
  }

  #install(incoming: Incoming, storage: StorageId): void {
    incoming.phase = 'installing'
    this.#parts.install(incoming.replica, incoming.offer, storage, (installed) => {
      this.#incoming.delete(incoming.offer.range)
      if (!installed) {
        this.#count('failed')
        this.#drop(incoming, storage)
        return this.#refuse(incoming.node, incoming.offer, 'it was overtaken')
      }
      this.#count('done')
      incoming.release()
      // Asking for the chunk behind the last tells the sender that all of it is durable.
      this.#pull(incoming)
      const { range, index } = incoming.offer
      this.#parts.logger.log('info', 'snapshot installed', { range, index, from: incoming.node })
    })
  }

  /** The sender has given it up. */
  refused(from: NodeId, message: SnapshotRefusedMessage): void {
    const incoming = this.#incoming.get(message.range)
    if (incoming === undefined || incoming.node !== from || incoming.offer.id !== message.id) return
    if (incoming.phase !== 'installing') this.#forget(incoming)
  }

  /** To be called every now and then: repeats, and gives up. */
  look(): void {
    const nowMs = this.#parts.monotonicMs()
    for (const incoming of this.#incoming.values()) {
      if (incoming.phase !== 'pulling') continue
      if (nowMs - incoming.touchedMs > limits.snapshotIdleMs) this.#forget(incoming)
      else if (nowMs - incoming.pulledMs >= PULL_AGAIN_MS) this.#pull(incoming)
    }
  }

  /** The replica is gone. */
  drop(replica: Replica): void {
    const incoming = this.#incoming.get(replica.range)
    if (incoming?.replica === replica && incoming.phase !== 'installing') this.#forget(incoming)
  }

  /** What was written of it is deleted once nothing is being written any more. */
  #forget(incoming: Incoming): void {
    this.#incoming.delete(incoming.offer.range)
    this.#count('failed')
    if (incoming.storage !== null && incoming.phase === 'pulling') this.#drop(incoming, incoming.storage)
  }

  #count(outcome: 'done' | 'refused' | 'failed'): void {
    this.#parts.metrics.count('snapshots_total', 1, `in ${outcome}`)
  }

  #drop(incoming: Incoming, storage: StorageId): void {
    incoming.release()
    this.#parts.state.dropStorage(storage)
  }
}
