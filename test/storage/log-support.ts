import type { Generation, Key, LogIndex, RangeId, ReplicaId, StorageId, Term, Version } from '../../src/base/ids.js'
import { type Fatal, type Logger, type Random, silentLogger } from '../../src/base/ports.js'
import type { Entry, HardState } from '../../src/raft/types.js'
import { openNodeLog } from '../../src/storage/log/log.js'
import type { Checkpoint, Files, LogItem, NodeLog, RecoveredRange } from '../../src/storage/types.js'
import { MemoryFiles } from '../../src/testing/files.js'

/** mulberry32 (Tommy Ettinger), public domain: enough for tests. */
export function seeded(seed: number): Random {
  let state = seed
  return {
    next() {
      state = (state + 0x6d2b79f5) | 0
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
    },
  }
}

export function memoryFiles(seed = 1, defer: (action: () => void) => void = setImmediate): MemoryFiles {
  return new MemoryFiles({ random: seeded(seed), schedule: (_latencyMs, action) => defer(action) })
}

/** For logs that never wait: their only timer is for a disk without room (log-space.test.ts has one for that). */
const clock = { monotonicMs: () => 0, setTimer: () => () => {} }

export const throwing: Fatal = (reason) => {
  throw new Error(`fatal: ${reason}`)
}

export function openLog(
  files: Files,
  segmentBytes = 64 * 1024,
  fatal: Fatal = throwing,
  logger: Logger = silentLogger,
): Promise<NodeLog> {
  return openNodeLog({ files, segmentBytes, clock, fatal, logger })
}

export function append(log: NodeLog, items: readonly LogItem[]): Promise<void> {
  return new Promise((resolve) => log.append(items, resolve))
}

export function rangeId(id: number): RangeId {
  return id as RangeId
}

export function entry(index: number, term: number, payload: string | Uint8Array = `entry ${index} of ${term}`): Entry {
  return {
    index: index as LogIndex,
    term: term as Term,
    timestamp: (2 ** 50 + term * 1e6 + index) as Version,
    kind: 'commands',
    payload: typeof payload === 'string' ? new Uint8Array(Buffer.from(payload, 'latin1')) : payload,
  }
}

export function entriesItem(range: number, entries: readonly Entry[]): LogItem {
  return { kind: 'entries', range: rangeId(range), entries }
}

export function hardState(term: number, vote: number | null, commit: number): HardState {
  return { term: term as Term, vote: vote as ReplicaId | null, commit: commit as LogIndex }
}

export function hardStateItem(range: number, state: HardState): LogItem {
  return { kind: 'hardState', range: rangeId(range), hardState: state }
}

export function tombstoneItem(range: number, lowest: number): LogItem {
  return { kind: 'tombstone', range: rangeId(range), lowest: lowest as ReplicaId }
}

export function repairItem(range: number, repaired: Entry): LogItem {
  return { kind: 'repair', range: rangeId(range), entry: repaired }
}

export function checkpoint(range: number, truncated: { index: number; term: number }, replica = 1): Checkpoint {
  const place = { index: truncated.index as LogIndex, term: truncated.term as Term }
  const start = '\u0000\u0000\u0000\u0001\u00ff\u0000é' as Key
  const descriptor = {
    range: rangeId(range),
    span: { start, end: null },
    generation: 7 as Generation,
    epoch: 2,
    replicas: [{ replica: 1 as ReplicaId, node: 1 as never, role: 'voter' as const }],
    nextReplica: 4 as ReplicaId,
  }
  const clock = (2 ** 52 + truncated.index) as Version
  const lineage = [{ range: rangeId(range), to: clock }]
  return {
    replica: replica as ReplicaId,
    applied: place,
    bookkeeping: {
      descriptor,
      clock,
      sessionFloor: 0 as Version,
      collectionFloor: 0 as Version,
      rangeVersion: 1,
      lineage,
      splits: [place],
      digest: 2 ** 47 + 1,
    },
    storages: [{ span: { start, end: null }, storage: 3 as StorageId }],
    truncated: place,
  }
}

export function checkpointItem(range: number, truncated: { index: number; term: number }, replica = 1): LogItem {
  return { kind: 'checkpoint', range: rangeId(range), checkpoint: checkpoint(range, truncated, replica) }
}

export function nodeItem(node: { nextStorage?: number; disk?: string; boot?: number; stateMarker?: number }): LogItem {
  const { nextStorage = 1, disk = 'disk', boot = 1, stateMarker = 0 } = node
  return { kind: 'node', nextStorage: nextStorage as StorageId, disk, boot, stateMarker }
}

/** What a log that was never written to tells. */
export const emptyContents: ReturnType<typeof contentsOf> = {
  node: { nextStorage: 1 as StorageId, disk: '', boot: 0, stateMarker: 0 },
  tombstones: [],
  ranges: [],
}

/** Everything a log tells after it was opened, as plain data that can be compared. */
export function contentsOf(log: NodeLog) {
  const ranges = [...log.recovered]
    .sort(([a], [b]) => a - b)
    .map(([range, recovered]) => rangeOf(log, range, recovered))
  return { node: log.node, tombstones: [...log.tombstones], ranges }
}

function rangeOf(log: NodeLog, range: RangeId, recovered: RecoveredRange) {
  const entries: { index: number; payload: string | null }[] = []
  const first = (recovered.checkpoint?.truncated.index ?? 0) + 1
  for (let index = first; index <= recovered.lastIndex && !recovered.forgot; index += 1) {
    if (recovered.damaged.includes(index as LogIndex)) {
      entries.push({ index, payload: null })
      continue
    }
    const [found] = readAll(log, range, index, index)
    entries.push({ ...found!, payload: text(found!.payload) })
  }
  return { range, ...recovered, entries }
}

export function readAll(log: NodeLog, range: number, from: number, to: number): readonly Entry[] {
  const bounds = { from: from as LogIndex, to: to as LogIndex, bytesMax: Number.MAX_SAFE_INTEGER }
  return log.reader(rangeId(range)).entries(bounds)
}

export function text(payload: Uint8Array): string {
  return Buffer.from(payload).toString('latin1')
}
