import type { NodeInfo } from '../base/descriptor.js'
import type { RangeId, StorageId } from '../base/ids.js'
import { META_RANGE } from '../base/ids.js'
import type { Logger } from '../base/ports.js'
import type { Checkpoint, NodeLog, RecoveredRange, StateStore, StateVerdict } from '../storage/types.js'
import { type Birth, FRESH, NOTHING, type ReplicaFactory, unwritten } from './factory.js'
import { readIndex } from './index-rows.js'
import type { LogWriter } from './log-writer.js'
import { logLostState } from './lost-state.js'
import type { MetaIndex } from './meta-index.js'
import type { Replica } from './replica.js'
import { restoreSessions } from './sessions-restore.js'

interface OpenParts {
  readonly self: NodeInfo
  readonly birth: Birth
  readonly log: NodeLog
  readonly state: StateStore
  readonly stateVerdict: StateVerdict
  readonly writer: LogWriter
  readonly factory: ReplicaFactory
  readonly index: MetaIndex
  readonly logger: Logger
}

const FORGOT =
  'the log has forgotten some of what a replica promised, so that replica is not started: its range replaces it by a new one'

interface Found {
  readonly recovered: Omit<RecoveredRange, 'checkpoint'>
  readonly checkpoint: Checkpoint
}

/**
 * Brings up a node's replicas. Ranges born with the cluster get their checkpoint, and with it the storage id of their state, into
 * the log before anything is written under that id. A range whose log is known but that has no checkpoint is a split's child:
 * it comes to life when its parent's split is replayed. One whose log may have forgotten something does not come to life at all:
 * its range replaces it by a new id.
 *
 * Where the state store lost what a checkpoint rests on, a checkpoint without storages says so durably before the node speaks: such a
 * replica keeps term, vote and log, and waits for a snapshot, in later lives too.
 */
export function openReplicas(
  parts: OpenParts,
  done: (opened: { replicas: readonly Replica[]; broken: readonly Replica[] }) => void,
): void {
  const found = new Map<RangeId, Found>()
  const written: { range: RangeId; checkpoint: Checkpoint }[] = []
  for (const [range, recovered] of parts.log.recovered) {
    if (recovered.forgot) parts.logger.log('error', FORGOT, { range })
    if (recovered.checkpoint === null || recovered.forgot) continue
    const isLost = recovered.checkpoint.storages.length > 0 && isHit(parts.stateVerdict, range, recovered.checkpoint)
    const checkpoint = isLost ? { ...recovered.checkpoint, storages: [] } : recovered.checkpoint
    if (isLost) written.push({ range, checkpoint })
    found.set(range, { recovered, checkpoint })
  }
  const born = bornCheckpoints(parts)
  for (const { range, checkpoint } of born) found.set(range, { recovered: FRESH, checkpoint })
  written.push(...born)
  if (written.length === 0) return restoreAll(parts, found, done)
  const nextStorage = (parts.log.node.nextStorage + born.length) as StorageId
  parts.writer.node({ nextStorage, stateMarker: parts.state.marker })
  parts.writer.checkpoints(written, () => restoreAll(parts, found, done))
}

function whatWasLost(verdict: StateVerdict): string {
  if (verdict.kind === 'whole') return 'it was lost before this start'
  return verdict.kind === 'lost' ? verdict.what : verdict.damage.what
}

/** Whether what the checkpoint rests on is lost, or may be. */
function isHit(verdict: StateVerdict, range: RangeId, { storages, bookkeeping }: Checkpoint): boolean {
  if (verdict.kind !== 'damaged') return verdict.kind === 'lost'
  const { storages: hit, journals } = verdict.damage
  if (hit === 'all' || journals === 'all') return true
  return (
    storages.some(({ storage }) => hit.includes(storage)) ||
    [range, ...bookkeeping.lineage.map((piece) => piece.range)].some((each) => journals.includes(each))
  )
}

function restoreAll(
  parts: OpenParts,
  found: ReadonlyMap<RangeId, Found>,
  done: (opened: { replicas: readonly Replica[]; broken: readonly Replica[] }) => void,
): void {
  const replicas: Replica[] = []
  const broken: Replica[] = []
  let open = found.size
  if (open === 0) return done({ replicas, broken })
  for (const [range, { recovered, checkpoint }] of found) {
    const replica = parts.factory.recovered(range, recovered, checkpoint)
    replicas.push(replica)
    const wasPlaced = replica.descriptor.replicas.length > 0
    if (!replica.hasState && wasPlaced) logLostState(parts.logger, replica, whatWasLost(parts.stateVerdict))
    restore(parts, replica, (whole) => {
      if (!whole) broken.push(replica)
      if (--open === 0) done({ replicas, broken })
    })
  }
}

function bornCheckpoints(parts: OpenParts): { range: RangeId; checkpoint: Checkpoint }[] {
  const { log, birth, self } = parts
  const born: { range: RangeId; checkpoint: Checkpoint }[] = []
  for (const descriptor of birth.ranges) {
    const own = descriptor.replicas.find((each) => each.node === self.node)
    // Born once: what our log knows of has lived, or is out.
    if (own === undefined || log.recovered.has(descriptor.range) || log.tombstones.has(descriptor.range)) continue
    const storage = (log.node.nextStorage + born.length) as StorageId
    const bookkeeping = unwritten(descriptor)
    const storages = [{ span: descriptor.span, storage }]
    born.push({
      range: descriptor.range,
      checkpoint: { replica: own.replica, applied: NOTHING, bookkeeping, storages, truncated: NOTHING },
    })
  }
  return born
}

/**
 * Rebuilds from the state store, as of the checkpoint, what is kept in memory only: the session table, and the meta index.
 * `done(false)`: some of what it is built from is damaged.
 */
function restore(parts: OpenParts, replica: Replica, done: (whole: boolean) => void): void {
  if (!replica.hasState) return done(true)
  restoreSessions(parts.state, replica.machine, (whole) => {
    if (!whole || replica.range !== META_RANGE) return done(whole)
    const { span } = replica.descriptor
    readIndex(parts.state, { storage: replica.storageOf(span.start), at: replica.clock, span }, (rows) => {
      for (const row of rows ?? []) parts.index.applied(row)
      done(rows !== null)
    })
  })
}
