import { HoldfastError } from '../base/errors.js'
import type { WeakRead } from '../kv/requests.js'

const names = ['linearizable', 'leaderLease', 'follower', 'stale'] as const

/** What a read promises, strongest first; see ReadOptions. */
export type Consistency = (typeof names)[number]
export const consistencies: readonly Consistency[] = names

export interface ConsistencyOptions {
  /**
   * Default 'linearizable': sees every write acknowledged, to anybody, before the call. By name there is less:
   *
   * - 'leaderLease': the leader answers from its lease without asking a majority, a round trip between nodes less. As strong as
   *   linearizable while no node's clock runs more than a fifth too fast or too slow; beyond that it may miss the newest writes.
   * - 'follower': any replica answers. Sees everything that this client wrote or saw before, not what others wrote since.
   * - 'stale': any replica answers, with a picture at most `maxStaleMs` old. May be older than what this client saw.
   */
  readonly consistency?: Consistency | undefined
  /** With 'stale', and only there: how old the picture may be, in milliseconds of the cluster's clock, from 0. */
  readonly maxStaleMs?: number | undefined
}

/**
 * Undefined: linearizable.
 * @throws HoldfastError INVALID_ARGUMENT, for an unknown name, or a bound missing or out of place.
 */
export function weakReadOf({ consistency = 'linearizable', maxStaleMs }: ConsistencyOptions): WeakRead | undefined {
  if (!names.includes(consistency)) {
    throw invalid(`consistency is ${JSON.stringify(consistency)}; expected one of ${names.join(', ')}`)
  }
  if (consistency === 'stale') {
    if (maxStaleMs !== undefined && Number.isSafeInteger(maxStaleMs) && maxStaleMs >= 0) {
      return { kind: 'stale', maxStaleMs }
    }
    throw invalid(`maxStaleMs is ${maxStaleMs}; a stale read needs whole milliseconds, 0 or more`)
  }
  if (maxStaleMs !== undefined) {
    throw invalid(`maxStaleMs is ${maxStaleMs}, but consistency is '${consistency}'; expected it with 'stale' only`)
  }
  return consistency === 'linearizable' ? undefined : { kind: consistency }
}

function invalid(message: string): HoldfastError {
  return new HoldfastError('INVALID_ARGUMENT', message)
}
