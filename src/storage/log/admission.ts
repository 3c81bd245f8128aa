import { assert } from '../../base/assert.js'
import type { RangeId, ReplicaId } from '../../base/ids.js'
import type { Entry } from '../../raft/types.js'
import type { Checkpoint, LogItem } from '../types.js'
import { packCheckpoint } from './bodies.js'
import type { LogContents } from './ranges.js'
import {
  checkpointRecord,
  entryRecord,
  hardStateRecord,
  type LogRecord,
  nodeRecord,
  tombstoneRecord,
} from './records.js'

/** Where a range's log ends, with what the batch says so far. */
interface End {
  last: number
  truncated: number
  /** Of entries in this batch. */
  readonly terms: Map<number, number>
}

/**
 * Checks a batch against what the log holds before it is written, and makes its records: entries follow what is there, no
 * truncation point goes back, no replica comes back from the dead.
 */
export function admit(items: readonly LogItem[], contents: LogContents): LogRecord[] {
  const admission = new Admission(contents)
  for (const item of items) admission.take(item)
  return admission.records
}

class Admission {
  readonly records: LogRecord[] = []
  readonly #contents: LogContents
  readonly #ends = new Map<RangeId, End>()
  readonly #tombstones = new Map<RangeId, ReplicaId>()

  constructor(contents: LogContents) {
    this.#contents = contents
  }

  take(item: LogItem): void {
    switch (item.kind) {
      case 'entries':
        for (const entry of item.entries) this.#entry(item.range, entry)
        return
      case 'hardState':
        this.records.push(hardStateRecord(item.range, item.hardState))
        return
      case 'checkpoint':
        return this.#checkpoint(item.range, item.checkpoint)
      case 'tombstone':
        return this.#tombstone(item.range, item.lowest)
      case 'repair':
        return this.#repair(item.range, item.entry)
      case 'node':
        this.records.push(nodeRecord(item))
    }
  }

  #entry(range: RangeId, entry: Entry): void {
    const end = this.#end(range)
    assert(entry.index > end.truncated, 'an entry at or below the truncation point', range, entry.index, end.truncated)
    assert(entry.index <= end.last + 1, 'a gap in the log of a range', range, end.last, entry.index)
    end.last = entry.index
    end.terms.set(entry.index, entry.term)
    this.records.push(entryRecord('entry', range, entry))
  }

  #checkpoint(range: RangeId, checkpoint: Checkpoint): void {
    const { truncated, replica } = checkpoint
    const end = this.#end(range)
    assert(truncated.index >= end.truncated, 'a truncation point went back', range, end.truncated, truncated.index)
    const lowest = this.#tombstones.get(range) ?? this.#contents.tombstones.get(range) ?? 0
    assert(replica >= lowest, 'a replica below its tombstone', range, replica, lowest)
    const holds = truncated.index <= end.last && this.#term(range, end, truncated.index) === truncated.term
    if (!holds) end.last = truncated.index
    end.truncated = truncated.index
    end.terms.set(truncated.index, truncated.term)
    this.records.push(checkpointRecord(range, { truncated, last: end.last, body: packCheckpoint(checkpoint) }))
  }

  #tombstone(range: RangeId, lowest: ReplicaId): void {
    const before = this.#tombstones.get(range) ?? this.#contents.tombstones.get(range) ?? 0
    assert(lowest >= before, 'a tombstone went back', range, before, lowest)
    this.#tombstones.set(range, lowest)
    this.#ends.set(range, { last: 0, truncated: 0, terms: new Map([[0, 0]]) })
    this.records.push(tombstoneRecord(range, lowest, 'drop'))
  }

  /** While it waited behind another batch, the entry may have been replaced, or cut by a snapshot: then nothing is left to repair. */
  #repair(range: RangeId, entry: Entry): void {
    const place = this.#contents.place(range, entry.index)
    if (place?.term !== entry.term) return
    const isSame = place.length === entry.payload.length
    assert(isSame, 'a repair of an entry with other bytes', range, entry.index, entry.term)
    this.records.push(entryRecord('repair', range, entry))
  }

  #term(range: RangeId, end: End, index: number): number | null {
    return end.terms.get(index) ?? this.#contents.term(range, index)
  }

  #end(range: RangeId): End {
    let end = this.#ends.get(range)
    if (end === undefined) {
      const log = this.#contents.range(range)
      end = { last: log?.last ?? 0, truncated: log?.truncated.index ?? 0, terms: new Map() }
      this.#ends.set(range, end)
    }
    return end
  }
}
