import { assertNever } from '../base/assert.js'
import { isJoint } from '../base/descriptor.js'
import type { RangeId, Version } from '../base/ids.js'
import { NO_VERSION } from '../base/ids.js'
import { limits } from '../base/limits.js'
import type { Buggify } from '../base/ports.js'
import { maxVersion, versionAt } from '../base/version.js'
import type {
  GetRequest,
  RangeRequest,
  Reply,
  ReplyError,
  ReplySink,
  Request,
  RoutesRequest,
  ScanRequest,
  SplitRequest,
  TransferRequest,
  WeakRead,
  WriteRequest,
} from '../kv/requests.js'
import type { StateStore } from '../storage/types.js'
import type { IdPool } from './id-pool.js'
import { stateless } from './lost-state.js'
import type { Outbox } from './outbox.js'
import type { Proposal } from './proposals.js'
import type { Queue } from './queues.js'
import { ReadAnswers } from './read-answers.js'
import type { PendingRead } from './reads.js'
import type { Replica } from './replica.js'
import { errorReply, failed, failure, outcomeReply, overloaded, type Settled } from './replies.js'
import { commandBytes, isCurrent, keysOf, REQUEST_OVERHEAD_BYTES, readBytes } from './request-shape.js'
import type { Routes } from './routes.js'
import type { Transfers } from './transfers.js'
import type { VersionReads } from './version-reads.js'

export interface RequestParts {
  readonly replicas: ReadonlyMap<RangeId, Replica>
  readonly routes: Routes
  readonly ids: IdPool
  readonly state: StateStore
  readonly outbox: Outbox
  readonly buggify: Buggify
  monotonicMs(): number
  /** The disk has no room: nothing is taken that needs some. */
  isDiskFull(): boolean
  /** Further ahead of the cluster's clocks than is taken from outside, and none of its own. */
  isAhead(version: Version): boolean
  /** The cluster's clocks as this node hears them, milliseconds since the epoch; null: it has not heard enough of them. */
  clusterMs(): number | null
  readonly versionReads: Pick<VersionReads, 'arrive' | 'takeAll'>
  readonly transfers: Pick<Transfers, 'begin' | 'takeAll'>
  /** Marks a replica for this turn, or wakes the next. */
  touch(replica: Replica): void
  status(id: number): Reply
}

/** Takes client requests in: checks them against the range as this node knows it, and queues them at the replica. */
export class Requests {
  readonly #parts: RequestParts
  readonly #served: ReadAnswers

  constructor(parts: RequestParts) {
    this.#parts = parts
    this.#served = new ReadAnswers(parts)
  }

  /** Reads that wait for the disk. */
  get coldReads(): number {
    return this.#served.waiting
  }

  get coldQueues(): readonly Queue[] {
    return this.#served.queues
  }

  take(request: Request, sink: ReplySink): void {
    switch (request.kind) {
      case 'status':
        return this.#parts.outbox.reply(sink, this.#parts.status(request.id))
      case 'routes':
        return this.#routes(request, sink)
      case 'get':
      case 'scan':
        return this.#read(request, sink)
      case 'write':
        return this.#write(request, sink)
      case 'split':
        return this.#split(request, sink)
      case 'transfer':
        return this.#transfer(request, sink)
      default:
        return assertNever(request)
    }
  }

  #routes(request: RoutesRequest, sink: ReplySink): void {
    this.#parts.outbox.reply(sink, this.#parts.routes.reply(request))
  }

  /** The lead moved away: what waits at the replica was never proposed, what is on its way may still be applied. */
  leadLost(replica: Replica): void {
    const { range, proposals } = replica
    const routes = this.#parts.routes.of(replica)
    proposals.leadLost(
      failed(failure('NOT_LEADER', `range ${range} has another leader`, { routes })),
      failed(failure('OUTCOME_UNKNOWN', `range ${range} lost its leader while the write was on its way`, { routes })),
    )
  }

  /** Everything that waits at the replica, reads too. */
  refuseAll(replica: Replica, error: ReplyError): void {
    const unknown = failure('OUTCOME_UNKNOWN', `${error.message}, before the outcome was known`)
    replica.proposals.leadLost(failed(error), failed(unknown))
    const { transfers, versionReads } = this.#parts
    const others = [...replica.reads.takeAll(), ...versionReads.takeAll(replica), ...transfers.takeAll(replica)]
    for (const { request, sink } of others) this.refuse(request, sink, error)
  }

  refuse(request: { readonly id: number }, sink: ReplySink, error: ReplyError): void {
    this.#parts.outbox.reply(sink, errorReply(request.id, error))
  }

  /** The replica that has what is asked for, leading or not, or null after a refusal. */
  #present(request: RangeRequest, sink: ReplySink): Replica | null {
    const replica = this.#parts.replicas.get(request.range)
    if (replica !== undefined && isCurrent(replica, request)) {
      if (replica.hasState) return replica
      this.refuse(request, sink, stateless(replica, this.#parts.routes))
      return null
    }
    const message = `range ${request.range} at generation ${request.generation} is not here for these keys`
    const routes = this.#parts.routes.forKeys(keysOf(request))
    this.refuse(request, sink, failure('RANGE_MOVED', message, { routes }))
    return null
  }

  /** The replica that may execute the request, or null after a refusal. The same is checked again where it is executed. */
  #admit(request: RangeRequest, sink: ReplySink): Replica | null {
    const replica = this.#present(request, sink)
    if (replica === null) return null
    if (!replica.leads) {
      this.refuse(request, sink, this.#parts.routes.notLeader(replica))
      return null
    }
    return this.#isTooFar(request, request.seen, sink) ? null : replica
  }

  /** Said only by who has heard a majority's clocks: a node that just started perhaps knows none but its own. */
  #isTooFar(request: RangeRequest, version: Version, sink: ReplySink): boolean {
    if (!this.#parts.isAhead(version)) return false
    if (this.#parts.clusterMs() === null) {
      this.refuse(
        request,
        sink,
        failure('UNAVAILABLE', 'this node has not heard enough clocks to know what is too far ahead'),
      )
      return true
    }
    const message = `version ${version} lies more than ${limits.versionAheadMsMax} ms ahead of this cluster's clocks`
    this.refuse(request, sink, failure('VERSION_TOO_FAR', message))
    return true
  }

  #read(request: GetRequest | ScanRequest, sink: ReplySink): void {
    const { weak } = request
    const isForAnyReplica = weak !== undefined && weak.kind !== 'leaderLease'
    const replica = isForAnyReplica ? this.#present(request, sink) : this.#admit(request, sink)
    if (replica === null) return
    const expiresAt = this.#parts.monotonicMs() + request.deadlineMs
    const read = { request, sink, bytes: readBytes(request), expiresAt }
    if (isForAnyReplica) return this.#readByVersion(replica, read, weak)
    const isFull = this.#parts.buggify('reads full')
    if (!isFull && replica.reads.arrive(read)) return this.#parts.touch(replica)
    this.#overloaded(request, sink, `range ${replica.range} has as many reads waiting as it may`)
  }

  /** Needs no leader and no round: only that the replica has applied far enough. A scan's later pages need the first one's version. */
  #readByVersion(replica: Replica, read: PendingRead, weak: Exclude<WeakRead, { kind: 'leaderLease' }>): void {
    const { request, sink } = read
    let needs = request.kind === 'scan' && request.at !== null ? request.at : NO_VERSION
    if (weak.kind === 'follower') needs = maxVersion(needs, request.seen)
    // Nobody would bring the range there, and what waits beside it waits for the highest.
    if (this.#isTooFar(request, needs, sink)) return
    if (weak.kind === 'stale') {
      const nowMs = this.#parts.clusterMs()
      if (nowMs === null) {
        const message = 'this node has not heard the clocks of a majority yet: it cannot tell how old its picture is'
        return this.refuse(request, sink, failure('UNAVAILABLE', message))
      }
      needs = maxVersion(needs, versionAt(Math.max(0, Math.floor(nowMs) - weak.maxStaleMs)))
    }
    if (this.#parts.versionReads.arrive(replica, read, needs)) return this.#parts.touch(replica)
    this.#overloaded(request, sink, `range ${replica.range} has as many reads waiting as it may`)
  }

  #overloaded(request: RangeRequest, sink: ReplySink, message: string): void {
    this.refuse(request, sink, overloaded(message))
  }

  #write(request: WriteRequest, sink: ReplySink): void {
    const replica = this.#admitWrite(request, sink)
    if (replica === null) return
    if (this.#isRefusedForSpace(request, sink)) return
    const { origin, generation, conditions, writes, wantValue } = request
    this.#offer(replica, request, sink, {
      make: (version) => ({ kind: 'write', version, origin, generation, conditions, writes, wantValue }),
      bytes: commandBytes(request),
      expiresAt: this.#parts.monotonicMs() + request.deadlineMs,
      endsEntry: false,
    })
  }

  /** Deletes go on: they are how room is made. */
  #isRefusedForSpace(request: WriteRequest, sink: ReplySink): boolean {
    if (!this.#parts.isDiskFull() || request.writes.every(({ kind }) => kind === 'delete')) return false
    this.refuse(
      request,
      sink,
      failure('DISK_FULL', 'the disk of the node that leads this range has no room for writes'),
    )
    return true
  }

  #split(request: SplitRequest, sink: ReplySink): void {
    const replica = this.#admitWrite(request, sink)
    if (replica === null) return
    // The core goes by a change of voters as soon as it is in its log: a split behind it would be refused when both apply.
    if (isJoint(replica.descriptor) || replica.raft.configuration.outgoing.length > 0) {
      const message = `the voters of range ${replica.range} are changing: it is split once they have`
      return this.refuse(request, sink, failure('UNAVAILABLE', message))
    }
    const { origin, generation, at } = request
    const expiresAt = this.#parts.monotonicMs() + request.deadlineMs
    const taken = this.#parts.ids.take({
      expiresAt,
      use: (child) =>
        this.#offer(replica, request, sink, {
          make: (version) => ({ kind: 'split', version, origin, generation, at, child }),
          bytes: REQUEST_OVERHEAD_BYTES + at.length,
          expiresAt,
          endsEntry: true,
        }),
      refuse: (error) => this.refuse(request, sink, error),
    })
    if (!taken) this.#overloaded(request, sink, 'as many splits wait for a range id as may')
  }

  #transfer(request: TransferRequest, sink: ReplySink): void {
    const replica = this.#admit(request, sink)
    if (replica !== null) this.#parts.transfers.begin(replica, request, sink)
  }

  /** Asks the session table before anything else: a repeat gets its first answer wherever the key is now. */
  #admitWrite(request: WriteRequest | SplitRequest, sink: ReplySink): Replica | null {
    const holder = this.#parts.replicas.get(request.range)
    const isAsked = request.origin !== null && holder?.hasState === true
    const known = isAsked ? holder.machine.sessions.known(request.origin) : null
    if (known !== null) {
      this.#settle(request, sink, known)
      return null
    }
    const replica = this.#admit(request, sink)
    if (replica === null || request.origin === null) return replica
    return this.#isTooFar(request, request.origin.firstSent, sink) ? null : replica
  }

  #offer(
    replica: Replica,
    request: WriteRequest | SplitRequest,
    sink: ReplySink,
    what: Pick<Proposal, 'make' | 'bytes' | 'expiresAt' | 'endsEntry'>,
  ): void {
    if (!replica.leads) {
      this.#settle(
        request,
        sink,
        failed(failure('NOT_LEADER', 'the lead moved away', { routes: this.#parts.routes.of(replica) })),
      )
      return
    }
    const overlayFull = this.#parts.state.overlayBytes > limits.overlayBytesMax
    const taken =
      !overlayFull &&
      !this.#parts.buggify('proposals full') &&
      replica.proposals.offer({
        make: what.make,
        bytes: what.bytes,
        endsEntry: what.endsEntry,
        seen: request.seen,
        expiresAt: what.expiresAt,
        settle: (settled) => this.#settle(request, sink, settled),
      })
    if (taken) return this.#parts.touch(replica)
    const message = overlayFull
      ? 'the state store is behind'
      : `range ${replica.range} has as many proposals waiting as it may`
    this.#overloaded(request, sink, message)
  }

  #settle(request: WriteRequest | SplitRequest, sink: ReplySink, settled: Settled): void {
    this.#parts.outbox.reply(
      sink,
      outcomeReply(request.id, settled, () => this.#parts.routes.forKeys(keysOf(request))),
    )
  }

  /** Answers a read whose index is applied. */
  serve(replica: Replica, read: PendingRead): void {
    this.#served.serve(replica, read)
  }

  refuseReads(reads: readonly PendingRead[], replica: Replica): void {
    if (reads.length === 0) return
    const error = failure('NOT_LEADER', `range ${replica.range} lost its leader`, {
      routes: this.#parts.routes.of(replica),
    })
    for (const { request, sink } of reads) this.refuse(request, sink, error)
  }
}
