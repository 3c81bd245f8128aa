import type { Descriptor } from '../base/descriptor.js'
import type { LogIndex, NodeId, RangeId, Term } from '../base/ids.js'
import type { Replica } from '../store/replica.js'
import type { SimNode } from './node.js'
import { descriptorsOf } from './wholeness.js'

/**
 * What a cluster can be busy with while a fault strikes; several at once.
 *
 * - 'election': a range has no leader among the running replicas of its highest term.
 * - 'snapshot': a node takes a snapshot in.
 * - 'split': a split is in a log and not applied by all running replicas.
 * - 'transfer': a leader hands the lead on.
 * - 'membership': a range's replicas are being changed: there is a learner or a joint configuration.
 * - 'restart': a process opens its files and replays its log.
 * - 'recovery': a node that serves again lacks what was applied before it did: entries, or a state.
 * - 'idle': none of these.
 */
export const PHASES = [
  'idle',
  'election',
  'snapshot',
  'split',
  'transfer',
  'membership',
  'restart',
  'recovery',
] as const

export type Phase = (typeof PHASES)[number]

type BusyPhase = Exclude<Phase, 'idle'>

const busyPhases = PHASES.filter((phase): phase is BusyPhase => phase !== 'idle')

/** Tells from a cluster's nodes which phases it is in. */
export class Phases {
  readonly #nodes: readonly SimNode[]
  /** What a node has to apply until it has recovered from its last start. */
  readonly #toApply = new Map<NodeId, Map<RangeId, LogIndex>>()

  constructor(nodes: readonly SimNode[]) {
    this.#nodes = nodes
  }

  /** A node serves from now on; `appliedAnywhere`: how far a range was ever applied. */
  served(node: SimNode, appliedAnywhere: (range: RangeId) => LogIndex): void {
    const replicas = [...(node.store?.replicas ?? [])]
    this.#toApply.set(node.id, new Map(replicas.map(({ range }) => [range, appliedAnywhere(range)])))
  }

  /** All phases that the cluster is in. */
  now(): Phase[] {
    const busy: Phase[] = busyPhases.filter((phase) => this.#isBusyWith(phase))
    return busy.length === 0 ? ['idle'] : busy
  }

  isIn(phase: Phase): boolean {
    return phase === 'idle' ? !busyPhases.some((each) => this.#isBusyWith(each)) : this.#isBusyWith(phase)
  }

  #isBusyWith(phase: BusyPhase): boolean {
    switch (phase) {
      case 'election':
        return hasLeaderlessRange(this.#running())
      case 'snapshot':
        return this.#running().some(({ store }) => store!.snapshots.in > 0)
      case 'split':
        return isSplitting(this.#running())
      case 'transfer':
        return this.#running().some(({ store }) => some(store!.replicas, ({ raft }) => raft.isTransferring))
      case 'membership':
        return this.#changesReplicas()
      case 'restart':
        return this.#nodes.some((node) => node.isUp && !node.serves)
      case 'recovery':
        return this.#nodes.some((node) => node.serves && this.#recovers(node))
    }
  }

  #running(): SimNode[] {
    return this.#nodes.filter((node) => node.serves && !node.isPaused)
  }

  #changesReplicas(): boolean {
    for (const { replicas } of descriptorsOf(this.#nodes).values()) {
      if (replicas.some(({ role }) => role !== 'voter')) return true
    }
    return this.#running().some(({ store }) =>
      some(store!.replicas, ({ leads, raft }) => {
        const { outgoing, learners } = raft.configuration
        return leads && outgoing.length + learners.length > 0
      }),
    )
  }

  #recovers(node: SimNode): boolean {
    const { store } = node
    if (some(store!.replicas, ({ hasState }) => !hasState)) return true
    const toApply = this.#toApply.get(node.id)
    if (toApply === undefined) return false
    for (const [range, index] of toApply) if ((store!.replica(range)?.applied ?? index) < index) return true
    this.#toApply.delete(node.id)
    return false
  }
}

function hasLeaderlessRange(nodes: readonly SimNode[]): boolean {
  const best = new Map<RangeId, { readonly term: Term; readonly leads: boolean }>()
  for (const { store } of nodes) {
    for (const { range, raft, leads } of store!.replicas) {
      const known = best.get(range)
      if (known === undefined || raft.term > known.term || (raft.term === known.term && leads)) {
        best.set(range, { term: raft.term, leads })
      }
    }
  }
  return some(best.values(), ({ leads }) => !leads)
}

function isSplitting(nodes: readonly SimNode[]): boolean {
  const generations = new Map<RangeId, Descriptor['generation']>()
  for (const { store } of nodes) {
    for (const replica of store!.replicas) {
      if (!replica.hasState) continue
      const { range, descriptor } = replica
      const known = generations.get(range) ?? descriptor.generation
      if (known !== descriptor.generation || hasSplitInLog(replica)) return true
      generations.set(range, known)
    }
  }
  return false
}

/** One that this node proposed as the leader. */
function hasSplitInLog({ leads, applied, raft, proposals }: Replica): boolean {
  if (!leads) return false
  for (let at = applied + 1; at <= raft.lastIndex; at++) {
    const index = at as LogIndex
    if (proposals.commandsAt({ index, term: raft.termAt(index) })?.at(-1)?.kind === 'split') return true
  }
  return false
}

function some<T>(items: Iterable<T>, holds: (item: T) => boolean): boolean {
  for (const item of items) if (holds(item)) return true
  return false
}
