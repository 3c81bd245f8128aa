import type { LogIndex, RangeId, ReplicaId, StorageId, Term } from '../../base/ids.js'
import type { Entry, HardState } from '../../raft/types.js'
import type { NodeRecord } from '../types.js'
import { packDisk, unpackDisk } from './bodies.js'
import type { Row } from './layout.js'

/** A row with the bytes of its body. */
export interface LogRecord extends Row {
  readonly body: Uint8Array
}

/** What stands whole in the table of contents has no body: the table stands twice, so one damaged byte takes nothing of it. */
const NO_BODY = new Uint8Array(0)

export function entryRecord(type: 'entry' | 'repair', range: RangeId, entry: Entry): LogRecord {
  const { index, term, timestamp, kind, payload } = entry
  return { type, kind, range, index, term, timestamp, length: payload.length, body: payload }
}

/** `index` is the commit index, `timestamp` the vote. */
export function hardStateRecord(range: number, { term, vote, commit }: HardState): LogRecord {
  const timestamp = vote ?? 0
  return { type: 'hardState', kind: null, range, index: commit, term, timestamp, length: 0, body: NO_BODY }
}

export function hardStateOf({ index, term, timestamp }: Row): HardState {
  const vote = timestamp === 0 ? null : (timestamp as ReplicaId)
  return { term: term as Term, vote, commit: index as LogIndex }
}

/**
 * `index` and `term` are the truncation point, `timestamp` is the last index of the range's log after it. An empty body stands
 * for a checkpoint that was damaged.
 */
export function checkpointRecord(
  range: number,
  { truncated, last, body }: { truncated: { index: number; term: number }; last: number; body: Uint8Array },
): LogRecord {
  const { index, term } = truncated
  return { type: 'checkpoint', kind: null, range, index, term, timestamp: last, length: body.length, body }
}

export const FORGOTTEN_CHECKPOINT = NO_BODY

/** `index` is the next storage id, `term` the boot, `timestamp` the marker of the state store; the body names the disk. */
export function nodeRecord({ nextStorage, disk, boot, stateMarker }: NodeRecord): LogRecord {
  const body = packDisk(disk)
  const row = { index: nextStorage, term: boot, timestamp: stateMarker, length: body.length, body }
  return { type: 'node', kind: null, range: 0, ...row }
}

/** `body` null: it is damaged. */
export function nodeOf({ index, term, timestamp }: Row, body: Uint8Array | null, before: NodeRecord): NodeRecord {
  const disk = body === null ? before.disk : unpackDisk(body)
  return { nextStorage: index as StorageId, disk, boot: term, stateMarker: timestamp }
}

/**
 * `index` is the lowest replica id that may follow; `term` is 1 where it is only remembered, at a segment's head: it drops nothing of a
 * range that has begun anew since.
 */
export function tombstoneRecord(range: number, lowest: ReplicaId, how: 'drop' | 'remember'): LogRecord {
  const term = how === 'drop' ? 0 : 1
  return { type: 'tombstone', kind: null, range, index: lowest, term, timestamp: 0, length: 0, body: NO_BODY }
}

export function isDrop({ term }: Row): boolean {
  return term === 0
}
