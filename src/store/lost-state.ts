import type { Logger } from '../base/ports.js'
import type { ReplyError } from '../kv/requests.js'
import type { Replica } from './replica.js'
import { failure } from './replies.js'
import type { Routes } from './routes.js'

/** No other replica has a say in the range, so none has what this one lost. */
export function isSole({ id, raft }: Replica): boolean {
  const { voters, outgoing } = raft.configuration
  return voters.length > 0 && [...voters, ...outgoing].every((voter) => voter === id)
}

/** Says for a person that a replica has no state any more, and what becomes of it. */
export function logLostState(logger: Logger, replica: Replica, what: string): void {
  const outcome = isSole(replica)
    ? 'the state of a range is lost: it has no other replica to fetch it from, so it is not served until the data directory is ' +
      'brought back from a copy'
    : 'state of a replica given up, a snapshot will replace it'
  logger.log('error', outcome, { range: replica.range, replica: replica.id, what })
}

/** Why a replica without state does not serve, and who does. */
export function stateless(replica: Replica, routes: Pick<Routes, 'of'>): ReplyError {
  const why = isSole(replica)
    ? `the state of range ${replica.range} is lost, and it has no other replica to fetch it from`
    : `range ${replica.range} has no state on this node yet`
  return failure('NOT_LEADER', why, { routes: routes.of(replica) })
}
