import type { Version } from '../../base/ids.js'
import type { JournalRecord } from '../../kv/types.js'
import type { SnapshotPlace, StateChunk, StateStore } from '../../storage/types.js'
import type { Piece } from './plan.js'

/** Where a snapshot goes on: within a piece, behind a record or a journal record. */
export interface Cursor {
  readonly piece: number
  readonly after: SnapshotPlace | null
  readonly afterJournal: Version | null
}

export const START: Cursor = { piece: 0, after: null, afterJournal: null }

export interface ReadChunk {
  readonly chunk: StateChunk
  readonly next: Cursor
  readonly last: boolean
}

/**
 * Reads a snapshot in bounded chunks, each with iterators of its own: what is read was written once, lies at or below `upTo` and is
 * held back from collection. A deletion that was begun before the hold may still land, so the same cursor may give less, or, with
 * room for what lies behind, more: a chunk is read once.
 */
export class SnapshotReader {
  readonly #state: Pick<StateStore, 'readSnapshot' | 'readJournal'>
  readonly #pieces: readonly Piece[]
  readonly #upTo: Version
  readonly #bytesMax: number

  constructor(
    state: Pick<StateStore, 'readSnapshot' | 'readJournal'>,
    what: { pieces: readonly Piece[]; upTo: Version; bytesMax: number },
  ) {
    this.#state = state
    this.#pieces = what.pieces
    this.#upTo = what.upTo
    this.#bytesMax = what.bytesMax
  }

  /** Null: something of it is damaged. Pieces that hold nothing are passed over. */
  read(cursor: Cursor, done: (read: ReadChunk | null) => void): void {
    const piece = this.#pieces[cursor.piece]
    if (piece === undefined) return done({ chunk: { records: [], journals: [] }, next: cursor, last: true })
    if (piece.kind === 'records') this.#records(piece, cursor, done)
    else this.#journal(piece, cursor, done)
  }

  #records(piece: Piece & { kind: 'records' }, cursor: Cursor, done: (read: ReadChunk | null) => void): void {
    const { storage, span } = piece
    const page = { storage, span, after: cursor.after, upTo: this.#upTo, bytesMax: this.#bytesMax }
    this.#state.readSnapshot(page, (records, more) => {
      if (records === null) return done(null)
      const end = records.at(-1)
      const after = end === undefined ? null : { key: end.key, version: end.version }
      this.#go({ chunk: { records, journals: [] }, more, within: { ...cursor, after } }, done)
    })
  }

  #journal(piece: Piece & { kind: 'journal' }, cursor: Cursor, done: (read: ReadChunk | null) => void): void {
    const { range, to } = piece
    const page = { range, from: cursor.afterJournal ?? piece.from, to, bytesMax: this.#bytesMax }
    this.#state.readJournal(page, (found: readonly JournalRecord[] | null, more) => {
      if (found === null) return done(null)
      const afterJournal = found.at(-1)?.timestamp ?? cursor.afterJournal
      const journals = found.map((record) => ({ range, record }))
      this.#go({ chunk: { records: [], journals }, more, within: { ...cursor, afterJournal } }, done)
    })
  }

  #go(
    { chunk, more, within }: { chunk: StateChunk; more: boolean; within: Cursor },
    done: (read: ReadChunk | null) => void,
  ): void {
    const next = more ? within : { ...START, piece: within.piece + 1 }
    const last = next.piece >= this.#pieces.length
    if (chunk.records.length + chunk.journals.length === 0 && !last) return this.read(next, done)
    done({ chunk, next, last })
  }
}
