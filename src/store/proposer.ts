import { assert } from '../base/assert.js'
import type { Descriptor, ReplicaDescriptor } from '../base/descriptor.js'
import type { ReplicaId, Version } from '../base/ids.js'
import { limits } from '../base/limits.js'
import { maxVersion, nextVersion } from '../base/version.js'
import type { Command } from '../kv/types.js'
import type { Raft } from '../raft/raft.js'
import type { AppliedState } from './applied-state.js'
import { configurationOf, isSameConfiguration } from './configuration.js'
import type { Proposals } from './proposals.js'
import type { ReplicaHost } from './replica-parts.js'

const NO_PAYLOAD = new Uint8Array(0)

interface ProposerParts {
  readonly host: ReplicaHost
  readonly raft: Raft
  readonly state: AppliedState
  readonly proposals: Proposals
}

/**
 * Puts entries into a range's log and gives them their versions. These lie above everything proposed or applied in this range and above
 * every timestamp in the log, also uncommitted ones: entry timestamps strictly increase along the log.
 */
export class Proposer {
  readonly #host: ReplicaHost
  readonly #raft: Raft
  readonly #state: AppliedState
  readonly #proposals: Proposals
  /** Highest version given to a command of this range by this node. */
  #lastProposed: Version

  constructor({ host, raft, state, proposals }: ProposerParts) {
    this.#host = host
    this.#raft = raft
    this.#state = state
    this.#proposals = proposals
    this.#lastProposed = this.#clock
  }

  get #descriptor(): Descriptor {
    return this.#state.machine.bookkeeping.descriptor
  }

  get #clock(): Version {
    return this.#state.machine.bookkeeping.clock
  }

  /** Nothing is proposed at or below this version. */
  raiseTo(version: Version): void {
    this.#lastProposed = maxVersion(this.#lastProposed, version)
  }

  /** Puts waiting commands into the log, one entry per call. */
  propose(): void {
    if (this.#proposals.waiting === 0 || !this.#raft.canPropose()) return
    const above = maxVersion(maxVersion(this.#lastProposed, this.#raft.lastTimestamp), this.#clock)
    const commandsMax = this.#host.buggify('short entry') ? 1 : limits.entryCommandsMax
    const now = { now: this.#host.now(), monotonicMs: this.#host.monotonicMs() }
    const taken = this.#proposals.takeEntry({ above, commandsMax, ...now })
    if (taken === null) return
    const timestamp = taken.commands.at(-1)!.version
    const payload = this.#host.codec.encodeCommands(taken.commands)
    const at = this.#raft.propose({ kind: 'commands', timestamp, payload })
    assert(at !== null, 'a leader takes proposals', this.#descriptor.range)
    this.#lastProposed = timestamp
    this.#proposals.proposed(at.index, { ...taken, term: at.term })
    this.#state.warm(taken.commands)
  }

  /** A change of replicas may be proposed: the last one is applied, and the core would take it. */
  get mayChangeReplicas(): boolean {
    if (this.#state.storages.length === 0 || !this.#raft.canChangeConfiguration()) return false
    return isSameConfiguration(configurationOf(this.#descriptor.replicas), this.#raft.configuration)
  }

  /** Puts a change of replicas into the log, an entry of its own. False: not now. */
  proposeReplicas(change: { replicas: readonly ReplicaDescriptor[]; nextReplica: ReplicaId }): boolean {
    if (!this.mayChangeReplicas) return false
    const above = maxVersion(maxVersion(this.#lastProposed, this.#raft.lastTimestamp), this.#clock)
    const version = maxVersion(nextVersion(above), this.#host.now())
    const { replicas, nextReplica } = change
    const command: Command = { kind: 'replicas', version, epoch: this.#descriptor.epoch + 1, replicas, nextReplica }
    const payload = this.#host.codec.encodeCommands([command])
    if (this.#raft.propose({ kind: 'configuration', timestamp: version, payload }) === null) return false
    this.#lastProposed = version
    return true
  }

  /** Timestamp for an entry that the core itself writes (the no-op of a new term). */
  timestampAbove(above: Version): Version {
    const floor = maxVersion(maxVersion(above, this.#lastProposed), this.#clock)
    this.#lastProposed = maxVersion(nextVersion(floor), this.#host.now())
    return this.#lastProposed
  }

  /** Brings the log's timestamps up to `version`, with an empty entry unless one is on its way: replicas' clocks follow. */
  advanceTo(version: Version): void {
    if (!this.#raft.canPropose() || this.#raft.lastTimestamp >= version) return
    const timestamp = maxVersion(this.timestampAbove(this.#raft.lastTimestamp), version)
    this.#lastProposed = timestamp
    const at = this.#raft.propose({ kind: 'noop', timestamp, payload: NO_PAYLOAD })
    assert(at !== null, 'a leader takes proposals', this.#descriptor.range)
  }
}
