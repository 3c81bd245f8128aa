import type { ReplicaDescriptor } from '../../base/descriptor.js'
import type { LogIndex, NodeId, RangeId, ReplicaId } from '../../base/ids.js'
import { limits } from '../../base/limits.js'
import type { Logger } from '../../base/ports.js'
import type { Entry } from '../../raft/types.js'
import type { NodeLog } from '../../storage/types.js'
import type { FetchEntryMessage, FetchedEntryMessage, PeerMessage } from '../ports.js'
import type { Replica } from '../replica.js'

export interface EntryRepairParts {
  readonly replicas: ReadonlyMap<RangeId, Replica>
  readonly log: Pick<NodeLog, 'damaged' | 'reader'>
  /** Writes the entry over the damaged one; `done` once that is durable. */
  repair(range: RangeId, entry: Entry, done: () => void): void
  /** No replica has the entry any more: only a snapshot helps. */
  onLost(replica: Replica, what: string): void
  send(to: NodeId, message: PeerMessage): void
  touch(replica: Replica): void
  readonly logger: Logger
}

/**
 * Brings damaged entries of our log back from other replicas. Index and term of such an entry are known, so the replica has forgotten
 * nothing: it votes and acknowledges, does not campaign, and applies up to the entry and no further. Whatever a peer holds at that
 * index and term is the entry (log matching, thesis 3.5).
 */
export class EntryRepair {
  readonly #parts: EntryRepairParts
  /** Replicas with damaged entries, and who said that it has not got the one asked for. */
  readonly #damaged = new Map<
    RangeId,
    { readonly replica: Replica; index: LogIndex; readonly without: Set<ReplicaId> }
  >()

  constructor(parts: EntryRepairParts) {
    this.#parts = parts
  }

  /** Looks whether the replica's log has damaged entries. */
  watch(replica: Replica): void {
    const index = this.#firstOf(replica)
    replica.damagedFrom = index
    if (index === null) this.#damaged.delete(replica.range)
    else this.#damaged.set(replica.range, { replica, index, without: new Set() })
  }

  /** What is applied durably is not needed any more: the log is cut there with the next checkpoint. */
  #firstOf(replica: Replica): LogIndex | null {
    const damaged = this.#parts.log.damaged(replica.range)
    const needed = damaged.find((index) => index > replica.applied)
    const last = damaged.findLast((index) => index <= replica.applied)
    if (last !== undefined) replica.cutLogTo(last)
    return needed ?? null
  }

  get isWaiting(): boolean {
    return this.#damaged.size > 0
  }

  /** Asks, again and again, whoever may have what is damaged here. */
  look(): void {
    for (const [range, { replica, index, without }] of this.#damaged) {
      if (this.#parts.replicas.get(range) !== replica) this.#damaged.delete(range)
      else if (this.#firstOf(replica) !== index) this.watch(replica)
      else this.#ask(replica, index, without)
    }
  }

  #ask(replica: Replica, index: LogIndex, without: Set<ReplicaId>): void {
    const { range, id: from } = replica
    const others = othersOf(replica)
    if (isLost({ others, leader: replica.raft.leader, without })) {
      // It stays on the list: the snapshot may end before this entry, and only a look finds that it is past.
      without.clear()
      return this.#parts.onLost(replica, `entry ${index} of its log is damaged, and no other replica has it`)
    }
    const term = this.#parts.log.reader(range).term(index)
    for (const { replica: to, node } of others) {
      if (!without.has(to)) this.#parts.send(node, { type: 'fetchEntry', range, from, to, index, term })
    }
  }

  /** Another replica asks for an entry of ours. */
  asked(node: NodeId, { range, from, to, index, term }: FetchEntryMessage): void {
    const replica = this.#parts.replicas.get(range)
    if (replica === undefined || replica.id !== to) return
    const entry = this.#find(replica, index)
    const found = entry?.term === term ? entry : null
    this.#parts.send(node, { type: 'fetchedEntry', range, from: to, to: from, index, entry: found })
    this.#parts.touch(replica)
  }

  #find(replica: Replica, index: LogIndex): Entry | null {
    const { persisted } = replica.raft.status()
    if (index <= replica.truncated || index > persisted || this.#parts.log.damaged(replica.range).includes(index))
      return null
    const bounds = { from: index, to: index, bytesMax: limits.entryBytesMax }
    return this.#parts.log.reader(replica.range).entries(bounds)[0] ?? null
  }

  answered({ range, from, index, entry }: FetchedEntryMessage): void {
    const open = this.#damaged.get(range)
    if (open === undefined || open.index !== index) return
    const { replica } = open
    if (this.#firstOf(replica) !== index) return this.watch(replica)
    if (entry === null) {
      open.without.add(from)
      return
    }
    if (entry.index !== index || entry.term !== this.#parts.log.reader(range).term(index)) return
    // Nothing more is asked for until this one is durable.
    this.#damaged.delete(range)
    this.#parts.repair(range, entry, () => {
      this.#parts.logger.log('info', 'entry repaired', { range, index, from })
      if (this.#parts.replicas.get(range) !== replica) return
      replica.raft.repaired(entry)
      this.watch(replica)
      this.#parts.touch(replica)
    })
  }
}

/** Who may have the entry: whom the replica knows on other nodes, and who leads it. */
function othersOf({ id, descriptor, raft, leaderNode }: Replica): Pick<ReplicaDescriptor, 'replica' | 'node'>[] {
  const own = descriptor.replicas.find(({ replica }) => replica === id)?.node
  const others = descriptor.replicas.filter(({ node }) => node !== own)
  const { leader } = raft
  if (leader === null || leaderNode === null || others.some(({ replica }) => replica === leader)) return others
  return [...others, { replica: leader, node: leaderNode }]
}

/**
 * Whom this replica knows from what it has applied may be gone since, and never answer. So the leader's word is enough: it has cut its
 * log above the entry, and has the state that the entry went into.
 */
function isLost(parts: {
  readonly others: readonly { readonly replica: ReplicaId }[]
  readonly leader: ReplicaId | null
  readonly without: ReadonlySet<ReplicaId>
}): boolean {
  const { others, leader, without } = parts
  if (leader !== null && without.has(leader)) return true
  return others.length > 0 && others.every(({ replica }) => without.has(replica))
}
