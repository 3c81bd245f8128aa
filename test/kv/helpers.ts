import type { Descriptor, ReplicaDescriptor, Span } from '../../src/base/descriptor.js'
import type {
  Generation,
  Key,
  LogIndex,
  NodeId,
  RangeId,
  ReplicaId,
  SessionId,
  Term,
  Version,
} from '../../src/base/ids.js'
import { META_RANGE } from '../../src/base/ids.js'
import { KEYSPACES, META_SPAN, storedKey } from '../../src/base/keyspace.js'
import { type AppliableEntry, RangeMachine } from '../../src/kv/machine.js'
import type { SessionTable } from '../../src/kv/sessions.js'
import type {
  AppliedEntry,
  Bookkeeping,
  Command,
  Condition,
  JournalRecord,
  Origin,
  Stored,
  Write,
  WriteCommand,
} from '../../src/kv/types.js'

export const RANGE = 2 as RangeId
export const v = (version: number) => version as Version
export const k = (text: string) => storedKey(KEYSPACES.raw, text)
export const bytes = (text: string) => Uint8Array.from(Buffer.from(text))
export const put = (key: string, value: string): Write => ({
  kind: 'put',
  key: k(key),
  codec: 'utf8',
  value: bytes(value),
})
export const del = (key: string): Write => ({ kind: 'delete', key: k(key) })

export const REPLICAS: readonly ReplicaDescriptor[] = [
  { replica: 4 as ReplicaId, node: 1 as NodeId, role: 'voter' },
  { replica: 2 as ReplicaId, node: 3 as NodeId, role: 'voter' },
  { replica: 9 as ReplicaId, node: 2 as NodeId, role: 'learner' },
]

export function descriptor(parts: Partial<Descriptor> = {}): Descriptor {
  return {
    range: RANGE,
    span: { start: k(''), end: null },
    generation: 1 as Generation,
    epoch: 3,
    replicas: REPLICAS,
    nextReplica: 10 as ReplicaId,
    ...parts,
  }
}

export function bookkeeping(parts: Partial<Bookkeeping> = {}): Bookkeeping {
  return {
    descriptor: descriptor(),
    clock: v(0),
    sessionFloor: v(0),
    collectionFloor: v(0),
    rangeVersion: 1,
    lineage: [],
    splits: [],
    digest: 0,
    ...parts,
  }
}

export const span = (start: string, end: string | null): Span => ({
  start: k(start),
  end: end === null ? null : k(end),
})

export function origin(session: string, sequence: number, parts: Partial<Origin> = {}): Origin {
  return { session: session as SessionId, sequence, firstSent: v(0), lowest: 1, ...parts }
}

export function writeAt(
  version: number,
  writes: readonly Write[],
  parts: { conditions?: readonly Condition[]; origin?: Origin; generation?: number; wantValue?: boolean } = {},
): WriteCommand {
  return {
    kind: 'write',
    version: v(version),
    origin: parts.origin ?? null,
    generation: (parts.generation ?? 1) as Generation,
    conditions: parts.conditions ?? [],
    writes,
    wantValue: parts.wantValue ?? false,
  }
}

/** Depends on every byte of a record, in a plain way. */
export function digestOf(record: { key: string; version: number; codec: string; value: Uint8Array | null }): number {
  let digest = record.value === null ? 7 : 11
  for (const part of [record.key, String(record.version), record.codec, String(record.value)]) {
    for (let at = 0; at < part.length; at += 1) digest = (digest * 31 + part.charCodeAt(at)) % 2 ** 32
  }
  return digest
}

/** A machine with the store around it reduced to maps. Reads only what the machine said it needs, as a store does. */
export class Harness {
  readonly machine: RangeMachine
  readonly latest: Map<Key, Stored>
  readonly journal: JournalRecord[] = []
  #index = 0

  constructor(start: Bookkeeping = bookkeeping(), latest = new Map<Key, Stored>(), sessions?: SessionTable) {
    this.machine = new RangeMachine(start.descriptor.range, start, { recordDigest: digestOf }, sessions)
    this.latest = latest
  }

  static meta(): Harness {
    return new Harness(bookkeeping({ descriptor: descriptor({ range: META_RANGE, span: META_SPAN }) }))
  }

  apply(...commands: readonly Command[]): AppliedEntry {
    return this.applyAt(commands.at(-1)?.version ?? this.machine.bookkeeping.clock + 1, commands)
  }

  applyAt(timestamp: number, commands: readonly Command[]): AppliedEntry {
    this.#index += 1
    const place = { index: this.#index as LogIndex, term: 1 as Term }
    const entry: AppliableEntry = { ...place, timestamp: v(timestamp), commands }
    const needed = new Set(this.machine.needs(commands))
    const { span: own } = this.machine.bookkeeping.descriptor
    const applied = this.machine.apply(entry, {
      latest: (key) => {
        if (!needed.has(key)) throw new Error(`read a key that was not named: ${JSON.stringify(key)}`)
        if (key < own.start || (own.end !== null && key >= own.end)) throw new Error('read a key outside of the range')
        return this.latest.get(key) ?? null
      },
    })
    for (const record of applied.records) this.latest.set(record.key, record)
    if (applied.journal !== null) this.journal.push(applied.journal)
    return applied
  }
}
