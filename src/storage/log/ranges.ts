import type { LogIndex, RangeId, ReplicaId, StorageId, Term } from '../../base/ids.js'
import type { NodeRecord, RecoveredRange } from '../types.js'
import type { Row } from './layout.js'
import type { Place } from './places.js'
import { RangeLog, type RecordPlace, type SegmentUse } from './range-log.js'
import { isDrop, type LogRecord, nodeOf, nodeRecord, tombstoneRecord } from './records.js'

/** What the log holds, by range: filled by replay at open, then by every batch that became durable. */
export class LogContents {
  readonly #ranges = new Map<RangeId, RangeLog>()
  readonly #tombstones = new Map<RangeId, ReplicaId>()
  #node: NodeRecord = { nextStorage: 1 as StorageId, disk: '', boot: 0, stateMarker: 0 }
  #hasLostDisk = false
  /** Per segment: entries that are neither replaced nor truncated. */
  readonly #liveEntries = new Map<number, number>()
  #liveBytes = 0
  readonly #use: SegmentUse = {
    use: (segment, bytes) => {
      this.#liveEntries.set(segment, this.liveEntries(segment) + 1)
      this.#liveBytes += bytes
    },
    release: (segment, bytes) => {
      const left = this.liveEntries(segment) - 1
      if (left === 0) this.#liveEntries.delete(segment)
      else this.#liveEntries.set(segment, left)
      this.#liveBytes -= bytes
    },
  }

  get node(): NodeRecord {
    return this.#node
  }

  /** Every record of the directory that the log belongs to is damaged. */
  get hasLostDisk(): boolean {
    return this.#hasLostDisk
  }

  get tombstones(): ReadonlyMap<RangeId, ReplicaId> {
    return this.#tombstones
  }

  /** Of all entries that are neither replaced nor truncated. */
  get liveBytes(): number {
    return this.#liveBytes
  }

  liveEntries(segment: number): number {
    return this.#liveEntries.get(segment) ?? 0
  }

  range(range: RangeId): RangeLog | undefined {
    return this.#ranges.get(range)
  }

  get ranges(): Iterable<readonly [RangeId, RangeLog]> {
    return this.#ranges
  }

  /** Takes one record in, in the order written. `body` null: it is damaged. It is kept by whoever needs it, so it is copied. */
  apply(row: Row, body: Uint8Array | null, place: RecordPlace): void {
    const range = row.range as RangeId
    switch (row.type) {
      case 'entry':
        return this.#rangeOf(range).takeEntry(row, place, body === null)
      case 'repair':
        if (body !== null) this.#ranges.get(range)?.takeRepair(row, place)
        return
      case 'hardState':
        return this.#rangeOf(range).takeHardState(row)
      case 'checkpoint':
        return this.#rangeOf(range).takeCheckpoint(row, body === null ? null : new Uint8Array(body))
      case 'tombstone':
        if (isDrop(row)) {
          this.#ranges.get(range)?.drop()
          this.#ranges.delete(range)
        }
        this.#tombstones.set(range, row.index as ReplicaId)
        return
      case 'node':
        this.#hasLostDisk = body === null && this.#node.disk === ''
        this.#node = nodeOf(row, body, this.#node)
    }
  }

  /** What every new segment begins with, so that older ones can go. */
  head(): LogRecord[] {
    const records = [nodeRecord(this.#node)]
    for (const [range, lowest] of this.#tombstones) records.push(tombstoneRecord(range, lowest, 'remember'))
    for (const [range, log] of this.#ranges) records.push(...log.head(range))
    return records
  }

  /** null: the range has no entry at `index`. */
  place(range: RangeId, index: number): Place | null {
    return this.#ranges.get(range)?.place(index) ?? null
  }

  /** Term of an entry at or above the truncation point; null where nothing is known of it. */
  term(range: RangeId, index: number): Term | null {
    return (this.#ranges.get(range)?.term(index) ?? (index === 0 ? 0 : null)) as Term | null
  }

  configurations(range: RangeId): readonly LogIndex[] {
    return this.#ranges.get(range)?.configurations ?? []
  }

  damaged(range: RangeId): readonly LogIndex[] {
    return this.#ranges.get(range)?.damaged ?? []
  }

  recovered(): ReadonlyMap<RangeId, RecoveredRange> {
    const recovered = new Map<RangeId, RecoveredRange>()
    for (const [range, log] of this.#ranges) recovered.set(range, log.recovered())
    return recovered
  }

  #rangeOf(range: RangeId): RangeLog {
    let found = this.#ranges.get(range)
    if (found === undefined) {
      found = new RangeLog(this.#use)
      this.#ranges.set(range, found)
    }
    return found
  }
}
