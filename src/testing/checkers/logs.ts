import { crc32 } from 'node:zlib'
import type { LogIndex, NodeId, RangeId, Term } from '../../base/ids.js'
import type { Entry } from '../../raft/types.js'
import type { LogItem, NodeLog, RecoveredRange } from '../../storage/types.js'
import type { Violations } from './violations.js'

/** What one node's disk holds of one range's log, as far as it was told to write. */
interface Copy {
  /** Term by index; what was truncated stays known. */
  readonly terms: Term[]
  /** How much of it has been synced. */
  syncedLast: LogIndex
}

/**
 * Log matching (thesis 3.2): an entry is named by (index, term), and everything before it goes by that name too. So each
 * entry, with the term before it, must be the same wherever it is written. And what was synced is there after a crash.
 */
export class LogChecker {
  readonly #violations: Violations
  /** Per range: name of an entry to a fingerprint of it and of the term before it. */
  readonly #entries = new Map<RangeId, Map<number, number>>()
  readonly #copies = new Map<NodeId, Map<RangeId, Copy>>()

  constructor(violations: Violations) {
    this.#violations = violations
  }

  /** The log is told to write `items`. Returns what to call once they are durable. */
  wrote(node: NodeId, items: readonly LogItem[]): () => void {
    const written: { copy: Copy; last: LogIndex }[] = []
    for (const item of items) {
      if (item.kind === 'tombstone') this.#copies.get(node)?.delete(item.range)
      if (item.kind === 'checkpoint') this.#truncated(this.#copy(node, item.range), item.checkpoint.truncated)
      if (item.kind !== 'entries' || item.entries.length === 0) continue
      const copy = this.#copy(node, item.range)
      for (const entry of item.entries) this.#entry(node, item.range, copy, entry)
      written.push({ copy, last: item.entries.at(-1)!.index })
    }
    return () => {
      // What was replaced while the sync ran counts no more.
      for (const { copy, last } of written) copy.syncedLast = Math.min(last, copy.terms.length - 1) as LogIndex
    }
  }

  /** A snapshot was installed where the log has not got this very entry: it goes on behind it. */
  #truncated(copy: Copy, { index, term }: { index: LogIndex; term: Term }): void {
    if (index === 0 || copy.terms[index] === term) return
    copy.terms.length = index
    copy.terms[index] = term
    copy.syncedLast = Math.min(copy.syncedLast, index - 1) as LogIndex
  }

  /** The node's disk is gone. */
  forget(node: NodeId): void {
    this.#copies.delete(node)
  }

  /** The node has opened its log again, after a crash or not. */
  reopened(node: NodeId, log: NodeLog): void {
    const before = this.#copies.get(node)
    this.#copies.delete(node)
    for (const [range, recovered] of log.recovered) this.#recovered({ node, range, recovered, log })
    for (const [range, { terms, syncedLast }] of before ?? []) {
      // It knows that it may have lost some: it never speaks under that replica id again.
      if (log.recovered.get(range)?.forgot === true) continue
      const after = this.#copy(node, range)
      for (let index = 1; index <= syncedLast; index++) {
        // Below its truncation point nobody asks any more.
        if (after.terms[index] === undefined && index <= (log.recovered.get(range)?.checkpoint?.truncated.index ?? 0))
          continue
        const same = after.terms[index] === terms[index]
        const message = () =>
          `node ${node} lost synced entry ${index} of range ${range}: term ${terms[index]}, now ${after.terms[index]}`
        if (!this.#violations.require(same, message)) return
      }
    }
  }

  #recovered({
    node,
    range,
    recovered,
    log,
  }: {
    node: NodeId
    range: RangeId
    recovered: RecoveredRange
    log: NodeLog
  }): void {
    const copy = this.#copy(node, range)
    const truncated = recovered.checkpoint?.truncated
    if (truncated !== undefined) copy.terms[truncated.index] = truncated.term
    const reader = log.reader(range)
    for (let index = (truncated?.index ?? 0) + 1; index <= recovered.lastIndex; index++) {
      copy.terms[index] = reader.term(index as LogIndex)
    }
    copy.syncedLast = recovered.lastIndex
  }

  #entry(node: NodeId, range: RangeId, copy: Copy, entry: Entry): void {
    const { index, term } = entry
    const { terms } = copy
    const previous = index === 1 ? 0 : (terms[index - 1] ?? -1)
    this.#violations.require(previous >= 0, () => `node ${node} wrote entry ${index} of range ${range} after a gap`)
    terms.length = index
    terms[index] = term
    copy.syncedLast = Math.min(copy.syncedLast, index - 1) as LogIndex
    const entries = this.#entriesOf(range)
    const name = index * 2 ** 20 + term
    const fingerprint = crc32(`${previous}/${entry.timestamp}/${entry.kind}`, crc32(entry.payload))
    const known = entries.get(name)
    if (known === undefined) entries.set(name, fingerprint)
    else {
      const message = () =>
        `node ${node} wrote another entry ${index} of term ${term} in range ${range} than others did`
      this.#violations.require(known === fingerprint, message)
    }
  }

  #entriesOf(range: RangeId): Map<number, number> {
    let entries = this.#entries.get(range)
    if (entries === undefined) {
      entries = new Map()
      this.#entries.set(range, entries)
    }
    return entries
  }

  #copy(node: NodeId, range: RangeId): Copy {
    let ranges = this.#copies.get(node)
    if (ranges === undefined) {
      ranges = new Map()
      this.#copies.set(node, ranges)
    }
    let copy = ranges.get(range)
    if (copy === undefined) {
      copy = { terms: [], syncedLast: 0 as LogIndex }
      ranges.set(range, copy)
    }
    return copy
  }
}
