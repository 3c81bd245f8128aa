import { assert } from '../../src/base/assert.js'
import type { LogIndex, ReplicaId, Term } from '../../src/base/ids.js'
import type { Entry, Message, Ready } from '../../src/raft/types.js'
import type { Cluster, ClusterEvents } from './cluster.js'
import type { Leases } from './leases.js'
import type { Node, Snapshot } from './node.js'

/**
 * The five properties of figure 3.2 of the thesis, one vote per term, acknowledgement of what is synced and commitment of what
 * majorities have synced, and linearizable reads. Watches from outside: what replicas hand out, send, write and apply.
 */
export class Checker implements ClusterEvents {
  cluster: Cluster | null = null
  /** Set when all nodes' clocks go alike. */
  leases: Leases | null = null
  readonly #leaderOf = new Map<Term, ReplicaId>()
  readonly #voteOf = new Map<string, ReplicaId>()
  /** By index and term: what such an entry is, everywhere and for ever. */
  readonly #entries = new Map<string, { readonly entry: Entry; readonly previousTerm: number }>()
  /** Each replica's log in memory, as far as it was handed out. */
  readonly #logs = new Map<ReplicaId, Entry[]>()
  readonly committed: Entry[] = []
  readonly #readFloor = new Map<number, LogIndex>()
  readsConfirmed = 0
  snapshotsRestored = 0

  started(node: Node): void {
    this.#logs.set(node.id, [...node.disk.log])
  }

  readBegins(context: number): void {
    this.#readFloor.set(context, this.committed.length as LogIndex)
  }

  sent(message: Message): void {
    if (message.type === 'appendAccepted') this.#checkAcknowledgement(message.from, message.matchIndex)
    if (message.type !== 'voteReply' || !message.granted) return
    const key = `${message.from} in ${message.term}`
    const other = this.#voteOf.get(key)
    assert(other === undefined || other === message.to, 'two votes in a term', key, other, message.to)
    assert(this.#node(message.from).disk.state !== null, 'a vote of a replica without a state', key)
    this.#voteOf.set(key, message.to)
  }

  ready(node: Node, ready: Ready): void {
    const isLeader = node.up.role === 'leader'
    const log = this.#logs.get(node.id)!
    if (ready.restored !== null) this.#restart(log, ready.restored)
    for (const entry of ready.entries) {
      if (isLeader && entry.term === node.up.term) {
        assert(entry.index === log.length + 1, 'leader append-only', node.id, entry.index)
      }
      log.length = entry.index - 1
      this.#checkLogMatching(entry, log.at(-1)?.term ?? 0)
      log.push(entry)
    }
    for (const { context, index } of ready.reads) {
      assert(index >= this.#readFloor.get(context)!, 'a stale read', context, index, this.#readFloor.get(context))
      this.readsConfirmed += 1
    }
    this.moved(node)
  }

  moved(node: Node): void {
    if (node.raft === null) return
    const { role, term, commit } = node.raft
    if (role === 'leader') {
      const other = this.#leaderOf.get(term)
      assert(other === undefined || other === node.id, 'election safety', term, other, node.id)
      if (other === undefined) {
        this.#leaderOf.set(term, node.id)
        this.#checkCompleteness(node, 0)
        this.leases?.elected(node, this.cluster!.leaders)
      }
    }
    this.leases?.moved(node)
    if (commit > this.committed.length) this.#checkCommit(node, this.#leaderOf.get(term) === node.id)
  }

  applied(node: Node, entries: readonly Entry[]): void {
    this.moved(node)
    for (const entry of entries) {
      assert(this.committed[entry.index - 1] === entry, 'state machine safety', node.id, entry.index)
    }
  }

  restored(node: Node, { state }: Snapshot): void {
    this.snapshotsRestored += 1
    this.applied(node, state.applied)
  }

  #node(id: ReplicaId): Node {
    return this.cluster!.nodes.get(id)!
  }

  /** What lies behind the place stays only if the log had the place. */
  #restart(log: Entry[], at: { index: LogIndex; term: Term }): void {
    const behind = log[at.index - 1]?.term === at.term ? log.slice(at.index) : []
    log.splice(0, log.length, ...this.committed.slice(0, at.index), ...behind)
  }

  #checkAcknowledgement(from: ReplicaId, matchIndex: LogIndex): void {
    const { disk } = this.#node(from)
    const acknowledged = this.#logs.get(from)![matchIndex - 1]
    const isThere = matchIndex === 0 || (acknowledged !== undefined && disk.has(acknowledged))
    assert(isThere, 'acknowledges what is not synced', from, matchIndex)
  }

  #checkLogMatching(entry: Entry, previousTerm: number): void {
    const key = `${entry.index} of ${entry.term}`
    const known = this.#entries.get(key)
    if (known === undefined) {
      this.#entries.set(key, { entry, previousTerm })
    } else {
      const isSame = known.entry.payload === entry.payload && known.entry.timestamp === entry.timestamp
      assert(isSame && known.previousTerm === previousTerm, 'log matching', key, known.previousTerm, previousTerm)
    }
  }

  #checkCommit(node: Node, isLeader: boolean): void {
    assert(isLeader, 'a follower commits what no leader did', node.id)
    const from = this.committed.length
    for (let index = from + 1; index <= node.up.commit; index += 1) {
      const [entry] = node.up.committedEntries({ from: index as LogIndex, bytesMax: 0 })
      this.committed.push(entry!)
    }
    // Thesis 3.6.2: a majority that has an entry of an older term proves nothing, only one of the leader's own term behind it does.
    assert(
      this.committed.at(-1)!.term === node.up.term,
      'committed by counting copies of an older term',
      node.id,
      from + 1,
    )
    const { voters, outgoing } = node.up.configuration
    for (const entry of this.committed.slice(from)) {
      for (const set of outgoing.length > 0 ? [voters, outgoing] : [voters]) {
        const copies = set.filter((id) => this.#node(id).disk.has(entry)).length
        assert(copies * 2 > set.length, 'committed without a majority on disk', entry.index, copies)
      }
    }
    for (const other of this.cluster!.leaders) if (other.up.term > node.up.term) this.#checkCompleteness(other, from)
  }

  #checkCompleteness(leader: Node, from: number): void {
    const log = this.#logs.get(leader.id)!
    for (const { index, term } of this.committed.slice(from)) {
      assert(log[index - 1]?.term === term, 'leader completeness', leader.id, index)
    }
  }
}
