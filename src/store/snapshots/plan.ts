import type { Span } from '../../base/descriptor.js'
import type { RangeId, StorageId, Version } from '../../base/ids.js'
import { NO_VERSION } from '../../base/ids.js'
import { maxVersion } from '../../base/version.js'
import type { Bookkeeping } from '../../kv/types.js'
import type { Checkpoint } from '../../storage/types.js'

/** A part of what a snapshot holds, in the order in which it is read. */
export type Piece = { readonly kind: 'records'; readonly storage: StorageId; readonly span: Span } | JournalPiece

/** Journal records of `range` with from < timestamp <= to. */
export interface JournalPiece {
  readonly kind: 'journal'
  readonly range: RangeId
  readonly from: Version
  readonly to: Version
}

/** The journal from which a range's sessions are rebuilt: its own and that of the ranges it comes from, above the session floor. */
export function sessionJournal({ descriptor, lineage, clock, sessionFloor }: Bookkeeping): readonly JournalPiece[] {
  const pieces: JournalPiece[] = []
  // An outcome at the floor itself is remembered, so the piece begins below it.
  let from = Math.max(sessionFloor - 1, NO_VERSION) as Version
  for (const { range, to } of [...lineage, { range: descriptor.range, to: clock }]) {
    if (to > from) pieces.push({ kind: 'journal', range, from, to })
    from = maxVersion(from, to)
  }
  return pieces
}

/** A replica's state as of the bookkeeping's clock. */
export function piecesOf(bookkeeping: Bookkeeping, storages: Checkpoint['storages']): readonly Piece[] {
  const records = storages.map(({ storage, span }): Piece => ({ kind: 'records', storage, span }))
  return [...records, ...sessionJournal(bookkeeping)]
}
