import type { Key, Version } from '../base/ids.js'
import { limits } from '../base/limits.js'
import type { Buggify } from '../base/ports.js'
import type { GetRequest, RangeRequest, ReplyError, ReplySink, Row, ScanRequest } from '../kv/requests.js'
import type { Stored } from '../kv/types.js'
import type { StateStore } from '../storage/types.js'
import { ColdReads } from './cold-reads.js'
import { stateless } from './lost-state.js'
import type { Outbox } from './outbox.js'
import type { Queue } from './queues.js'
import type { PendingRead } from './reads.js'
import type { Replica } from './replica.js'
import { errorReply, failure, overloaded } from './replies.js'
import { isCurrent, keysOf } from './request-shape.js'
import type { Routes } from './routes.js'

const COLD_FULL = 'as many reads wait for the disk as may'

export interface ReadAnswerParts {
  readonly state: StateStore
  readonly outbox: Outbox
  readonly routes: Routes
  readonly buggify: Buggify
  monotonicMs(): number
  /** Wakes the next turn. */
  touch(replica: Replica): void
}

interface VersionedRead {
  readonly request: GetRequest | ScanRequest
  readonly at: Version
  readonly sink: ReplySink
}

/** Answers reads that are confirmed, out of what is at hand or from the disk. */
export class ReadAnswers {
  readonly #parts: ReadAnswerParts
  readonly #cold: ColdReads

  constructor(parts: ReadAnswerParts) {
    this.#parts = parts
    this.#cold = new ColdReads(parts.state, limits.messageBytesMax)
  }

  /** That wait for the disk. */
  get waiting(): number {
    return this.#cold.waiting
  }

  get queues(): readonly Queue[] {
    return this.#cold.queues
  }

  /** Answers a read whose index is applied. Span and generation are checked again: a split may have been applied meanwhile. */
  serve(replica: Replica, { request, sink, expiresAt }: PendingRead): void {
    if (expiresAt <= this.#parts.monotonicMs()) {
      return this.#refuse(request, sink, failure('DEADLINE', 'the deadline passed while the read waited'))
    }
    if (!replica.hasState) return this.#refuse(request, sink, stateless(replica, this.#parts.routes))
    if (!isCurrent(replica, request)) {
      const routes = this.#parts.routes.forKeys(keysOf(request))
      return this.#refuse(request, sink, failure('RANGE_MOVED', 'the range was split', { routes }))
    }
    if (request.kind === 'get') this.#get(replica, request, sink)
    else this.#scan(replica, request, sink)
  }

  #get(replica: Replica, request: GetRequest, sink: ReplySink): void {
    const { state, outbox } = this.#parts
    const version = replica.clock
    const rows: (Row | null)[] = new Array(request.keys.length).fill(null)
    const missing: number[] = []
    request.keys.forEach((key, at) => {
      const known = state.peek({ storage: replica.storageOf(key), key })
      if (known === undefined) missing.push(at)
      else rows[at] = toRow(key, known)
    })
    if (missing.length === 0) return outbox.reply(sink, { kind: 'rows', id: request.id, version, rows })
    const lookups = missing.map((at) => ({
      storage: replica.storageOf(request.keys[at]!),
      key: request.keys[at]!,
      upTo: version,
    }))
    const isTaken = this.#cold.fetch(lookups, (found) => {
      if (found === 'damaged') return this.#damaged(replica, request, sink)
      if (found === 'too large') {
        const message = 'the values are larger together than a message holds: ask for fewer keys at once'
        this.#refuse(request, sink, failure('TOO_LARGE', message))
        return this.#parts.touch(replica)
      }
      if (this.#isOvertaken(replica, { request, at: version, sink })) return
      missing.forEach((at, place) => {
        rows[at] = toRow(request.keys[at]!, found[place] ?? null)
      })
      outbox.reply(sink, { kind: 'rows', id: request.id, version, rows })
      this.#parts.touch(replica)
    })
    if (!isTaken) this.#refuse(request, sink, overloaded(COLD_FULL))
  }

  /** Never served; the replica is seeded anew, and another may lead by the time the client tries again. */
  #damaged(replica: Replica, request: RangeRequest, sink: ReplySink): void {
    this.#refuse(request, sink, failure('UNAVAILABLE', `range ${replica.range} found its state damaged on this node`))
    this.#parts.touch(replica)
  }

  /** A scan's pages after the first name the version of the first: the range has applied it, and records are written once. */
  #scan(replica: Replica, request: ScanRequest, sink: ReplySink): void {
    const at = request.at ?? replica.clock
    if (at > replica.clock) {
      return this.#refuse(
        request,
        sink,
        failure('INVALID_ARGUMENT', `version ${at} is above ${replica.clock}, the newest of range ${replica.range}`),
      )
    }
    if (at < replica.machine.bookkeeping.collectionFloor) return this.#belowFloor(replica, { request, at, sink })
    const { start, end, reverse, keysOnly } = request
    const page = {
      storage: replica.storageOf(start),
      span: { start, end },
      at,
      reverse,
      keysOnly,
      limit: this.#parts.buggify('short page') ? 1 : Math.min(request.limit, limits.scanRowsMax),
      bytesMax: Math.min(request.bytesMax, limits.scanBytesMax),
    }
    const isTaken = this.#cold.scan(page, (rows, more) => {
      if (rows === null) return this.#damaged(replica, request, sink)
      if (this.#isOvertaken(replica, { request, at, sink })) return
      this.#parts.outbox.reply(sink, { kind: 'page', id: request.id, version: at, rows, more })
      this.#parts.touch(replica)
    })
    if (!isTaken) this.#refuse(request, sink, overloaded(COLD_FULL))
  }

  /**
   * The floor was raised above the read while it waited for the disk: what it should have seen may have been deleted before it was read.
   * One that did not choose its version may as well see a newer one.
   */
  #isOvertaken(replica: Replica, read: VersionedRead): boolean {
    if (read.at >= replica.machine.bookkeeping.collectionFloor) return false
    const { request, sink } = read
    if (request.kind === 'scan' && request.at !== null) this.#belowFloor(replica, read)
    else
      this.#refuse(
        request,
        sink,
        failure('UNAVAILABLE', 'the read waited for the disk until its version was let go of'),
      )
    this.#parts.touch(replica)
    return true
  }

  #belowFloor(replica: Replica, { request, at, sink }: VersionedRead): void {
    const { collectionFloor } = replica.machine.bookkeeping
    const message = `version ${at} lies below ${collectionFloor}: what it would show may have been deleted`
    this.#refuse(request, sink, failure('BELOW_FLOOR', message))
  }

  #refuse(request: { readonly id: number }, sink: ReplySink, error: ReplyError): void {
    this.#parts.outbox.reply(sink, errorReply(request.id, error))
  }
}

function toRow(key: Key, stored: Stored | null): Row | null {
  if (stored === null || stored.value === null) return null
  return { key, version: stored.version, codec: stored.codec, value: stored.value }
}
