import type { NodeInfo } from '../base/descriptor.js'
import { HoldfastError } from '../base/errors.js'
import type { ClusterId, Key } from '../base/ids.js'
import { callOnce } from './calls.js'
import { adminMethods } from './methods.js'
import { whoFailed } from './statuses.js'
import { decodeInitResult, encodeInit } from './wire/unary-admin.js'

const INIT_DEADLINE_MS = 30_000

/**
 * Makes one cluster of the nodes that wait for it, asking the one whose client address this is; of several the first that can be
 * reached. `replicas` of every range: default 3, or as many as there are nodes. `splitAt`: stored keys at which the data is cut
 * from the start. `deadlineMs`: 30 s.
 * Rejects with a HoldfastError: UNAVAILABLE (nobody there), OUTCOME_UNKNOWN (no answer: said again, to the same node, it answers
 * with the cluster that was made), or why the node refused (WRONG_CLUSTER: another of the nodes already belongs to a cluster).
 */
export async function initCluster(
  address: string | readonly string[],
  options: { readonly replicas?: number; readonly splitAt?: readonly Key[]; readonly deadlineMs?: number } = {},
): Promise<{ cluster: ClusterId; nodes: readonly NodeInfo[] }> {
  const unreached: string[] = []
  for (const each of typeof address === 'string' ? [address] : address) {
    try {
      return await callOnce(each, {
        method: adminMethods.init,
        request: encodeInit({ replicas: options.replicas ?? null, splitAt: options.splitAt ?? [] }),
        decode: decodeInitResult,
        deadlineMs: options.deadlineMs ?? INIT_DEADLINE_MS,
      })
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error
      const who = whoFailed(error)
      if (who === 'node') throw error
      if (who === 'call') throw unknownOutcome(error)
      unreached.push(error.message)
    }
  }
  throw new HoldfastError('UNAVAILABLE', unreached.join('; '))
}

function unknownOutcome(cause: HoldfastError): HoldfastError {
  const what = `${cause.message}: the cluster may have been made, or may still be`
  return new HoldfastError('OUTCOME_UNKNOWN', `${what}. Say init again, to the same node`, { cause })
}
