import { assert } from '../base/assert.js'
import { type Descriptor, isJoint, type NodeInfo, type ReplicaRole } from '../base/descriptor.js'
import type { BootId, LogIndex, NodeId, RangeId, ReplicaId, StorageId, Term, Version } from '../base/ids.js'
import { META_RANGE, NO_INDEX, NO_TERM, NO_VERSION } from '../base/ids.js'
import { limits } from '../base/limits.js'
import type { Random } from '../base/ports.js'
import { maxVersion, nextVersion } from '../base/version.js'
import { DESCRIPTOR_SPAN, NODE_SPAN } from '../kv/meta.js'
import type { SessionTable } from '../kv/sessions.js'
import type { Bookkeeping, Command, SplitEffect } from '../kv/types.js'
import { Raft } from '../raft/raft.js'
import type { Configuration, HardState, InitialState, LogReader } from '../raft/types.js'
import type { Checkpoint, NodeLog, RecoveredRange, StateStore } from '../storage/types.js'
import type { LogWriter } from './log-writer.js'
import type { MetaIndex } from './meta-index.js'
import { Replica, type ReplicaHost } from './replica.js'

/** What a cluster begins with. */
export interface Birth {
  readonly nodes: readonly NodeInfo[]
  readonly ranges: readonly Descriptor[]
}

const NOTHING = { index: NO_INDEX, term: NO_TERM }
const FRESH: Omit<RecoveredRange, 'checkpoint'> = {
  hardState: { term: NO_TERM, vote: null, commit: NO_INDEX },
  lastIndex: NO_INDEX,
  lastTerm: NO_TERM,
  lastTimestamp: NO_VERSION,
  configurations: [],
  damaged: [],
  forgot: false,
}

interface FactoryParts {
  readonly host: ReplicaHost
  readonly node: NodeId
  readonly boot: BootId
  readonly random: Random
  readonly log: NodeLog
}

/** Makes replicas: of a range recovered from the log, born with the cluster, or cut off by a split. */
export class ReplicaFactory {
  readonly #parts: FactoryParts

  constructor(parts: FactoryParts) {
    this.#parts = parts
  }

  /** From its checkpoint and the log behind it. The sessions are restored afterwards, before anything is applied. */
  recovered(range: RangeId, found: RecoveredRange, checkpoint: Checkpoint): Replica {
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
      start: { kind: 'follow' },
    })
  }

  /**
   * The child of a split just applied, or null if it has no replica here. It keeps what our log holds of it already (term, vote
   * and entries, when the parent's split is being replayed). On the node that leads the parent it campaigns at once; elsewhere it
   * yields to that node for one election timeout, so that nobody else leads the child's keys while the parent's leader may still
   * answer for them.
   */
  child(parent: Replica, effect: SplitEffect, storages: Checkpoint['storages']): Replica | null {
    const { descriptor } = effect.bookkeeping
    const own = descriptor.replicas.find((each) => each.node === this.#parts.node)
    if (own === undefined) return null
    const range = descriptor.range
    const found = this.#parts.log.recovered.get(range) ?? { ...FRESH, checkpoint: null }
    assert(found.checkpoint === null, 'a child with a state of its own is not cut again', range)
    const leaderOnNode = descriptor.replicas.find((each) => each.node === parent.leaderNode)?.replica ?? null
    return this.#make({
      range,
      id: own.replica,
      found,
      bookkeeping: effect.bookkeeping,
      sessions: effect.childSessions,
      storages,
      applied: NOTHING,
      truncated: NOTHING,
      checkpointed: null,
      start: parent.leads ? { kind: 'campaign' } : { kind: 'yield', to: leaderOnNode },
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
    start: InitialState['start']
  }): Replica {
    const { host, boot, random, log } = this.#parts
    const { range, id, found, bookkeeping } = parts
    const reader: LogReader = log.reader(range)
    const hardState: HardState = found.hardState
    let replica: Replica | null = null
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
      },
      {
        hardState,
        configuration: configurationOf(bookkeeping.descriptor),
        configurationEntries: [],
        truncated: parts.truncated,
        lastIndex: found.lastIndex,
        lastTerm: found.lastTerm,
        lastTimestamp: maxVersion(found.lastTimestamp, bookkeeping.clock),
        applied: parts.applied.index,
        tick: host.tick(),
        start: parts.start,
      },
      reader,
      {
        random,
        nextTimestamp: (above: Version) => replica?.timestampAbove(above) ?? maxVersion(nextVersion(above), host.now()),
        decodeConfiguration: (payload) => configurationIn(host.codec.decodeCommands(payload)),
      },
    )
    replica = new Replica(host, { ...parts, raft })
    return replica
  }
}

function configurationIn([command, ...others]: readonly Command[]): Configuration {
  assert(command?.kind === 'replicas' && others.length === 0, 'a configuration entry is one command', command?.kind)
  return configurationOf(command)
}

function configurationOf(descriptor: Pick<Descriptor, 'replicas'>): Configuration {
  const idsOf = (...roles: readonly ReplicaRole[]) =>
    descriptor.replicas.filter(({ role }) => roles.includes(role)).map(({ replica }) => replica)
  return {
    voters: idsOf('voter', 'incoming'),
    outgoing: isJoint(descriptor) ? idsOf('voter', 'outgoing') : [],
    learners: idsOf('learner'),
  }
}

interface OpenParts {
  readonly self: NodeInfo
  readonly birth: Birth
  readonly log: NodeLog
  readonly state: StateStore
  readonly writer: LogWriter
  readonly factory: ReplicaFactory
  readonly index: MetaIndex
}

/**
 * Brings up a node's replicas. Ranges born with the cluster get their checkpoint, and with it the storage id of their state, into
 * the log before anything is written under that id. A range whose log is known but that has no checkpoint is a split's child:
 * it comes to life when its parent's split is replayed.
 */
export function openReplicas(parts: OpenParts, done: (replicas: readonly Replica[]) => void): void {
  const found = new Map<RangeId, { recovered: RecoveredRange; checkpoint: Checkpoint }>()
  for (const [range, recovered] of parts.log.recovered) {
    if (recovered.checkpoint !== null) found.set(range, { recovered, checkpoint: recovered.checkpoint })
  }
  const born = bornCheckpoints(parts, new Set(found.keys()))
  for (const { range, checkpoint } of born) {
    const recovered = parts.log.recovered.get(range) ?? { ...FRESH, checkpoint: null }
    found.set(range, { recovered, checkpoint })
  }
  const restoreAll = () => {
    const replicas: Replica[] = []
    let open = found.size
    if (open === 0) return done([])
    for (const [range, { recovered, checkpoint }] of found) {
      const replica = parts.factory.recovered(range, recovered, checkpoint)
      replicas.push(replica)
      restore(parts, replica, checkpoint, () => {
        if (--open === 0) done(replicas)
      })
    }
  }
  if (born.length === 0) return restoreAll()
  parts.writer.node({ nextStorage: (parts.log.node.nextStorage + born.length) as StorageId })
  parts.writer.checkpoints(born, restoreAll)
}

function bornCheckpoints(parts: OpenParts, known: ReadonlySet<RangeId>): { range: RangeId; checkpoint: Checkpoint }[] {
  const born: { range: RangeId; checkpoint: Checkpoint }[] = []
  for (const descriptor of parts.birth.ranges) {
    const own = descriptor.replicas.find((each) => each.node === parts.self.node)
    if (own === undefined || known.has(descriptor.range)) continue
    const storage = (parts.log.node.nextStorage + born.length) as StorageId
    const bookkeeping: Bookkeeping = {
      descriptor,
      clock: NO_VERSION,
      sessionFloor: NO_VERSION,
      collectionFloor: NO_VERSION,
      rangeVersion: 1,
      lineage: [],
      digest: 0,
    }
    const storages = [{ span: descriptor.span, storage }]
    born.push({
      range: descriptor.range,
      checkpoint: { replica: own.replica, applied: NOTHING, bookkeeping, storages, truncated: NOTHING },
    })
  }
  return born
}

/** Rebuilds from the state store, as of the checkpoint, what is kept in memory only: the session table, and the meta index. */
function restore(parts: OpenParts, replica: Replica, checkpoint: Checkpoint, done: () => void): void {
  const { bookkeeping } = checkpoint
  const pieces: { range: RangeId; from: Version; to: Version }[] = []
  // An outcome at the floor itself is remembered, so the piece begins below it.
  let from = Math.max(bookkeeping.sessionFloor - 1, NO_VERSION) as Version
  for (const piece of [...bookkeeping.lineage, { range: replica.range, to: bookkeeping.clock }]) {
    if (piece.to > from) pieces.push({ range: piece.range, from, to: piece.to })
    from = maxVersion(from, piece.to)
  }
  const next = () => {
    const piece = pieces.shift()
    if (piece !== undefined)
      parts.state.journal(
        piece,
        (record) => replica.machine.restore(record),
        () => next(),
      )
    else if (replica.range === META_RANGE) loadIndex(parts, replica, bookkeeping.clock, done)
    else done()
  }
  next()
}

function loadIndex(parts: OpenParts, meta: Replica, at: Version, done: () => void): void {
  const spans = [DESCRIPTOR_SPAN, NODE_SPAN]
  const load = (span: Descriptor['span']) => {
    const page = { storage: meta.storageOf(span.start), span, at, reverse: false, keysOnly: false }
    parts.state.scan({ ...page, limit: limits.scanRowsMax, bytesMax: limits.scanBytesMax }, (rows, more) => {
      for (const row of rows ?? []) parts.index.applied(row)
      const last = rows?.at(-1)
      if (more && last !== undefined) return load({ start: `${last.key}\0` as typeof last.key, end: span.end })
      const next = spans.shift()
      if (next === undefined) done()
      else load(next)
    })
  }
  load(spans.shift()!)
}
