import type { LogIndex } from '../base/ids.js'

/** What an entry costs in the log beside its payload. */
const ENTRY_OVERHEAD_BYTES = 64

/** About how many bytes of log a range has above a place, without looking at the log. */
export class LogKept {
  #total: number
  /** Places, with the total when they were noted. */
  readonly #marks: { readonly index: LogIndex; readonly total: number }[]

  constructor(truncated: LogIndex, bytes: number) {
    this.#total = bytes
    this.#marks = [{ index: truncated, total: 0 }]
  }

  added(entries: readonly { readonly payload: Uint8Array }[]): void {
    for (const { payload } of entries) this.#total += payload.length + ENTRY_OVERHEAD_BYTES
  }

  /** The log ends about here now. */
  note(index: LogIndex): void {
    if (index > this.#marks.at(-1)!.index) this.#marks.push({ index, total: this.#total })
  }

  /** Bytes above the newest place noted at or below `index`. */
  above(index: LogIndex): number {
    return this.#total - (this.#marks.findLast((mark) => mark.index <= index)?.total ?? 0)
  }

  truncated(index: LogIndex): void {
    while (this.#marks.length > 1 && this.#marks[1]!.index <= index) this.#marks.shift()
  }
}

/** What of a range's log might go. */
export interface Truncatable {
  /** Applied, and with the checkpoint being written durable in the state. */
  readonly applied: LogIndex
  /** Every replica has it on disk. */
  readonly allPersisted: LogIndex
  /** A snapshot under way needs what lies above. */
  readonly pinned: LogIndex | null
  keptAbove(index: LogIndex): number
}

/**
 * Where the log of each range may begin: behind what all its replicas have. Where that keeps more than `bytesMax` on this node
 * together, the ranges that keep most are cut to what is applied, and their slow or dead replicas will need a snapshot: no dead
 * replica fills a disk.
 */
export function truncationPoints(ranges: readonly Truncatable[], bytesMax: number): readonly LogIndex[] {
  const points = ranges.map(({ applied, allPersisted }) => Math.min(applied, allPersisted) as LogIndex)
  const kept = ranges.map((range, at) => range.keptAbove(points[at]!))
  let total = kept.reduce((sum, bytes) => sum + bytes, 0)
  const largestFirst = ranges.map((_, at) => at).sort((a, b) => kept[b]! - kept[a]!)
  for (const at of largestFirst) {
    if (total <= bytesMax) break
    const range = ranges[at]!
    const point = Math.min(range.applied, range.pinned ?? range.applied) as LogIndex
    if (point <= points[at]!) continue
    points[at] = point
    total -= kept[at]! - range.keptAbove(point)
  }
  return points
}
