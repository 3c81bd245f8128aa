import type { NodeId, ReplicaId } from '../base/ids.js'
import { NO_VERSION } from '../base/ids.js'
import { limits } from '../base/limits.js'
import type { Reply, ReplyError, ReplySink, TransferRequest } from '../kv/requests.js'
import type { Queue } from './queues.js'
import type { Replica } from './replica.js'
import { errorReply, failure, overloaded } from './replies.js'
import type { Routes } from './routes.js'

const WAITING_MAX = 1_000
/** Who answered none of the last heartbeats hardly answers the call to campaign, and meanwhile the range takes no writes. */
const QUIET_TICKS_MAX = 3 * limits.heartbeatTicks

interface Waiting {
  readonly replica: Replica
  readonly request: TransferRequest
  readonly sink: ReplySink
  /** Monotonic milliseconds. */
  readonly expiresAt: number
}

export interface TransferParts {
  readonly routes: Routes
  readonly outbox: { reply(sink: ReplySink, reply: Reply): void }
  monotonicMs(): number
  touch(replica: Replica): void
}

/**
 * Leads that somebody asked to be handed on (thesis 3.10), and who waits to hear what became of it. While one is handed on its range
 * takes no writes, for an election timeout at most: so it is not even begun for a voter that could hardly take it.
 */
export class Transfers {
  readonly #parts: TransferParts
  #waiting: Waiting[] = []

  constructor(parts: TransferParts) {
    this.#parts = parts
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0
  }

  get queue(): Queue {
    return { name: 'transfers of leads', length: this.#waiting.length, bound: WAITING_MAX }
  }

  /** Of a replica that leads. Answers at once what needs no waiting for. */
  begin(replica: Replica, request: TransferRequest, sink: ReplySink): void {
    const { monotonicMs, outbox, touch } = this.#parts
    if (replica.nodeOf(replica.id) === request.to) return outbox.reply(sink, done(request))
    const refusal = this.#waiting.length < WAITING_MAX ? this.#hand(replica, request.to) : tooMany
    if (refusal !== null) return outbox.reply(sink, errorReply(request.id, refusal))
    this.#waiting.push({ replica, request, sink, expiresAt: monotonicMs() + request.deadlineMs })
    touch(replica)
  }

  /** null: it is on its way. */
  #hand(replica: Replica, to: NodeId): ReplyError | null {
    const { range, raft } = replica
    const voters = raft.configuration.voters
    const heir = voters.find((id) => replica.nodeOf(id) === to)
    if (heir === undefined) {
      const nodes = voters.map((id) => replica.nodeOf(id)).join(', ')
      return failure('INVALID_ARGUMENT', `node ${to} holds no voter of range ${range}; those are on nodes ${nodes}`)
    }
    replica.takeTicks()
    if (!replica.leads) return this.#parts.routes.notLeader(replica)
    const lack = lackOf(replica, heir)
    if (lack !== null) return failure('UNAVAILABLE', `node ${to} can't lead range ${range} now: ${lack}`)
    if (raft.transferLead(heir)) return null
    return failure('UNAVAILABLE', `the lead of range ${range} is being handed to another node`)
  }

  tick(): void {
    if (this.#waiting.length === 0) return
    const { monotonicMs, outbox } = this.#parts
    const nowMs = monotonicMs()
    this.#waiting = this.#waiting.filter((waiting) => {
      const answer = this.#answer(waiting, nowMs)
      if (answer !== null) outbox.reply(waiting.sink, answer)
      return answer === null
    })
  }

  /** null: nobody can say yet. */
  #answer({ replica, request, expiresAt }: Waiting, nowMs: number): Reply | null {
    const { leaderNode, leads, raft, range } = replica
    if (leaderNode === request.to) return done(request)
    if (!leads && leaderNode !== null) return errorReply(request.id, this.#parts.routes.notLeader(replica))
    if ((!leads || raft.isTransferring) && nowMs < expiresAt) return null
    const who = leads ? `node ${leaderNode} leads on` : 'nobody is known to lead it'
    // The call to campaign is on its way: whoever heard it stands for election without asking again.
    const message = `node ${request.to} has not taken the lead of range ${range} in time: ${who}, but it may still be elected`
    return errorReply(request.id, failure('OUTCOME_UNKNOWN', message))
  }

  /** Everything that waits at the replica. */
  takeAll(replica: Replica): readonly Waiting[] {
    const taken = this.#waiting.filter((waiting) => waiting.replica === replica)
    this.#waiting = this.#waiting.filter((waiting) => waiting.replica !== replica)
    return taken
  }
}

const tooMany = overloaded('as many transfers wait as may')

function done({ id }: TransferRequest): Reply {
  return { kind: 'transferred', id, version: NO_VERSION }
}

/** What keeps a voter from taking the lead at once; null: nothing that is known. */
function lackOf(replica: Replica, heir: ReplicaId): string | null {
  const progress = replica.raft.status().progress.find((each) => each.replica === heir)
  if (progress === undefined || progress.quietTicks > QUIET_TICKS_MAX) return 'it does not answer'
  if (progress.forgotten) return 'its replica has forgotten something and is being replaced'
  return progress.state === 'replicate' ? null : 'it is being caught up'
}
