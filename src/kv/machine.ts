import { assert, assertNever } from '../base/assert.js'
import type { Descriptor } from '../base/descriptor.js'
import type { Key, LogIndex, RangeId, Term, Version } from '../base/ids.js'
import { maxVersion } from '../base/version.js'
import { Draft } from './draft.js'
import { keysNeeded } from './needs.js'
import { isRemembered, withoutValues } from './outcomes.js'
import { applyAllocate, applyPublish } from './publish.js'
import { replicasRefusal, withReplicas } from './replicas.js'
import { SessionTable } from './sessions.js'
import { cut, splitRefusal } from './split.js'
import type {
  AppliedEntry,
  Bookkeeping,
  CollectionFloorCommand,
  Command,
  JournalRecord,
  LineagePiece,
  Origin,
  Outcome,
  Reader,
  SessionFloorCommand,
  SplitCommand,
  SplitEffect,
  StateRecord,
} from './types.js'
import { applyWrite } from './writes.js'

export interface MachinePorts {
  /** A checksum of a record's content, at most 2^32 - 1, the same on every node. */
  recordDigest(record: StateRecord): number
}

/** What the log hands over. Empty for entries that carry no commands. */
export interface AppliableEntry {
  readonly index: LogIndex
  readonly term: Term
  readonly timestamp: Version
  readonly commands: readonly Command[]
}

const DIGEST_MODULUS = 2 ** 48
/** A replica would have to be behind by more splits of one range than these to take one that it holds for uncommitted. */
export const SPLITS_REMEMBERED = 100

/**
 * One range's state machine. Pure, deterministic and total: the same bookkeeping, sessions, entries and reads give the same
 * records, journal, outcomes and digest, and every command that can be decoded gets an outcome. Not even a contradiction
 * within a command stops it; a contradiction in the log itself (versions that do not ascend) does.
 *
 * For every command the session table is asked first: a repeat gets its first outcome even where its keys are no longer
 * here. Then generation and span, then conditions, then the writes.
 */
export class RangeMachine {
  readonly #sessions: SessionTable
  readonly #ports: MachinePorts
  #bookkeeping: Bookkeeping

  /**
   * `sessions`: those that a split gave to this range (SplitEffect.childSessions). Without them the table is empty and must be
   * restored from the journal before the first entry.
   */
  constructor(range: RangeId, bookkeeping: Bookkeeping, ports: MachinePorts, sessions?: SessionTable) {
    assert(bookkeeping.descriptor.range === range, 'bookkeeping of another range', bookkeeping.descriptor.range, range)
    this.#bookkeeping = bookkeeping
    this.#ports = ports
    this.#sessions = sessions ?? new SessionTable(bookkeeping.sessionFloor)
    assert(this.#sessions.floor === bookkeeping.sessionFloor, 'sessions of another floor', this.#sessions.floor)
  }

  /** As of the last applied entry. Never changed in place: it may be kept. */
  get bookkeeping(): Bookkeeping {
    return this.#bookkeeping
  }

  get sessions(): SessionTable {
    return this.#sessions
  }

  /** Keys whose latest record `apply` may read, each once. It reads none outside of the range. */
  needs(commands: readonly Command[]): readonly Key[] {
    return keysNeeded(commands)
  }

  /**
   * Brings the session table up to the bookkeeping: journal records of the range and its lineage, in order, before the first
   * entry. Records whose timestamp lies below the session floor may be left out.
   */
  restore(journal: JournalRecord): void {
    assert(journal.timestamp <= this.#bookkeeping.clock, 'a journal record from the future', journal.timestamp)
    for (const { origin, outcome } of journal.outcomes) this.#sessions.remember(origin, outcome)
  }

  apply(entry: AppliableEntry, reader: Reader): AppliedEntry {
    this.#checkVersions(entry)
    const draft = new Draft(reader)
    const outcomes: Outcome[] = []
    const remembered: { origin: Origin; outcome: Outcome }[] = []
    for (const [at, command] of entry.commands.entries()) {
      const origin = 'origin' in command ? command.origin : null
      const answered = origin === null ? null : this.#answer(origin, command.version)
      const outcome = answered ?? this.#execute(command, { draft, at, of: entry.commands.length })
      if (answered === null && origin !== null && isRemembered(outcome)) {
        const kept = withoutValues(outcome)
        this.#sessions.remember(origin, kept)
        remembered.push({ origin, outcome: kept })
      }
      outcomes.push(outcome)
    }
    this.#bookkeeping = {
      ...this.#bookkeeping,
      clock: entry.timestamp,
      sessionFloor: this.#sessions.floor,
      digest: this.#digestWith(draft.records),
    }
    const replicas = this.#maybeReplace(entry, outcomes)
    const split = this.#maybeSplit(entry, outcomes)
    const { records } = draft
    const digest = entry.commands.some(({ kind }) => kind === 'digest') ? this.#bookkeeping.digest : null
    return { records, journal: journalOf(entry.timestamp, remembered, records), outcomes, split, replicas, digest }
  }

  #checkVersions({ timestamp, commands }: AppliableEntry): void {
    let last = this.#bookkeeping.clock
    assert(timestamp > last, 'entry timestamps ascend', timestamp, last)
    for (const { version } of commands) {
      assert(version > last && version <= timestamp, 'versions ascend up to the timestamp', version, last, timestamp)
      last = version
    }
  }

  /** What the session table says before anything else is looked at, or null: execute. */
  #answer(origin: Origin, version: Version): Outcome | null {
    const known = this.#sessions.known(origin)
    if (known !== null) return known
    if (this.#sessions.refuses(origin)) return { kind: 'sessionExpired', version }
    if (isWellFormed(origin, version)) return null
    return {
      kind: 'invalid',
      reason: 'a request needs 1 <= lowest <= sequence, and a first-sent version below its own',
    }
  }

  #execute(command: Command, { draft, at, of }: { draft: Draft; at: number; of: number }): Outcome {
    const { descriptor } = this.#bookkeeping
    switch (command.kind) {
      case 'write':
        return applyWrite(command, descriptor, draft)
      case 'split': {
        const { version, child } = command
        return splitRefusal(command, descriptor, at === of - 1) ?? { kind: 'split', version, child }
      }
      case 'sessionFloor':
        return this.#raiseFloor(command)
      case 'publish':
        return applyPublish(command, descriptor.range, draft)
      case 'allocate':
        return applyAllocate(command, descriptor.range, draft)
      case 'replicas':
        return replicasRefusal(command, descriptor, of === 1) ?? { kind: 'done', version: command.version }
      case 'collectionFloor':
        return this.#raiseCollectionFloor(command)
      case 'digest':
        return { kind: 'done', version: command.version }
      default:
        return assertNever(command)
    }
  }

  #raiseFloor({ floor, version }: SessionFloorCommand): Outcome {
    if (!(floor <= version)) return { kind: 'invalid', reason: 'a session floor must not lie in the future' }
    this.#letGoOfLineage()
    this.#sessions.raiseFloor(floor)
    return { kind: 'done', version }
  }

  /**
   * Of pieces that both floors have passed nobody needs the journal any more. As they stood before: until the next raise, each node
   * collects the journals that the list names. The last piece stays: it says from which range this one was cut.
   */
  #letGoOfLineage(): void {
    const { sessionFloor, collectionFloor, lineage } = this.#bookkeeping
    const isPassed = ({ to }: LineagePiece) => to < sessionFloor && to < collectionFloor
    const kept = lineage.filter((piece, at) => at === lineage.length - 1 || !isPassed(piece))
    if (kept.length < lineage.length) this.#bookkeeping = { ...this.#bookkeeping, lineage: kept }
  }

  /** A lower floor than before changes nothing. */
  #raiseCollectionFloor({ floor, version }: CollectionFloorCommand): Outcome {
    if (!(floor <= version)) return { kind: 'invalid', reason: 'a collection floor must not lie in the future' }
    this.#letGoOfLineage()
    const collectionFloor = maxVersion(floor, this.#bookkeeping.collectionFloor)
    this.#bookkeeping = { ...this.#bookkeeping, collectionFloor }
    return { kind: 'done', version }
  }

  #maybeReplace({ commands }: AppliableEntry, outcomes: readonly Outcome[]): Descriptor | null {
    const command = commands.at(0)
    if (command?.kind !== 'replicas' || outcomes.at(0)?.kind !== 'done') return null
    const descriptor = withReplicas(this.#bookkeeping.descriptor, command)
    this.#bookkeeping = { ...this.#bookkeeping, descriptor }
    return descriptor
  }

  /**
   * Done when the entry's other effects stand, since the child starts from all of them: clock, digest, and the sessions with the
   * split's own outcome among them (it is in the parent's journal, from which the child's table would be restored).
   */
  #maybeSplit({ index, term, timestamp, commands }: AppliableEntry, outcomes: readonly Outcome[]): SplitEffect | null {
    const command = commands.at(-1)
    if (command?.kind !== 'split' || !isDone(command, outcomes.at(-1))) return null
    const { parent, child } = cut(command, this.#bookkeeping.descriptor)
    const lineage = [...this.#bookkeeping.lineage, { range: parent.range, to: timestamp }]
    const bookkeeping = { ...this.#bookkeeping, descriptor: child, lineage, splits: [] }
    const splits = [...this.#bookkeeping.splits, { index, term }].slice(-SPLITS_REMEMBERED)
    this.#bookkeeping = { ...this.#bookkeeping, descriptor: parent, splits }
    return { bookkeeping, childSessions: this.#sessions.clone() }
  }

  #digestWith(records: readonly StateRecord[]): number {
    let digest = this.#bookkeeping.digest
    for (const record of records) digest = (digest + this.#ports.recordDigest(record)) % DIGEST_MODULUS
    return digest
  }
}

/** The leader assigns above whatever a request has seen, so an honest request was first sent below its version. */
function isWellFormed({ sequence, lowest, firstSent }: Origin, version: Version): boolean {
  const whole = Number.isSafeInteger(sequence) && Number.isSafeInteger(lowest)
  return whole && lowest >= 1 && lowest <= sequence && firstSent < version
}

/** Of this very command: a repeat has the version of the first one. */
function isDone(command: SplitCommand, outcome: Outcome | undefined): boolean {
  return outcome?.kind === 'split' && outcome.version === command.version
}

function journalOf(
  timestamp: Version,
  outcomes: JournalRecord['outcomes'],
  records: readonly StateRecord[],
): JournalRecord | null {
  if (outcomes.length === 0 && records.length === 0) return null
  return { timestamp, outcomes, changes: records.map(({ key, version }) => ({ key, version })) }
}
