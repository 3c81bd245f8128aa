import { assert } from '../base/assert.js'
import type { Descriptor, NodeInfo, ReplicaDescriptor, Span } from '../base/descriptor.js'
import type { BootId, Generation, Key, LogIndex, RangeId, ReplicaId, Term, Version } from '../base/ids.js'
import { NO_INDEX, NO_TERM, NO_VERSION } from '../base/ids.js'
import { limits } from '../base/limits.js'
import type { Random } from '../base/ports.js'
import { maxVersion, nextVersion } from '../base/version.js'
import type { SessionTable } from '../kv/sessions.js'
import type { Bookkeeping, Command, SplitEffect } from '../kv/types.js'
import { Raft } from '../raft/raft.js'
import type { HardState, InitialState, LogReader, RaftConfig } from '../raft/types.js'
import type { Checkpoint, NodeLog, RecoveredRange, Vacated } from '../storage/types.js'
import { AddressBook } from './address-book.js'
import { configurationOf } from './configuration.js'
import { Replica } from './replica.js'
import type { ReplicaHost } from './replica-parts.js'

/** What a cluster begins with. */
export interface Birth {
  readonly nodes: readonly NodeInfo[]
  readonly ranges: readonly Descriptor[]
}

/** An election timeout below the default would outrun leases. */
export type RaftBounds = Pick<
  RaftConfig,
  'electionTicksMin' | 'electionTicksMax' | 'appendMessagesInFlightMax' | 'appendBytesInFlightMax' | 'appendBytesMax'
>

export const NOTHING = { index: NO_INDEX, term: NO_TERM }
export const FRESH: Omit<RecoveredRange, 'checkpoint'> = {
  hardState: { term: NO_TERM, vote: null, commit: NO_INDEX },
  lastIndex: NO_INDEX,
  lastTerm: NO_TERM,
  lastTimestamp: NO_VERSION,
  configurations: [],
  damaged: [],
  forgot: false,
}

/** For how much log a replica has at the start: only new entries are counted. */
const BYTES_PER_ENTRY = 512

interface FactoryParts {
  readonly host: ReplicaHost
  readonly boot: BootId
  readonly random: Random
  readonly log: NodeLog
  readonly bounds?: Partial<RaftBounds> | undefined
}

/** Makes replicas: of a range recovered from the log, born with the cluster, cut off by a split, or placed here empty. */
export class ReplicaFactory {
  readonly #parts: FactoryParts

  constructor(parts: FactoryParts) {
    this.#parts = parts
  }

  /**
   * From its checkpoint and the log behind it. All that it ever promised stands there, so that it votes without a state, too. The
   * sessions are restored afterwards, before anything is applied.
   */
  recovered(range: RangeId, found: Omit<RecoveredRange, 'checkpoint'>, checkpoint: Checkpoint): Replica {
    return this.#make({
      range,
      id: checkpoint.replica,
      found,
      bookkeeping: checkpoint.bookkeeping,
      sessions: null,
      storages: checkpoint.storages,
      applied: checkpoint.applied,
      truncated: checkpoint.truncated,
      checkpointed: checkpoint.applied.index,
      vacated: checkpoint.vacated,
      start: { kind: 'follow' },
      vouched: true,
    })
  }

  /** Without state, span or configuration, until a snapshot brings them. */
  empty(range: RangeId, id: ReplicaId): Replica {
    return this.#make({
      range,
      id,
      found: { ...FRESH },
      bookkeeping: unknownRange(range),
      sessions: null,
      storages: [],
      applied: NOTHING,
      truncated: NOTHING,
      checkpointed: null,
      start: { kind: 'follow' },
    })
  }

  /**
   * The child of a split just applied, or null if it has no replica here: its id is out (`lowest`), or our log may have forgotten
   * what it promised. It keeps what our log holds of it already (term, vote and entries, when the parent's split is being replayed).
   * On the node that leads the parent it campaigns at once; elsewhere it yields to that node for one election timeout, so that
   * nobody else leads the child's keys while the parent's leader may still answer for them. A child that had begun before this
   * start follows instead: it may have confirmed the lease of a leader of its own. A leader that was made a voter behind the split,
   * and applies it only now, is a learner of the child: it can't campaign, and after that timeout the others do.
   *
   * The child's replicas stand in the order of the parent's, so each finds its own by place: a node may hold two for a while.
   */
  child(
    parent: Replica,
    effect: SplitEffect,
    given: { storages: Checkpoint['storages']; lowest: ReplicaId },
  ): Replica | null {
    const { descriptor } = effect.bookkeeping
    const of = (replica: ReplicaId | null): ReplicaDescriptor | undefined => {
      const lives = parent.descriptor.replicas.find((each) => each.replica === replica)
      return descriptor.replicas.find(({ node }) => node === lives?.node)
    }
    const own = of(parent.id)
    const range = descriptor.range
    const found = this.#parts.log.recovered.get(range) ?? { ...FRESH, checkpoint: null }
    if (own === undefined || own.replica < given.lowest || found.forgot) return null
    assert(found.checkpoint === null, 'a child with a state of its own is not cut again', range)
    const first: InitialState['start'] =
      parent.leads && own.role !== 'learner'
        ? { kind: 'campaign' }
        : { kind: 'yield', to: of(parent.raft.leader)?.replica ?? null }
    return this.#make({
      range,
      id: own.replica,
      found,
      bookkeeping: effect.bookkeeping,
      sessions: effect.childSessions,
      storages: given.storages,
      applied: NOTHING,
      truncated: NOTHING,
      checkpointed: null,
      start: found.hardState.term === NO_TERM ? first : { kind: 'follow' },
    })
  }

  #make(parts: {
    range: RangeId
    id: ReplicaId
    found: Omit<RecoveredRange, 'checkpoint'>
    bookkeeping: Bookkeeping
    sessions: SessionTable | null
    storages: Checkpoint['storages']
    applied: { index: LogIndex; term: Term }
    truncated: Checkpoint['truncated']
    checkpointed: LogIndex | null
    vacated?: Vacated | undefined
    start: InitialState['start']
    vouched?: boolean
  }): Replica {
    const { host, boot, random, log, bounds } = this.#parts
    const { range, id, found, bookkeeping } = parts
    const reader: LogReader = log.reader(range)
    const hardState: HardState = found.hardState
    const damaged = new Set(found.damaged)
    let replica: Replica | null = null
    const book = new AddressBook(() => replica?.descriptor ?? bookkeeping.descriptor)
    const raft = new Raft(
      {
        range,
        replica: id,
        boot,
        heartbeatTicks: limits.heartbeatTicks,
        electionTicksMin: limits.electionTicksMin,
        electionTicksMax: limits.electionTicksMax,
        appendMessagesInFlightMax: limits.appendMessagesInFlightMax,
        appendBytesInFlightMax: limits.appendBytesInFlightMax,
        appendBytesMax: limits.frameBytesMax,
        tailBytesMax: limits.raftTailBytesMax,
        uncommittedBytesMax: limits.rangeProposalBytesMax,
        ...bounds,
      },
      {
        hardState,
        configuration: configurationOf(bookkeeping.descriptor.replicas),
        configurationEntries: found.configurations.filter(
          (index) => index > parts.applied.index && !damaged.has(index),
        ),
        truncated: parts.truncated,
        lastIndex: found.lastIndex,
        lastTerm: found.lastTerm,
        lastTimestamp: maxVersion(found.lastTimestamp, bookkeeping.clock),
        applied: parts.applied.index,
        tick: host.tick(),
        start: parts.start,
        vouched: parts.vouched ?? false,
      },
      reader,
      {
        random,
        nextTimestamp: (above: Version) => replica?.timestampAbove(above) ?? maxVersion(nextVersion(above), host.now()),
        decodeConfiguration: (payload) => {
          const replicas = replicasIn(host.codec.decodeCommands(payload))
          book.logged(replicas)
          return configurationOf(replicas)
        },
      },
    )
    const logBytes = (found.lastIndex - parts.truncated.index) * BYTES_PER_ENTRY
    replica = new Replica(host, { ...parts, raft, book, logBytes })
    return replica
  }
}

const NOWHERE: Span = { start: '' as Key, end: '' as Key }

/** What is known of a range whose state is still to come. `span`: where it lies, or did a moment ago. */
export function unknownRange(range: RangeId, span = NOWHERE): Bookkeeping {
  return unwritten({
    range,
    span,
    generation: 0 as Generation,
    epoch: 0,
    replicas: [],
    nextReplica: 0 as ReplicaId,
  })
}

/** Of a range before its first entry. */
export function unwritten(descriptor: Descriptor): Bookkeeping {
  return {
    descriptor,
    clock: NO_VERSION,
    sessionFloor: NO_VERSION,
    collectionFloor: NO_VERSION,
    rangeVersion: 1,
    lineage: [],
    splits: [],
    digest: 0,
  }
}

function replicasIn([command, ...others]: readonly Command[]): readonly ReplicaDescriptor[] {
  assert(command?.kind === 'replicas' && others.length === 0, 'a configuration entry is one command', command?.kind)
  return command.replicas
}
