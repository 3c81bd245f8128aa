import type { Span } from '../../base/descriptor.js'
import type { RangeId, StorageId, Version } from '../../base/ids.js'
import type { JournalRecord, StateRecord } from '../../kv/types.js'
import { decodeJournal } from '../codec/journal.js'
import type { DbPut, SnapshotPlace, StateDb } from '../types.js'
import { endOfKey, endOfStorage, journalKey, recordKey, startOfKey } from './keys.js'
import { readRecord } from './read-record.js'

const PIECE_ROWS = 512
/** So that a row of the largest size doesn't come with many others of its kind. */
const PIECE_BYTES = 1024 * 1024

interface Walk<T> {
  readonly bounds: { readonly gte: Uint8Array; readonly lt: Uint8Array }
  readonly bytesMax: number
  /** null: not wanted. Throws for what is damaged. */
  readonly decode: (found: DbPut) => T | null
}

type Done<T> = (error: Error | null, records: readonly T[], more: boolean) => void

export interface SnapshotPage {
  readonly storage: StorageId
  readonly span: Span
  readonly after: SnapshotPlace | null
  readonly upTo: Version
  readonly bytesMax: number
}

/** All versions up to `upTo`, as they lie: keys in order, newest first. */
export function readRecords(db: StateDb, page: SnapshotPage, done: Done<StateRecord>): void {
  const { storage, span, after, upTo, bytesMax } = page
  const gte = after === null ? startOfKey(storage, span.start) : behind(storage, after)
  const lt = span.end === null ? endOfStorage(storage) : startOfKey(storage, span.end)
  const decode = (found: DbPut): StateRecord | null => {
    const record = readRecord(found)
    return record.version <= upTo ? record : null
  }
  walk(db, { bounds: { gte, lt }, bytesMax, decode }, done)
}

export function readJournals(
  db: StateDb,
  { range, from, to, bytesMax }: { range: RangeId; from: Version; to: Version; bytesMax: number },
  done: Done<JournalRecord>,
): void {
  const bounds = { gte: journalKey(range, from + 1), lt: journalKey(range, to + 1) }
  walk(db, { bounds, bytesMax, decode: ({ key, value }) => decodeJournal(key, value) }, done)
}

/** The next older version of the key, and all that follows. */
function behind(storage: StorageId, { key, version }: SnapshotPlace): Uint8Array {
  return version === 0 ? endOfKey(storage, key) : recordKey(storage, key, (version - 1) as Version)
}

/** Piece by piece, each with an iterator of its own, until the page is full. */
function walk<T>(db: StateDb, { bounds, bytesMax, decode }: Walk<T>, done: Done<T>): void {
  const records: T[] = []
  let bytes = 0
  const next = (gte: Uint8Array): void => {
    const pieceBytes = Math.min(PIECE_BYTES, bytesMax - bytes)
    db.range({ gte, lt: bounds.lt, reverse: false, limit: PIECE_ROWS, bytesMax: pieceBytes }, (error, found) => {
      if (error !== null) return done(error, [], false)
      let read = 0
      try {
        for (const put of found) {
          read += put.key.length + put.value.length
          const record = decode(put)
          if (record === null) continue
          records.push(record)
          bytes += put.key.length + put.value.length
        }
      } catch (damage) {
        return done(damage as Error, [], false)
      }
      const last = found.at(-1)
      if (last === undefined || (found.length < PIECE_ROWS && read < pieceBytes)) return done(null, records, false)
      if (bytes >= bytesMax) return done(null, records, true)
      next(successor(last.key))
    })
  }
  next(bounds.gte)
}

function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1)
  next.set(key)
  return next
}
