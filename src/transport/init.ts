import type { NodeInfo } from '../base/descriptor.js'
import type { ClusterId, Key } from '../base/ids.js'
import { callOnce } from './calls.js'
import { adminMethods } from './methods.js'
import { decodeInitResult, encodeInit } from './wire/unary-admin.js'

const INIT_DEADLINE_MS = 30_000

/**
 * Makes one cluster of the nodes that wait for it, asking the one whose client address this is. `replicas` of every range:
 * default 3, or as many as there are nodes. `splitAt`: stored keys at which the data is cut from the start. `deadlineMs`: 30 s.
 * Rejects with a HoldfastError: UNAVAILABLE (nobody there), DEADLINE, or why the node refused (INVALID_ARGUMENT: it already
 * belongs to a cluster).
 */
export function initCluster(
  address: string,
  options: { readonly replicas?: number; readonly splitAt?: readonly Key[]; readonly deadlineMs?: number } = {},
): Promise<{ cluster: ClusterId; nodes: readonly NodeInfo[] }> {
  return callOnce(address, {
    method: adminMethods.init,
    request: encodeInit({ replicas: options.replicas ?? null, splitAt: options.splitAt ?? [] }),
    decode: decodeInitResult,
    deadlineMs: options.deadlineMs ?? INIT_DEADLINE_MS,
  })
}
