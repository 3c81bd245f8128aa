import { assert } from '../base/assert.js'
import { type LogIndex, NO_INDEX, type ReplicaId } from '../base/ids.js'
import { isVoter } from './quorum.js'
import type { Configuration } from './types.js'

interface Placed {
  readonly index: LogIndex
  readonly configuration: Configuration
}

/**
 * The configurations of a log. The last one is in force from the moment it is appended, committed or not (thesis 4.1), and goes
 * again when its entry is cut. Waiting for the commit would not do: a follower that holds the leave of a joint change and has
 * not heard of its commit could be elected by the old voters, in a term in which the new ones elect another.
 */
export class Configurations {
  /** Ascending; the first is the last one known to be committed. Never empty. */
  #placed: Placed[]

  constructor(configuration: Configuration) {
    this.#placed = [{ index: NO_INDEX, configuration }]
  }

  get current(): Configuration {
    return this.#last.configuration
  }

  /** Where the one in force stands in the log; 0 for the one that the replica began with. */
  get currentIndex(): LogIndex {
    return this.#last.index
  }

  get #last(): Placed {
    const last = this.#placed.at(-1)
    assert(last !== undefined, 'a replica without a configuration')
    return last
  }

  /**
   * Voter in the last configuration known to be committed or in one behind it. Who is out by a change that is not known to be
   * committed may be the only one that has it, and then nobody else can be elected (thesis 4.2.2).
   */
  mayBeVoter(replica: ReplicaId): boolean {
    return this.#placed.some(({ configuration }) => isVoter(configuration, replica))
  }

  append(index: LogIndex, configuration: Configuration): void {
    assert(index > this.currentIndex, 'configurations out of order', index, this.currentIndex)
    this.#placed.push({ index, configuration })
  }

  /** The log is cut from `index` on. */
  truncateFrom(index: LogIndex): void {
    while (this.#placed.length > 1 && this.currentIndex >= index) this.#placed.pop()
    assert(this.currentIndex < index, 'a committed configuration is cut', index, this.currentIndex)
  }

  /** Nothing up to `commit` is ever cut. */
  committed(commit: LogIndex): void {
    while (this.#placed.length > 1 && this.#placed[1]!.index <= commit) this.#placed.shift()
  }

  /** As of `index` it is this one; entries behind it stay or are cut, as the log does. */
  restore(index: LogIndex, configuration: Configuration): void {
    this.#placed = [{ index, configuration }, ...this.#placed.filter((placed) => placed.index > index)]
  }

  /** An entry whose payload was lost can be read again. */
  insert(index: LogIndex, configuration: Configuration): void {
    if (this.#placed.some((placed) => placed.index === index) || index < this.#placed[0]!.index) return
    this.#placed.push({ index, configuration })
    this.#placed.sort((a, b) => a.index - b.index)
  }
}

/**
 * May `next` follow `current`? Any majority of the one must share a voter with any majority of the other (thesis 4.1, 4.3):
 * one voter more or less; into a joint configuration of the present voters and any others; out of it to those others.
 */
export function mayFollow(current: Configuration, next: Configuration): boolean {
  if (!isWellFormed(next)) return false
  if (current.outgoing.length > 0) return next.outgoing.length === 0 && difference(current.voters, next.voters) === 0
  if (next.outgoing.length > 0) return difference(current.voters, next.outgoing) === 0
  return difference(current.voters, next.voters) <= 1
}

/** Somebody votes, nobody is named twice, and a learner is no voter. */
function isWellFormed({ voters, outgoing, learners }: Configuration): boolean {
  const isUnique = (ids: readonly ReplicaId[]) => new Set(ids).size === ids.length
  const everybody = new Set([...voters, ...outgoing])
  return voters.length > 0 && isUnique(voters) && isUnique(outgoing) && isUnique([...everybody, ...learners])
}

/** How many are in one of the two and not in the other. */
function difference(a: readonly ReplicaId[], b: readonly ReplicaId[]): number {
  return a.filter((id) => !b.includes(id)).length + b.filter((id) => !a.includes(id)).length
}
