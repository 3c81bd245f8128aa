import type { LogIndex, Term, Version } from '../base/ids.js'
import { limits } from '../base/limits.js'
import { maxVersion, nextVersion } from '../base/version.js'
import type { Command } from '../kv/types.js'
import { failed, failure, type Settled } from './replies.js'

/** A command on its way into the log. `settle` is called exactly once. */
export interface Proposal {
  /** Builds the command once its version is known. */
  make(version: Version): Command
  settle(settled: Settled): void
  readonly bytes: number
  /** Its version must lie above this one. */
  readonly seen: Version
  /** Monotonic milliseconds; after it the proposal is refused instead of proposed. */
  readonly expiresAt: number
  /** Nothing may follow it in its entry (split). */
  readonly endsEntry: boolean
}

/** Commands of one entry that this node proposed, in order, with who waits for them. */
export interface ProposedEntry {
  readonly term: Term
  readonly commands: readonly Command[]
  readonly proposals: readonly Proposal[]
  readonly bytes: number
}

/** Waiting and in-flight proposals of one range, bounded in bytes together. */
export class Proposals {
  #waiting: Proposal[] = []
  readonly #inFlight = new Map<LogIndex, ProposedEntry>()
  #bytes = 0

  get waiting(): number {
    return this.#waiting.length
  }

  get inFlight(): number {
    return this.#inFlight.size
  }

  /** Commands waiting or in flight. */
  get count(): number {
    let count = this.#waiting.length
    for (const { proposals } of this.#inFlight.values()) count += proposals.length
    return count
  }

  get bytes(): number {
    return this.#bytes
  }

  /** False: full, nothing was taken. */
  offer(proposal: Proposal): boolean {
    if (this.#bytes + proposal.bytes > limits.rangeProposalBytesMax) return false
    this.#bytes += proposal.bytes
    this.#waiting.push(proposal)
    return true
  }

  /**
   * Takes the next entry's worth of waiting proposals and gives each its version: above everything proposed, applied or
   * served in this range (`above`), above what its client had seen, and not below log time (`now`).
   */
  takeEntry(bounds: {
    above: Version
    now: Version
    monotonicMs: number
    /** Default limits.entryCommandsMax. */
    commandsMax?: number
  }): Omit<ProposedEntry, 'term'> | null {
    const { commandsMax = limits.entryCommandsMax } = bounds
    const commands: Command[] = []
    const proposals: Proposal[] = []
    let bytes = 0
    let last = bounds.above
    let taken = 0
    for (const proposal of this.#waiting) {
      const full = proposals.length > 0 && bytes + proposal.bytes > limits.entryBytesTarget
      if (full || proposals.length >= commandsMax) break
      taken++
      if (proposal.expiresAt <= bounds.monotonicMs) {
        this.#bytes -= proposal.bytes
        proposal.settle(failed(failure('DEADLINE', 'the deadline passed while the write waited to be proposed')))
        continue
      }
      last = maxVersion(maxVersion(nextVersion(last), bounds.now), nextVersion(proposal.seen))
      commands.push(proposal.make(last))
      proposals.push(proposal)
      bytes += proposal.bytes
      if (proposal.endsEntry) break
    }
    this.#waiting = taken === this.#waiting.length ? [] : this.#waiting.slice(taken)
    return proposals.length === 0 ? null : { commands, proposals, bytes }
  }

  proposed(index: LogIndex, entry: ProposedEntry): void {
    this.#inFlight.set(index, entry)
  }

  /** The commands of an entry this node proposed itself, so that it need not decode them. */
  commandsAt(at: { index: LogIndex; term: Term }): readonly Command[] | null {
    const entry = this.#inFlight.get(at.index)
    return entry?.term === at.term ? entry.commands : null
  }

  /** What this node proposed at `index`, if the entry applied there is that one. An entry that another replaced never commits. */
  takeApplied(at: { index: LogIndex; term: Term }): ProposedEntry | null {
    const entry = this.#inFlight.get(at.index)
    if (entry === undefined) return null
    this.#inFlight.delete(at.index)
    this.#bytes -= entry.bytes
    if (entry.term === at.term) return entry
    const error = failure('NOT_LEADER', 'another leader wrote this place of the log')
    for (const proposal of entry.proposals) proposal.settle(failed(error))
    return null
  }

  /** This node stopped leading: what waits was never proposed; what is in flight may still commit under the next leader. */
  leadLost(settleWaiting: Settled, settleInFlight: Settled): void {
    const waiting = this.#waiting
    const inFlight = [...this.#inFlight.values()].flatMap((entry) => entry.proposals)
    // Whoever is told may offer something new at once.
    this.#waiting = []
    this.#inFlight.clear()
    this.#bytes = 0
    for (const proposal of waiting) proposal.settle(settleWaiting)
    for (const proposal of inFlight) proposal.settle(settleInFlight)
  }
}
