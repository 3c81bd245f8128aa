import type { Key, StorageId } from '../../base/ids.js'

/** More pieces than this of one storage id are taken for one. */
const PIECES_MAX = 64

interface Piece {
  readonly start: Key
  /** Behind the last key touched. */
  readonly end: Key
}

/** Where records were deleted that a power cut might bring back: as long as no sync that began afterwards is done. */
export class UnsyncedDeletes {
  #since: Map<StorageId, Piece[]> = new Map()
  /** Each is covered by a sync under way. */
  readonly #covered = new Set<Map<StorageId, Piece[]>>()

  add(storage: StorageId, piece: Piece): void {
    const pieces = this.#since.get(storage) ?? []
    this.#since.set(storage, pieces.length < PIECES_MAX ? [...merged(pieces, piece)] : [hull([...pieces, piece])])
  }

  /** As of now: whether one of these keys' records was deleted and may come back. */
  picture(storage: StorageId): (key: Key) => boolean {
    const pieces = [this.#since, ...this.#covered].flatMap((map) => map.get(storage) ?? [])
    return (key) => pieces.some(({ start, end }) => start <= key && key < end)
  }

  /** A sync begins now; call what is returned when it is done. */
  syncBegins(): () => void {
    const covered = this.#since
    this.#since = new Map()
    this.#covered.add(covered)
    return () => this.#covered.delete(covered)
  }
}

/** Passes follow each other: the new piece usually begins where the last one ended, or is that one again. */
function merged(pieces: readonly Piece[], piece: Piece): readonly Piece[] {
  const last = pieces.at(-1)
  if (last === undefined || piece.start > last.end || piece.end < last.start) return [...pieces, piece]
  return [...pieces.slice(0, -1), hull([last, piece])]
}

function hull(pieces: readonly Piece[]): Piece {
  return pieces.reduce((a, b) => ({
    start: a.start < b.start ? a.start : b.start,
    end: a.end > b.end ? a.end : b.end,
  }))
}
