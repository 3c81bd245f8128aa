import type { LogIndex, NodeId, RangeId, Term, Version } from '../../base/ids.js'
import type { Violations } from './violations.js'

/** A replica right after it applied an entry. */
export interface AppliedState {
  readonly range: RangeId
  readonly index: LogIndex
  readonly term: Term
  readonly clock: Version
  /** Over everything that the range ever wrote. */
  readonly digest: number
  readonly generation: number
  /** Counts the states that the replica has had: a snapshot brings another, and jumps. */
  readonly incarnation: number
}

/**
 * State machine safety (thesis 3.2): no two replicas ever apply different entries at one index, which is also to say that
 * no committed entry changes; and equal entries give equal state. Each replica's applied index goes up by one, except
 * that a restart may bring it back to what it applied before.
 */
export class AppliedChecker {
  readonly #violations: Violations
  readonly #states = new Map<RangeId, AppliedState[]>()
  readonly #applied = new Map<string, LogIndex>()
  /** Replicas' states that are no witness. */
  readonly #altered = new Set<string>()

  constructor(violations: Violations) {
    this.#violations = violations
  }

  /** Entries applied anywhere, counted once. */
  get count(): number {
    return [...this.#states.values()].reduce((sum, states) => sum + Object.keys(states).length, 0)
  }

  /** The newest entry of a range that was applied anywhere; 0: none. */
  highest(range: RangeId): LogIndex {
    return Math.max(0, (this.#states.get(range)?.length ?? 0) - 1) as LogIndex
  }

  /** Returns whether nobody had applied this entry before. */
  applied(node: NodeId, state: AppliedState): boolean {
    const { range, index, incarnation } = state
    const place = `${node}/${range}/${incarnation}`
    const before = this.#applied.get(place)
    this.#violations.require(
      before === undefined || index === before + 1,
      () => `node ${node} applied entry ${index} of range ${range} after ${before}`,
    )
    this.#applied.set(place, index)
    if (this.#altered.has(place)) return false
    let states = this.#states.get(range)
    if (states === undefined) {
      states = []
      this.#states.set(range, states)
    }
    const known = states[index]
    if (known !== undefined) {
      this.#violations.require(
        isSame(known, state),
        () => `node ${node} differs: ${show(state)}, others have ${show(known)}`,
      )
      return false
    }
    states[index] = state
    this.#ascends(node, state, states[index - 1])
    return true
  }

  /** Along a log neither term nor clock goes back. */
  #ascends(node: NodeId, state: AppliedState, before: AppliedState | undefined): void {
    if (before === undefined) return
    this.#violations.require(
      state.term >= before.term && state.clock > before.clock,
      () => `node ${node} went back: ${show(state)} after ${show(before)}`,
    )
  }

  /** Term of the entry that was applied at this place; null: none was. */
  termAt(range: RangeId, index: LogIndex): Term | null {
    return this.#states.get(range)?.[index]?.term ?? null
  }

  /** A test altered the first state of this replica's next life: what becomes of it is for the product to find. */
  altered(node: NodeId, range: RangeId): void {
    this.#altered.add(`${node}/${range}/0`)
  }

  /** The node starts again: what it replays is compared, where it begins is its own affair. */
  restarted(node: NodeId): void {
    for (const place of [...this.#applied.keys()]) if (place.startsWith(`${node}/`)) this.#applied.delete(place)
  }

  /** The newest entry applied anywhere that is older than `term`: a leader of that term has it. */
  lastBefore(range: RangeId, term: Term): AppliedState | undefined {
    return this.#states.get(range)?.findLast((state) => state !== undefined && state.term < term)
  }
}

function isSame(a: AppliedState, b: AppliedState): boolean {
  return a.term === b.term && a.clock === b.clock && a.digest === b.digest && a.generation === b.generation
}

function show({ range, index, term, clock, digest, generation }: AppliedState): string {
  return `range ${range} index ${index} term ${term} clock ${clock} digest ${digest} generation ${generation}`
}
