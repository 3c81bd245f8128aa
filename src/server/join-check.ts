import { HoldfastError } from '../base/errors.js'
import type { Identity } from '../storage/identity.js'
import { callIdentify } from '../transport/peer-calls.js'

/** A start waits at most so long for a --join address that is silent: it is a precaution, nothing else depends on it. */
const ANSWER_MS_MAX = 1_000

/**
 * A data directory of one cluster started with --join addresses of another is a mistake of whoever starts it, and would
 * otherwise show only as a node that is missed elsewhere. Addresses where the own cluster expects a node of its own are not
 * asked: there it is the other one that is out of place, and this node is needed.
 *
 * @throws HoldfastError WRONG_CLUSTER, naming both. Addresses that do not answer say nothing.
 */
export async function refuseForeignCluster({ birth, cluster }: Identity, join: readonly string[]): Promise<void> {
  const own = new Set(birth?.nodes.map(({ peerAddress }) => peerAddress))
  const asked = join.filter((address) => !own.has(address))
  const answers = await Promise.allSettled(asked.map((address) => callIdentify(address, { deadlineMs: ANSWER_MS_MAX })))
  for (const [at, answer] of answers.entries()) {
    if (answer.status === 'rejected' || answer.value.cluster === null || answer.value.cluster === cluster) continue
    throw new HoldfastError(
      'WRONG_CLUSTER',
      `the data directory belongs to cluster ${cluster}, but ${asked[at]} given with --join to cluster ${answer.value.cluster}: ` +
        'give the data directory of that cluster, or an empty one, or correct --join',
    )
  }
}
