import type { BootId, LogIndex, NodeId, RangeId, ReplicaId } from '../../base/ids.js'
import { limits } from '../../base/limits.js'
import type { Logger, Metrics } from '../../base/ports.js'
import type { StateChunk, StateStore } from '../../storage/types.js'
import type {
  PeerMessage,
  SnapshotChunkMessage,
  SnapshotOfferMessage,
  SnapshotPullMessage,
  SnapshotRefusedMessage,
} from '../ports.js'
import type { Replica } from '../replica.js'
import { piecesOf } from './plan.js'
import { type Cursor, SnapshotReader, START } from './reader.js'
import { TokenBucket } from './token-bucket.js'

/**
 * An offer nobody answers is made again this often. So is one whose last chunk left: what the receiver said when it was done may be
 * lost, and it is told once. It refuses what it has, and pulls again what it lacks.
 */
const OFFER_AGAIN_MS = 1_000
/** So long the log behind a snapshot is kept for who took it in. */
const CATCH_UP_MS = 10_000
/** With the last chunk the receiver makes everything durable before it speaks again: it gets so many times the usual patience. */
const LAST_CHUNK_PATIENCE = 6

export interface SenderParts {
  /** Of this start of the node. */
  readonly boot: BootId
  readonly state: Pick<StateStore, 'readSnapshot' | 'readJournal' | 'hold'>
  encodeChunk(chunk: StateChunk): Uint8Array
  send(to: NodeId, message: PeerMessage): void
  monotonicMs(): number
  touch(replica: Replica): void
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'count'>
  /** Of one chunk's records. */
  readonly chunkBytes: number
  /** Of all snapshots together. */
  readonly bytesPerSecond: number
}

/** One snapshot on its way out. The receiver pulls: nothing is read before it is asked for, and one chunk is in memory at a time. */
interface Outgoing {
  readonly replica: Replica
  readonly to: ReplicaId
  readonly node: NodeId
  readonly offer: SnapshotOfferMessage
  readonly reader: SnapshotReader
  readonly release: () => void
  readonly startedMs: number
  touchedMs: number
  offeredMs: number
  /**
   * The last chunk read, from 1, as it is sent again if it is asked for again: what is read twice may differ (a deletion that was begun
   * before the hold lands between the two), and the receiver goes on behind the one that it took. Null: none was read.
   */
  chunk: SnapshotChunkMessage | null
  /** Where the one behind it begins. */
  next: Cursor
  reading: boolean
  /** Sequence of a pull that waits for the rate. */
  wanted: number | null
}

/**
 * Streams snapshots of this node's replicas to other nodes: stop and wait, at most `snapshotsOutMax` at once, bounded in bytes per
 * second together. State at index A is what the entries up to A wrote (version <= the clock at A) and the bookkeeping of the turn
 * in which A was the applied index; records are written once, so it can be read at leisure.
 */
export class SnapshotSender {
  readonly #parts: SenderParts
  readonly #outgoing = new Map<number, Outgoing>()
  readonly #bucket: TokenBucket
  /** Taken in a moment ago: the receiver is still fetching the log behind. */
  #recent: { readonly replica: Replica; readonly index: LogIndex; readonly untilMs: number }[] = []
  /** Begins elsewhere at each start of the node: its chunks must not be put to an offer of its past life, which stood at another index. */
  #nextId: number

  constructor(parts: SenderParts) {
    this.#parts = parts
    this.#nextId = (parts.boot % 2 ** 32) * 2 ** 16 + 1
    this.#bucket = new TokenBucket(parts.bytesPerSecond, parts.monotonicMs())
  }

  get open(): number {
    return this.#outgoing.size
  }

  get isWaiting(): boolean {
    return this.#outgoing.size + this.#recent.length > 0
  }

  /** The core of `replica` asks for one. What can't be begun now is told to it at once: it asks again later. */
  start(replica: Replica, to: ReplicaId): void {
    this.#supersede(replica, to)
    const node = replica.nodeOf(to)
    if (node === null || !replica.hasState || this.#outgoing.size >= limits.snapshotsOutMax) {
      replica.raft.snapshotSent(to, null)
      return
    }
    const id = this.#nextId++
    const { bookkeeping } = replica.machine
    const offer: SnapshotOfferMessage = {
      type: 'snapshotOffer',
      range: replica.range,
      from: replica.id,
      to,
      id,
      term: replica.raft.term,
      index: replica.applied,
      entryTerm: replica.appliedTerm,
      timestamp: bookkeeping.clock,
      bookkeeping,
    }
    const { storages } = replica
    const releases = storages.map(({ storage }) => this.#parts.state.hold(storage))
    const nowMs = this.#parts.monotonicMs()
    this.#outgoing.set(id, {
      replica,
      to,
      node,
      offer,
      reader: new SnapshotReader(this.#parts.state, {
        pieces: piecesOf(bookkeeping, storages),
        upTo: bookkeeping.clock,
        bytesMax: this.#parts.chunkBytes,
      }),
      release: () => {
        for (const release of releases) release()
      },
      startedMs: nowMs,
      touchedMs: nowMs,
      offeredMs: nowMs,
      chunk: null,
      next: START,
      reading: false,
      wanted: null,
    })
    this.#parts.send(node, offer)
  }

  /**
   * A core that lost the lead and has it again knows nothing of the stream that it asked for before. What becomes of that one must not
   * reach it: it would be taken for the end of the new one, which the next would then push out at the receiver, and so on for ever.
   */
  #supersede(replica: Replica, to: ReplicaId): void {
    for (const [id, outgoing] of this.#outgoing) {
      if (outgoing.replica !== replica || outgoing.to !== to) continue
      this.#outgoing.delete(id)
      outgoing.release()
      this.#parts.metrics.count('snapshots_total', 1, 'out failed')
    }
  }

  pulled(from: NodeId, message: SnapshotPullMessage): void {
    const outgoing = this.#find(from, message)
    if (outgoing === null) return this.#refuse(from, message, 'the sender knows of no such snapshot')
    const { sequence } = message
    const last = sequenceOf(outgoing)
    if (sequence === 1 && last > 1 && isAllRead(outgoing)) {
      this.#refuse(from, message, 'the receiver lost what it had of it')
      return this.#end(message.id, 'failed')
    }
    outgoing.touchedMs = this.#parts.monotonicMs()
    if (sequence === last + 1 && isAllRead(outgoing)) return this.#end(message.id, 'done')
    if (sequence === 0 || sequence < last || sequence > last + 1) return
    outgoing.wanted = sequence
    this.#maybeGoOn(outgoing)
  }

  #refuse(node: NodeId, { range, id, from, to }: SnapshotPullMessage, reason: string): void {
    this.#parts.send(node, { type: 'snapshotRefused', range, from: to, to: from, id, reason })
  }

  refused(from: NodeId, message: SnapshotRefusedMessage): void {
    if (this.#find(from, message) === null) return
    this.#parts.logger.log('info', 'snapshot refused', { range: message.range, to: from, reason: message.reason })
    this.#end(message.id, 'refused')
  }

  #find(from: NodeId, message: { range: RangeId; from: ReplicaId; to: ReplicaId; id: number }): Outgoing | null {
    const found = this.#outgoing.get(message.id)
    if (found === undefined || found.node !== from || found.to !== message.from) return null
    return found.replica.range === message.range && found.replica.id === message.to ? found : null
  }

  #maybeGoOn(outgoing: Outgoing): void {
    const { wanted, chunk, next } = outgoing
    if (wanted === null || outgoing.reading || !this.#bucket.hasSome(this.#parts.monotonicMs())) return
    outgoing.wanted = null
    if (chunk !== null && wanted === chunk.sequence) return this.#send(outgoing, chunk)
    // A pull that was repeated may come when the chunk behind has been read already.
    if (wanted !== sequenceOf(outgoing) + 1) return
    outgoing.reading = true
    outgoing.reader.read(next, (read) => {
      outgoing.reading = false
      // It was ended meanwhile: its storage may be on the way out, and what was read may lack something.
      if (!this.#outgoing.has(outgoing.offer.id)) return
      if (read === null) return this.#end(outgoing.offer.id, 'failed')
      const { range, from, to, id } = outgoing.offer
      const bytes = this.#parts.encodeChunk(read.chunk)
      outgoing.next = read.next
      outgoing.chunk = { type: 'snapshotChunk', range, from, to, id, sequence: wanted, last: read.last, bytes }
      this.#send(outgoing, outgoing.chunk)
    })
  }

  #send(outgoing: Outgoing, chunk: SnapshotChunkMessage): void {
    this.#bucket.take(chunk.bytes.length)
    this.#parts.metrics.count('snapshot_bytes_total', chunk.bytes.length, 'out')
    this.#parts.send(outgoing.node, chunk)
    this.#parts.touch(outgoing.replica)
  }

  /** To be called every now and then: repeats, goes on where the rate allows it, and gives up. */
  look(): void {
    const nowMs = this.#parts.monotonicMs()
    if (this.#recent.length > 0) this.#recent = this.#recent.filter(({ untilMs }) => untilMs > nowMs)
    for (const [id, outgoing] of this.#outgoing) {
      const patienceMs = limits.snapshotIdleMs * (isAllRead(outgoing) ? LAST_CHUNK_PATIENCE : 1)
      const idle = nowMs - outgoing.touchedMs > patienceMs
      if (isAllRead(outgoing) && isThere(outgoing)) this.#end(id, 'done')
      else if (idle || nowMs - outgoing.startedMs > limits.snapshotMsMax) this.#end(id, 'failed')
      else if (isToBeOfferedAgain(outgoing, nowMs)) {
        outgoing.offeredMs = nowMs
        this.#parts.send(outgoing.node, outgoing.offer)
      } else this.#maybeGoOn(outgoing)
    }
  }

  #end(id: number, outcome: 'done' | 'refused' | 'failed'): void {
    const outgoing = this.#outgoing.get(id)
    if (outgoing === undefined) return
    this.#outgoing.delete(id)
    outgoing.release()
    this.#parts.metrics.count('snapshots_total', 1, `out ${outcome}`)
    const done = outcome === 'done'
    if (done)
      this.#recent.push({
        ...outgoing.offer,
        replica: outgoing.replica,
        untilMs: this.#parts.monotonicMs() + CATCH_UP_MS,
      })
    outgoing.replica.takeTicks()
    outgoing.replica.raft.snapshotSent(outgoing.to, done ? { index: outgoing.offer.index } : null)
    this.#parts.touch(outgoing.replica)
  }

  /** The connection to a node broke: it may have been started again, and then it has nothing of what it was sent. */
  peerDown(node: NodeId): void {
    for (const [id, outgoing] of this.#outgoing) if (outgoing.node === node) this.#end(id, 'failed')
  }

  /** The replica is gone or its state was replaced: what is being read of it may vanish. */
  drop(replica: Replica): void {
    for (const [id, outgoing] of this.#outgoing) if (outgoing.replica === replica) this.#end(id, 'failed')
  }

  /** Lowest index that a snapshot brings its receiver to, which then needs the log behind it; null: none is under way. */
  oldestIndex(replica: Replica): LogIndex | null {
    let oldest: LogIndex | null = null
    const all = [
      ...this.#recent,
      ...[...this.#outgoing.values()].map((each) => ({ replica: each.replica, index: each.offer.index })),
    ]
    for (const each of all) {
      if (each.replica === replica && (oldest === null || each.index < oldest)) oldest = each.index
    }
    return oldest
  }
}

/** Of the last chunk read; 0: none was. */
function sequenceOf({ chunk }: Outgoing): number {
  return chunk?.sequence ?? 0
}

function isAllRead({ chunk }: Outgoing): boolean {
  return chunk?.last === true
}

function isToBeOfferedAgain({ chunk, reading, offeredMs, touchedMs }: Outgoing, nowMs: number): boolean {
  if (reading || chunk?.last === false) return false
  return nowMs - Math.max(offeredMs, touchedMs) >= OFFER_AGAIN_MS
}

/** Its acknowledgement came by another road than the pull that should have said so. */
function isThere({ replica, to, offer }: Outgoing): boolean {
  return replica.raft.status().progress.some((each) => each.replica === to && each.match >= offer.index)
}
