import type { Descriptor, ReplicaDescriptor } from '../../base/descriptor.js'
import type { LogIndex, NodeId, RangeId, ReplicaId, Term } from '../../base/ids.js'
import type { LogChecker } from './logs.js'
import type { Violations } from './violations.js'

interface Committed {
  readonly index: LogIndex
  readonly term: Term
  readonly descriptor: Descriptor
}

/**
 * Nothing acknowledged is missing on any majority. What is applied anywhere is committed, and nothing is acknowledged before it
 * is applied; so when an entry is first applied it stands durably on a majority of the voters (of both sets while a change is under
 * way), and from then on those who could vote without it are never enough to elect a leader.
 */
export class DurabilityChecker {
  readonly #violations: Violations
  readonly #logs: Pick<LogChecker, 'holds' | 'held' | 'lowest'>
  readonly #newest = new Map<RangeId, Committed>()
  /** Replicas that have forgotten: they never vote again. */
  readonly #gone = new Set<string>()

  constructor(violations: Violations, logs: Pick<LogChecker, 'holds' | 'held' | 'lowest'>) {
    this.#violations = violations
    this.#logs = logs
  }

  /** The entry was applied for the first time; `descriptor` as of then. */
  committed({ index, term, descriptor }: Committed): void {
    const { range } = descriptor
    for (const voters of voterSets(descriptor)) {
      const holders = voters.filter(({ node }) => this.#logs.held(node, range, { index, term }))
      this.#violations.require(
        isMajority(holders.length, voters),
        () =>
          `entry ${index} of term ${term} of range ${range} was applied when ${namesOf(holders)} of ${namesOf(voters)} held it`,
      )
    }
    this.#newest.set(range, { index, term, descriptor })
  }

  /** A range was cut off from another one: who has forgotten the one forgets the other. */
  split(parent: Descriptor, child: Descriptor): void {
    if (this.#newest.has(child.range)) return
    for (const { node, replica } of child.replicas) {
      const of = parent.replicas.find((each) => each.node === node)
      if (of !== undefined && this.#isGone(parent.range, of)) this.#gone.add(nameOf(child.range, replica))
    }
    this.#newest.set(child.range, { index: 0 as LogIndex, term: 0 as Term, descriptor: child })
  }

  /** The node has forgotten all (or one range). */
  forgot(node: NodeId, only?: RangeId): void {
    for (const [range, { descriptor }] of this.#newest) {
      if (only !== undefined && only !== range) continue
      for (const each of descriptor.replicas) if (each.node === node) this.#gone.add(nameOf(range, each.replica))
    }
  }

  /** A node lets go of all that it holds of the range: ids below `lowest` are out there. No voter may be among them that has forgotten nothing. */
  buried(node: NodeId, range: RangeId, lowest: ReplicaId): void {
    const replicas = this.#newest.get(range)?.descriptor.replicas ?? []
    const lost = replicas.find((each) => each.node === node && each.replica < lowest && each.role !== 'learner')
    this.#violations.require(
      lost === undefined || this.#gone.has(nameOf(range, lost.replica)),
      () => `node ${node} gives up replica ${lost!.replica} of range ${range}, a voter that had forgotten nothing`,
    )
  }

  /** Looks whether any leader could be elected that lacks what was committed last. */
  look(): void {
    for (const [range, { index, term, descriptor }] of this.#newest) {
      if (index === 0) continue
      const lacks = (voter: ReplicaDescriptor) =>
        !this.#isGone(range, voter) && !this.#logs.holds(voter.node, range, { index, term })
      this.#violations.require(
        !voterSets(descriptor).every((voters) => isMajority(voters.filter(lacks).length, voters)),
        () => {
          const missing = descriptor.replicas.filter(lacks)
          return `entry ${index} of term ${term} of range ${range} is missing on a majority: ${namesOf(missing)}`
        },
      )
    }
  }

  #isGone(range: RangeId, { node, replica }: ReplicaDescriptor): boolean {
    return this.#gone.has(nameOf(range, replica)) || this.#logs.lowest(node, range) > replica
  }
}

/** The voters; while a joint change is under way the new ones and the old ones. */
function voterSets({ replicas }: Descriptor): ReplicaDescriptor[][] {
  const now = replicas.filter(({ role }) => role === 'voter' || role === 'incoming')
  const before = replicas.filter(({ role }) => role === 'voter' || role === 'outgoing')
  return now.length === before.length && now.every((each, at) => each === before[at]) ? [now] : [now, before]
}

function isMajority(count: number, of: readonly unknown[]): boolean {
  return 2 * count > of.length
}

function nameOf(range: RangeId, replica: ReplicaId): string {
  return `${range}/${replica}`
}

function namesOf(replicas: readonly ReplicaDescriptor[]): string {
  return `[${replicas.map(({ replica, node }) => `replica ${replica} on node ${node}`).join(', ')}]`
}
