import { assert } from '../base/assert.js'
import {
  type BootId,
  type LogIndex,
  NO_INDEX,
  type RangeId,
  type ReplicaId,
  type Term,
  type Version,
} from '../base/ids.js'
import { randomBelow } from '../base/ports.js'
import { Configurations } from './configurations.js'
import { ReplicaLog } from './log.js'
import { Outbox } from './outbox.js'
import { isVoter } from './quorum.js'
import type { RoleState } from './roles.js'
import type {
  Configuration,
  Entry,
  HardState,
  InitialState,
  Leadership,
  LogReader,
  Message,
  RaftConfig,
  RaftPorts,
} from './types.js'
import { Writes } from './writes.js'

/**
 * The state of one replica, and the few ways it may change: terms and commits only rise, a vote is given once a term,
 * committed entries stay. What a role does with it stands in election.ts, follower.ts, leader.ts and replication.ts.
 */
export class Core {
  readonly config: RaftConfig
  readonly configurations: Configurations
  readonly log: ReplicaLog
  readonly writes: Writes
  readonly outbox = new Outbox()
  readonly #ports: RaftPorts
  state: RoleState = { role: 'follower', leader: null }
  /** The node's ticks, as far as this replica was told. */
  clock: number
  /** Ticks since a leader was heard, a vote was given, or the role changed. */
  waited = 0
  #patience: number
  /** Before this tick it votes for nobody whom the leader did not ask to campaign: that leader may hold a lease. */
  #boundUntilTick: number
  readonly #vouched: boolean
  fitness = { mayCampaign: true, needsSnapshot: false }
  /** Until this tick it votes only for `to`. */
  readonly #yielding: { readonly to: ReplicaId | null; readonly untilTick: number } | null
  #term: Term
  #vote: ReplicaId | null
  #commit: LogIndex
  #applied: LogIndex
  #allPersisted: LogIndex

  constructor(config: RaftConfig, initial: InitialState, reader: LogReader, ports: RaftPorts) {
    assert(config.electionTicksMin > config.heartbeatTicks, 'an election timeout must outlast a heartbeat')
    assert(config.electionTicksMax > config.electionTicksMin, 'election timeouts need room to differ')
    assert(config.appendMessagesInFlightMax > 0 && config.appendBytesInFlightMax > 0, 'the append window is closed')
    assert(initial.lastTerm <= initial.hardState.term, 'the log is ahead of the term', initial.lastTerm)
    this.config = config
    this.clock = initial.tick ?? 0
    this.#ports = ports
    this.log = new ReplicaLog(initial, reader, config.tailBytesMax)
    this.#term = initial.hardState.term
    this.#vote = initial.hardState.vote
    this.#applied = initial.applied
    this.#allPersisted = NO_INDEX
    this.#vouched = initial.vouched ?? false
    // The stored commit is a hint: it may be older than what was applied, or name entries that a cut tail has lost.
    this.#commit = Math.max(initial.applied, Math.min(initial.hardState.commit, initial.lastIndex)) as LogIndex
    this.writes = new Writes(initial, this.#commit)
    this.configurations = new Configurations(initial.configuration)
    for (const index of initial.configurationEntries) {
      assert(index > initial.applied && index <= initial.lastIndex, 'a configuration outside of the log', index)
      this.#learnConfiguration(this.log.read({ from: index, to: index, bytesMax: 0 })[0]!)
    }
    this.configurations.committed(this.#commit)
    const { start } = initial
    this.#boundUntilTick = start.kind === 'follow' ? this.clock + config.electionTicksMin : this.clock
    this.#yielding = start.kind === 'yield' ? { to: start.to, untilTick: this.clock + config.electionTicksMin } : null
    this.#patience = this.#drawPatience()
  }

  get self(): ReplicaId {
    return this.config.replica
  }

  get term(): Term {
    return this.#term
  }

  get vote(): ReplicaId | null {
    return this.#vote
  }

  get commit(): LogIndex {
    return this.#commit
  }

  get applied(): LogIndex {
    return this.#applied
  }

  get allPersisted(): LogIndex {
    return this.#allPersisted
  }

  get leader(): ReplicaId | null {
    if (this.state.role === 'leader') return this.self
    return this.state.role === 'follower' ? this.state.leader : null
  }

  get leadership(): Leadership {
    return { role: this.state.role, term: this.#term, leader: this.leader }
  }

  /** In force: the last one in the log. */
  get configuration(): Configuration {
    return this.configurations.current
  }

  /** It was made before its snapshot came: it knows nobody, and takes no appends. */
  get isEmpty(): boolean {
    return this.configuration.voters.length === 0
  }

  /** It votes for nobody: an empty one may have had a vote under this id, unless its node knows better. */
  get isMute(): boolean {
    return this.isEmpty && !this.#vouched
  }

  get needsSnapshot(): boolean {
    return this.isEmpty || this.fitness.needsSnapshot
  }

  get isVoter(): boolean {
    return isVoter(this.configuration, this.self)
  }

  get hardState(): HardState {
    return { term: this.#term, vote: this.#vote, commit: this.#commit }
  }

  /** Term and vote of this moment are on disk. */
  get isHardStateDurable(): boolean {
    return this.writes.isDurable(this.#term, this.#vote)
  }

  get isImpatient(): boolean {
    return this.waited >= this.#patience
  }

  /** Ticks until it is impatient, if nothing happens before. */
  get patienceLeft(): number {
    return this.#patience - this.waited
  }

  /**
   * It leads, or heard from a leader less than the shortest election timeout ago (thesis 4.2.3), or may have before it was
   * started. It goes by the time alone and not by who leads now: a leader's lease rests on it, also after this replica has
   * learned of a later term (thesis 6.4.1).
   */
  get isBound(): boolean {
    return this.state.role === 'leader' || this.clock < this.#boundUntilTick
  }

  /** The oldest unfinished write is older than an election timeout: this disk is no place for a leader (PROTOCOL: our log). */
  get isDiskStalled(): boolean {
    const since = this.writes.oldestSinceTick
    return since !== null && this.clock - since >= this.config.electionTicksMin
  }

  /** A voter whose log and state are whole, on a disk that works. */
  get mayCampaign(): boolean {
    return this.configurations.mayBeVoter(this.self) && this.fitness.mayCampaign && !this.isDiskStalled
  }

  mayVoteFor(candidate: ReplicaId): boolean {
    return this.#yielding === null || this.clock >= this.#yielding.untilTick || this.#yielding.to === candidate
  }

  /** A new wait, of a newly drawn length: replicas that drew alike and split the votes must not do so again. */
  restartWait(): void {
    this.waited = 0
    this.#patience = this.#drawPatience()
  }

  moveToTerm(term: Term): void {
    assert(term > this.#term, 'the term does not rise', term, this.#term)
    this.#term = term
    this.#vote = null
    this.outbox.dropPromises()
  }

  voteFor(replica: ReplicaId): void {
    assert(this.#vote === null || this.#vote === replica, 'a second vote in a term', this.#term, this.#vote, replica)
    this.#vote = replica
  }

  /**
   * The only way back from any role. The vote of the present term is kept: forgetting it would allow a second one.
   * A new term may be reached with or without knowing its leader.
   */
  becomeFollower({ term, leader }: { term: Term; leader: ReplicaId | null }): void {
    assert(leader !== this.self, 'a replica follows itself', leader)
    if (this.state.role === 'leader') this.outbox.failReads(this.state.reads.abandon())
    if (term !== this.#term) this.moveToTerm(term)
    this.state = { role: 'follower', leader }
    this.restartWait()
  }

  /** A leader of the present term was heard. */
  follow(leader: ReplicaId): void {
    assert(this.state.role !== 'leader', 'two leaders in one term', this.#term, leader, this.self)
    this.#boundUntilTick = this.clock + this.config.electionTicksMin
    if (this.state.role === 'follower' && this.state.leader !== null) {
      assert(this.state.leader === leader, 'two leaders in one term', this.#term, this.state.leader, leader)
      this.waited = 0
    } else {
      this.becomeFollower({ term: this.#term, leader })
    }
  }

  commitTo(index: LogIndex): void {
    assert(index > this.#commit, 'the commit goes back', index, this.#commit)
    assert(index <= this.log.lastIndex, 'commits what it does not have', index, this.log.lastIndex)
    this.#commit = index
    this.configurations.committed(index)
  }

  appliedTo(index: LogIndex): void {
    assert(index >= this.#applied && index <= this.#commit, 'applied out of order', index, this.#applied, this.#commit)
    this.#applied = index
    this.settle()
  }

  settle(): void {
    this.log.settle(Math.min(this.#applied, this.writes.persistedIndex) as LogIndex)
  }

  /** Remembers the highest such index; one above what is persisted here cannot be true of this replica. */
  learnAllPersisted(index: LogIndex): void {
    if (index > this.#allPersisted && index <= this.writes.persistedIndex) this.#allPersisted = index
  }

  /** Replaces the log from entries[0].index on. */
  acceptEntries(entries: readonly Entry[]): void {
    const first = entries[0]!.index
    assert(first > this.#commit, 'a committed entry is replaced', first, this.#commit)
    if (first <= this.log.lastIndex) {
      this.writes.truncateFrom(first)
      this.log.truncateFrom(first)
      this.configurations.truncateFrom(first)
    }
    for (const entry of entries) this.append(entry)
  }

  /** A configuration is in force from here on, before it is committed or even written (thesis 4.1). */
  append(entry: Entry): void {
    this.log.append(entry)
    if (entry.kind === 'configuration') this.#learnConfiguration(entry)
  }

  /** The payload of an entry of our log, which had been lost, is back. */
  repaired(entry: Entry): void {
    if (entry.kind !== 'configuration' || entry.index <= this.#applied || !this.log.has(entry)) return
    this.configurations.insert(entry.index, this.decodeConfiguration(entry.payload))
  }

  nextTimestamp(): Version {
    return this.#ports.nextTimestamp(this.log.lastTimestamp)
  }

  /** Head of every message of this replica. `term` is the present one, but for pre-votes and their grants. */
  envelope(
    to: ReplicaId,
    term = this.#term,
  ): { range: RangeId; from: ReplicaId; to: ReplicaId; boot: BootId; term: Term } {
    return { range: this.config.range, from: this.self, to, boot: this.config.boot, term }
  }

  /** Sends at once if what the message rests on, term and vote, is on disk, else after the write that makes it so. */
  send(message: Message): void {
    if (this.isHardStateDurable) this.outbox.sendNow(message)
    else this.outbox.sendAfterPersist(message)
  }

  decodeConfiguration(payload: Uint8Array): Configuration {
    return this.#ports.decodeConfiguration(payload)
  }

  #learnConfiguration({ index, kind, payload }: Entry): void {
    assert(kind === 'configuration', 'not a configuration', index, kind)
    this.configurations.append(index, this.decodeConfiguration(payload))
  }

  #drawPatience(): number {
    const { electionTicksMin, electionTicksMax } = this.config
    return electionTicksMin + randomBelow(this.#ports.random, electionTicksMax - electionTicksMin)
  }
}
