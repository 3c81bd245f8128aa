import type { Violations } from './violations.js'

/** One key: up to when (a place on the real-time line) which version was the highest that anybody had seen. Both ascend. */
interface Seen {
  readonly ends: number[]
  readonly versions: number[]
}

/**
 * Versions of a key never go back in real time: what begins after a call had ended sees no older version of a key than that call saw
 * or wrote, whoever asks. (A search for an order would find most of it at the end of a run; this finds it when it happens.)
 */
export class VersionChecker {
  readonly #violations: Violations
  readonly #keys = new Map<string, Seen>()

  constructor(violations: Violations) {
    this.#violations = violations
  }

  /** A call ended and told the version under which it found or wrote the key. Calls are told in the order in which they ended. */
  saw(call: {
    readonly client: string | number
    readonly key: string
    readonly invoke: number
    readonly complete: number
    readonly version: number
  }): void {
    const { client, key, invoke, complete, version } = call
    let seen = this.#keys.get(key)
    if (seen === undefined) {
      seen = { ends: [], versions: [] }
      this.#keys.set(key, seen)
    }
    const { ends, versions } = seen
    const least = leastFor(seen, invoke)
    this.#violations.require(
      version >= least,
      () =>
        `client ${client} saw ${key} at version ${version} in a call that began at ${invoke}, after one that saw version ${least} had ended`,
    )
    if (version <= (versions.at(-1) ?? -1)) return
    ends.push(complete)
    versions.push(version)
  }
}

/** The highest version told by a call that ended before `invoke`; -1: none. */
function leastFor({ ends, versions }: Seen, invoke: number): number {
  let low = 0
  let high = ends.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (ends[middle]! < invoke) low = middle + 1
    else high = middle
  }
  return low === 0 ? -1 : versions[low - 1]!
}
