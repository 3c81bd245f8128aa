import { assert } from '../base/assert.js'
import type { LogIndex, ReplicaId, Term, Version } from '../base/ids.js'
import { Core } from './core.js'
import { becomeCandidate, maybeCountOwnVote, ticksUntilImpatient, waitForLeader } from './election.js'
import {
  appendOwn,
  canChangeConfiguration,
  canPropose,
  confirmedRound,
  flush,
  isReadyToServe,
  lead,
  mayChangeTo,
  ticksUntilHeartbeat,
} from './leader.js'
import { matchAdvanced } from './replication.js'
import { restore } from './restore.js'
import { step } from './step.js'
import { transferLead } from './transfer.js'
import type {
  Configuration,
  Entry,
  EntryKind,
  InitialState,
  Leadership,
  LogReader,
  Message,
  RaftConfig,
  RaftPorts,
  RaftStatus,
  Ready,
  Role,
  SnapshotPoint,
} from './types.js'
import type { Written } from './writes.js'

/**
 * One replica of one range: the consensus core. Synchronous and deterministic; its effects are data.
 *
 * A caller steps messages, ticks and proposals in, then takes a Ready and performs it as `Ready` says: send, write and
 * sync, send the rest, report `persisted`. Nothing in here waits, and nothing is called back.
 */
export class Raft {
  readonly #core: Core
  #reported: Leadership

  constructor(config: RaftConfig, initial: InitialState, log: LogReader, ports: RaftPorts) {
    this.#core = new Core(config, initial, log, ports)
    this.#reported = this.#core.leadership
    if (initial.start.kind === 'campaign') becomeCandidate(this.#core, { transfer: true })
  }

  get role(): Role {
    return this.#core.state.role
  }

  get term(): Term {
    return this.#core.term
  }

  /** Who leads the present term, as far as this replica knows. */
  get leader(): ReplicaId | null {
    return this.#core.leader
  }

  get commit(): LogIndex {
    return this.#core.commit
  }

  get lastIndex(): LogIndex {
    return this.#core.log.lastIndex
  }

  /** Of the last entry, committed or not: what is proposed next must lie above it. */
  get lastTimestamp(): Version {
    return this.#core.log.lastTimestamp
  }

  /** Every replica has the log on disk up to here; highest value known, not kept over a restart. */
  get allPersisted(): LogIndex {
    return this.#core.allPersisted
  }

  /** It leads, and an entry of its own term is committed. Before it serves it must also have applied that entry. */
  isReadyToServe(): boolean {
    return isReadyToServe(this.#core)
  }

  /** It leads, is not handing the lead on, and less than `uncommittedBytesMax` waits to be committed: it takes a command. */
  canPropose(): boolean {
    return canPropose(this.#core)
  }

  /** Payloads in its log that it proposed as leader and that are not committed; 0 where it does not lead. */
  get uncommittedBytes(): number {
    const { state } = this.#core
    return state.role === 'leader' ? state.uncommittedBytes : 0
  }

  /** A change of configuration may be proposed: an entry of the own term is committed, and no other change is open. */
  canChangeConfiguration(): boolean {
    return canChangeConfiguration(this.#core)
  }

  /** In force: the last one in the log, committed or not (thesis 4.1). */
  get configuration(): Configuration {
    return this.#core.configuration
  }

  get isTransferring(): boolean {
    const { state } = this.#core
    return state.role === 'leader' && state.transfer !== null
  }

  /**
   * The broadcasts of this leader in its term: `last` has left, `confirmed` was answered by a majority. Zeros when it does not lead.
   */
  get readRounds(): { readonly last: number; readonly confirmed: number } {
    const { state } = this.#core
    if (state.role !== 'leader') return { last: 0, confirmed: 0 }
    return { last: state.reads.lastRound, confirmed: confirmedRound(this.#core, state) }
  }

  /** False from the moment it hands the lead on, for the rest of its term: another may lead within a lease then (thesis 6.4.1). */
  get mayLease(): boolean {
    const { state } = this.#core
    return state.role === 'leader' && state.mayLease
  }

  /** Takes in a message. Messages to others, and late ones, are ignored; nothing a correct peer may send throws. */
  step(message: Message): void {
    step(this.#core, message)
  }

  /** Ticks until time alone makes this replica act, at least 1. What is stepped in may bring that nearer or push it away. */
  get ticksUntilDue(): number {
    const core = this.#core
    return core.state.role === 'leader' ? ticksUntilHeartbeat(core) : ticksUntilImpatient(core, core.state)
  }

  /**
   * Time passes by `ticks` (default 1). Ticks before the one that is due change nothing but counters, so they may be told late
   * and all at once, as long as they are told before anything else is stepped in. Never more than `ticksUntilDue`.
   */
  tick(ticks = 1): void {
    const core = this.#core
    assert(ticks > 0 && ticks <= this.ticksUntilDue, 'ticks beyond the one that is due', ticks)
    core.clock += ticks
    if (core.state.role === 'leader') lead(core, core.state)
    else waitForLeader(core, core.state, ticks)
  }

  /**
   * Appends an entry to the leader's log; null: not the leader, or a configuration that may not follow the one in force now
   * (see mayChangeTo). Others are asked canPropose first. `payload` must own its
   * memory.
   */
  propose(proposal: {
    kind: EntryKind
    timestamp: Version
    payload: Uint8Array
  }): { index: LogIndex; term: Term } | null {
    const core = this.#core
    const { state, log } = core
    if (state.role !== 'leader') return null
    if (proposal.kind === 'configuration') {
      if (!mayChangeTo(core, core.decodeConfiguration(proposal.payload))) return null
    } else {
      assert(canPropose(core), 'proposed beyond the bound, or while the lead is handed on', state.uncommittedBytes)
    }
    assert(proposal.timestamp > log.lastTimestamp, 'timestamps must increase', proposal.timestamp, log.lastTimestamp)
    return appendOwn(core, state, proposal)
  }

  /**
   * Asks for a read point (thesis 6.4); false: not the leader. The answer is in a later Ready: `reads` has `context`
   * with the index that must be applied first, or `failedReads` has it. A read waits while the leader has not committed
   * in its term.
   */
  readIndex(context: number): boolean {
    const { state } = this.#core
    if (state.role !== 'leader') return false
    state.reads.add(context)
    return true
  }

  /** Hands the lead to a voter that has the whole log, or once it has (thesis 3.10). False: not the leader, or not to this one. */
  transferLead(to: ReplicaId): boolean {
    const { state } = this.#core
    return state.role === 'leader' && transferLead(this.#core, state, to)
  }

  /** Gives the lead up in its term. Nothing happens to a replica that does not lead. */
  stepDown(): void {
    const core = this.#core
    if (core.state.role === 'leader') core.becomeFollower({ term: core.term, leader: null })
  }

  /**
   * The range has committed the entries at these places: what of this log leads up to one of them is committed too, by log matching
   * (paper 5.3). Others say nothing.
   */
  learnCommitted(places: readonly { readonly index: LogIndex; readonly term: Term }[]): void {
    const core = this.#core
    const known = places.filter((place) => core.log.has(place)).map(({ index }) => index)
    const last = Math.max(core.commit, ...known) as LogIndex
    if (last > core.commit) core.commitTo(last)
  }

  /**
   * The state as of `point` is staged and durable: log, commit and applied move there. False: nothing is missing here that it
   * has, throw it away.
   */
  restore(point: SnapshotPoint): boolean {
    return restore(this.#core, point)
  }

  /** A snapshot that a Ready asked for was taken in up to `index`, or came to nothing. */
  snapshotSent(replica: ReplicaId, done: { readonly index: LogIndex } | null): void {
    const { state, clock } = this.#core
    if (state.role !== 'leader') return
    state.peers.get(replica)?.streamed(done, clock)
    state.appendsDue = true
  }

  /** The payload of an entry of our log, which had been lost, is there again. */
  repaired(entry: Entry): void {
    this.#core.repaired(entry)
  }

  /** Our log cannot give entries at or below this place any more: to be told before they go. */
  truncatedTo(point: { readonly index: LogIndex; readonly term: Term }): void {
    assert(point.index <= this.#core.applied, 'truncated before it was applied', point.index, this.#core.applied)
    this.#core.log.truncateTo(point)
  }

  /** What this replica is good for at present. Whoever may not campaign votes and acknowledges, and gives up the lead. */
  setFitness(fitness: { readonly mayCampaign: boolean; readonly needsSnapshot: boolean }): void {
    const core = this.#core
    core.fitness = fitness
    if (!fitness.mayCampaign && core.state.role !== 'follower') core.becomeFollower({ term: core.term, leader: null })
  }

  /** Of an applied entry the disk has lost what stood in it: who needs it, or one before it, gets a snapshot. */
  lostEntry(index: LogIndex): void {
    assert(index <= this.#core.applied, 'an entry is lost before it was applied', index, this.#core.applied)
    this.#core.log.unreadable = index
  }

  /** Catching up a peer from disk is paced: more is to be sent with the next takeReady, which is to come in another turn. */
  get hasMoreToSend(): boolean {
    const { state } = this.#core
    return state.role === 'leader' && state.appendsDue
  }

  /** The effects since the last call, or null. */
  takeReady(): Ready | null {
    const core = this.#core
    if (core.state.role === 'leader') flush(core, core.state)
    const leadership = this.#newLeadership()
    if (leadership === null && core.outbox.isEmpty && !core.writes.hasWork(core, core.log)) return null
    const isDurable = core.isHardStateDurable
    const write = core.writes.take(core.hardState, core.log, core.clock)
    const acknowledgement = core.outbox.takeAcknowledgement()
    if (acknowledgement !== null) {
      const { to, matchIndex } = acknowledgement
      const message = { type: 'appendAccepted', ...core.envelope(to), matchIndex } as const
      if (isDurable && matchIndex <= core.writes.persistedIndex) core.outbox.sendNow(message)
      else core.outbox.sendAfterPersist(message)
    }
    return { ...write, ...core.outbox.take(), leadership }
  }

  /**
   * A Ready was written and synced. Called once for each that had `mustSync`, in the order taken; calls for others are
   * allowed and change nothing. An entry that was replaced meanwhile does not count.
   */
  persisted(written: Written): void {
    const core = this.#core
    core.writes.persisted(written)
    core.settle()
    maybeCountOwnVote(core)
    if (core.state.role === 'leader') matchAdvanced(core, core.state)
  }

  /**
   * Asked just before a message of `sendAfterPersist` is sent: false when the replica has moved to another term since.
   * An acknowledgement of the old term must not leave then: the entry may be replaced, and that leader would count it.
   */
  stillValid(message: Message): boolean {
    if (message.type === 'preVoteReply') return true
    return message.term === (message.type === 'preVote' ? this.#core.term + 1 : this.#core.term)
  }

  /** The store has applied everything up to `index`. */
  appliedTo(index: LogIndex): void {
    this.#core.appliedTo(index)
  }

  /** Entries from..commit, at least one if there is any, cut off after `bytesMax` of payload or where the disk part ends. */
  committedEntries({ from, bytesMax }: { from: LogIndex; bytesMax: number }): readonly Entry[] {
    const { commit, log } = this.#core
    return from > commit ? [] : log.read({ from, to: commit, bytesMax })
  }

  /** Term of the entry at `index`, from the truncation point known at the start to the last. */
  termAt(index: LogIndex): Term {
    return this.#core.log.term(index)
  }

  /** The transport lost the connection to a peer: what is under way to it may be lost. */
  unreachable(replica: ReplicaId): void {
    const { state } = this.#core
    if (state.role === 'leader') state.peers.get(replica)?.becomeUnreachable()
  }

  status(): RaftStatus {
    const core = this.#core
    const peers = core.state.role === 'leader' ? [...core.state.peers.values()] : []
    return {
      ...core.leadership,
      commit: core.commit,
      lastIndex: core.log.lastIndex,
      persisted: core.writes.persistedIndex,
      allPersisted: core.allPersisted,
      configuration: core.configuration,
      isTransferring: this.isTransferring,
      progress: peers.map(({ replica, match, next, state, forgotten, heardTick }) => {
        return { replica, match, next, state, forgotten, quietTicks: core.clock - heardTick }
      }),
    }
  }

  #newLeadership(): Leadership | null {
    const { role, term, leader } = this.#reported
    const core = this.#core
    if (core.state.role === role && core.term === term && core.leader === leader) return null
    this.#reported = core.leadership
    return this.#reported
  }
}
