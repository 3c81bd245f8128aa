import type { Descriptor } from '../../base/descriptor.js'
import type { LogIndex, NodeId, RangeId, Term } from '../../base/ids.js'
import type { AppliedEntry } from '../../kv/types.js'
import type { NodeLog } from '../../storage/types.js'
import type { PeerMessage } from '../../store/ports.js'
import type { Replica } from '../../store/replica.js'
import { AppliedChecker, type AppliedState } from './applied.js'
import { DurabilityChecker } from './durability.js'
import { FloorChecker, type KeptFor } from './floors.js'
import { LeaderChecker } from './leaders.js'
import { LogChecker } from './logs.js'
import { QueueChecker } from './queues.js'
import { RecordsModel } from './records.js'
import { SessionTableChecker } from './session-tables.js'
import { SessionChecker } from './sessions.js'
import { overlapFault, partitionFault } from './spans.js'
import { StateOrderChecker } from './state-order.js'
import { TermChecker } from './terms.js'
import { Violations } from './violations.js'

interface Parts {
  readonly kept: KeptFor
  /** Called at the first violation. */
  onFirst(): void
  /** Term of an entry in a node's log, also where it is not on disk yet; null: not there, or no longer. */
  termAt(node: NodeId, range: RangeId, index: LogIndex): Term | null
}

/** All checkers that watch a cluster's nodes while they run. */
export class ClusterCheckers {
  readonly violations: Violations
  readonly leaders: LeaderChecker
  readonly logs: LogChecker
  readonly applied: AppliedChecker
  readonly durability: DurabilityChecker
  readonly records: RecordsModel
  readonly queues: QueueChecker
  readonly #terms: TermChecker
  readonly #sessions: SessionChecker
  readonly #tables: SessionTableChecker
  readonly #order: StateOrderChecker
  readonly #floors: FloorChecker
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
    this.violations = new Violations(() => parts.onFirst())
    this.leaders = new LeaderChecker(this.violations, (leader) => this.#isComplete(leader))
    this.applied = new AppliedChecker(this.violations)
    this.logs = new LogChecker(
      this.violations,
      (range, index) => this.applied.termAt(range, index),
      (node, range, lowest) => this.durability.buried(node, range, lowest),
    )
    this.durability = new DurabilityChecker(this.violations, this.logs)
    this.records = new RecordsModel(this.violations)
    this.queues = new QueueChecker(this.violations)
    this.#terms = new TermChecker(this.violations)
    this.#sessions = new SessionChecker(this.violations)
    this.#tables = new SessionTableChecker(this.violations)
    this.#order = new StateOrderChecker(this.violations, this.logs)
    this.#floors = new FloorChecker(this.violations, parts.kept)
  }

  opened(node: NodeId, log: NodeLog): void {
    this.logs.reopened(node, log)
    for (const [range, { forgot }] of log.recovered) if (forgot) this.durability.forgot(node, range)
    this.applied.restarted(node)
    this.#tables.restarted(node)
  }

  /** The node's disk is gone. */
  wiped(node: NodeId): void {
    this.durability.forgot(node)
    this.logs.forget(node)
  }

  sent(node: NodeId, messages: readonly PeerMessage[]): void {
    this.leaders.sent(node, messages)
    this.#terms.sent(messages)
  }

  appliedBy(node: NodeId, replica: Replica, applied: AppliedEntry): AppliedState {
    const { bookkeeping } = replica.machine
    const state: AppliedState = {
      range: replica.range,
      index: replica.applied,
      term: replica.appliedTerm,
      clock: bookkeeping.clock,
      digest: bookkeeping.digest,
      generation: bookkeeping.descriptor.generation,
      incarnation: replica.incarnation,
    }
    if (this.applied.applied(node, state)) {
      this.#appliedFirst(state, bookkeeping.descriptor, applied)
      const { collectionFloor: history, sessionFloor: sessions } = bookkeeping
      this.#floors.applied(state, { history, sessions })
    }
    this.#tables.maybeLook(node, replica)
    return state
  }

  #appliedFirst(state: AppliedState, descriptor: Descriptor, applied: AppliedEntry): void {
    const { range, index, term, digest } = state
    this.durability.committed({ index, term, descriptor })
    this.#sessions.applied({ range, index }, applied.journal)
    this.#tables.applied({ range, index }, applied)
    this.#order.applied({ range, index, term }, applied.records)
    this.records.applied(range, applied, digest)
    if (applied.split !== null) this.durability.split(descriptor, applied.split.bookkeeping.descriptor)
  }

  /** A node hands records to its state database. */
  stored(node: NodeId, replicas: readonly Replica[], keys: readonly Uint8Array[]): void {
    this.#order.stored(node, replicas, keys)
  }

  /** What a replica that is at rest remembers of requests. */
  remembers(node: NodeId, replica: Replica): void {
    this.#tables.look(node, replica)
  }

  spansOf(node: NodeId, descriptors: readonly Descriptor[]): void {
    const fault = overlapFault(descriptors)
    this.violations.require(fault === null, () => `on node ${node} ${fault}`)
  }

  partition(descriptors: readonly Descriptor[]): void {
    const fault = partitionFault(descriptors)
    this.violations.require(fault === null, () => `the spans do not partition the keys: ${fault}`)
  }

  /** Leader completeness (thesis 3.2): a new leader has every entry committed in an earlier term; log matching covers those before. */
  #isComplete({ node, range, term }: { node: NodeId; range: RangeId; term: Term }): void {
    const last = this.applied.lastBefore(range, term)
    if (last === undefined) return
    const found = this.#parts.termAt(node, range, last.index)
    this.violations.require(
      found === null || found === last.term,
      () =>
        `node ${node} leads range ${range} in term ${term} without entry ${last.index} of term ${last.term} (it has ${found})`,
    )
  }
}
