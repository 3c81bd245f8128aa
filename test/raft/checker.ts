import { assert } from '../../src/base/assert.js'
import type { LogIndex, ReplicaId, Term } from '../../src/base/ids.js'
import type { Entry, Message, Ready } from '../../src/raft/types.js'
import type { Cluster, ClusterEvents } from './cluster.js'
import type { Node } from './node.js'

/**
 * The five properties of figure 3.2 of the thesis, one vote per term, commitment only of what a majority has synced, and
 * linearizable reads. Watches from outside: what replicas hand out, send, write and apply.
 */
export class Checker implements ClusterEvents {
  cluster: Cluster | null = null
  readonly #leaderOf = new Map<Term, ReplicaId>()
  readonly #voteOf = new Map<string, ReplicaId>()
  /** By index and term: what such an entry is, everywhere and for ever. */
  readonly #entries = new Map<string, { readonly entry: Entry; readonly previousTerm: number }>()
  /** Each replica's log in memory, as far as it was handed out. */
  readonly #logs = new Map<ReplicaId, Entry[]>()
  readonly committed: Entry[] = []
  readonly #readFloor = new Map<number, LogIndex>()
  readsConfirmed = 0

  started(node: Node): void {
    this.#logs.set(node.id, [...node.disk.log])
  }

  readBegins(context: number): void {
    this.#readFloor.set(context, this.committed.length as LogIndex)
  }

  sent(message: Message): void {
    if (message.type !== 'voteReply' || !message.granted) return
    const key = `${message.from} in ${message.term}`
    const other = this.#voteOf.get(key)
    assert(other === undefined || other === message.to, 'two votes in a term', key, other, message.to)
    this.#voteOf.set(key, message.to)
  }

  ready(node: Node, ready: Ready): void {
    const isLeader = node.up.role === 'leader'
    const log = this.#logs.get(node.id)!
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
      }
    }
    if (commit > this.committed.length) this.#checkCommit(node, role === 'leader')
  }

  applied(node: Node, entries: readonly Entry[]): void {
    this.moved(node)
    for (const entry of entries) {
      assert(this.committed[entry.index - 1]?.term === entry.term, 'state machine safety', node.id, entry.index)
    }
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
    const nodes = [...this.cluster!.nodes.values()]
    const from = this.committed.length
    for (let index = from + 1; index <= node.up.commit; index += 1) {
      const [entry] = node.up.committedEntries({ from: index as LogIndex, bytesMax: 0 })
      this.committed.push(entry!)
    }
    for (const entry of this.committed.slice(from)) {
      const copies = nodes.filter(({ id, disk }) => node.configuration.voters.includes(id) && disk.has(entry)).length
      assert(copies * 2 > node.configuration.voters.length, 'committed without a majority on disk', entry.index, copies)
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
