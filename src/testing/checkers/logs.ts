import { crc32 } from 'node:zlib'
import type { LogIndex, NodeId, RangeId, ReplicaId, Term } from '../../base/ids.js'
import type { Entry } from '../../raft/types.js'
import type { Checkpoint, LogItem, NodeLog, RecoveredRange } from '../../storage/types.js'
import type { Violations } from './violations.js'

/** What one node's disk holds of one range's log, as far as it was told to write. */
interface Copy {
  /** Term by index; what was truncated stays known. */
  readonly terms: Term[]
  /** How much of it has been synced. */
  syncedLast: LogIndex
  /** The log begins behind it, durably: what lies at or below it is in a state that was made durable before. */
  base: LogIndex
  /** The newest durable checkpoint. */
  checkpoint: Checkpoint | null
}

interface Place {
  readonly index: LogIndex
  readonly term: Term
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
  /** What nodes held durably before they forgot it: a disk that was rolled back and then given up has forgotten twice. */
  readonly #forgotten = new Map<NodeId, Map<RangeId, Copy[]>>()
  readonly #lowest = new Map<NodeId, Map<RangeId, ReplicaId>>()
  /** Of these, what was durable. */
  readonly #buriedFor = new Map<NodeId, Map<RangeId, ReplicaId>>()
  readonly #committed: (range: RangeId, index: LogIndex) => Term | null
  readonly #onBuried: (node: NodeId, range: RangeId, lowest: ReplicaId) => void

  /**
   * `committed`: term of the entry that is known to be committed at this place; null: none is yet. `onBuried`: a node lets go of a range
   * whose log names a state of its own. Until then a child's state is made by replaying the split on its parent's: where that one is
   * lost or damaged, the child's log is of no use (seeds/child-of-lost-parent.json).
   */
  constructor(
    violations: Violations,
    committed: (range: RangeId, index: LogIndex) => Term | null = () => null,
    onBuried: (node: NodeId, range: RangeId, lowest: ReplicaId) => void = () => {},
  ) {
    this.#violations = violations
    this.#committed = committed
    this.#onBuried = onBuried
  }

  /** Whether the node's disk durably holds this entry, or a state that it is part of. */
  holds(node: NodeId, range: RangeId, place: Place): boolean {
    return isHeld(this.#copies.get(node)?.get(range), place)
  }

  /** As `holds`, or it did before it forgot it. */
  held(node: NodeId, range: RangeId, place: Place): boolean {
    const forgotten = this.#forgotten.get(node)?.get(range) ?? []
    return this.holds(node, range, place) || forgotten.some((copy) => isHeld(copy, place))
  }

  /** Lower replica ids of the range are out on this node. */
  lowest(node: NodeId, range: RangeId): ReplicaId {
    return this.#lowest.get(node)?.get(range) ?? (0 as ReplicaId)
  }

  /** The log is told to write `items`. Returns what to call once they are durable. */
  wrote(node: NodeId, items: readonly LogItem[]): () => void {
    const written: { copy: Copy; last: LogIndex }[] = []
    const checkpoints: { copy: Copy; checkpoint: Checkpoint }[] = []
    const tombstones = items.filter((item) => item.kind === 'tombstone')
    for (const tombstone of tombstones) this.#buried(node, tombstone)
    for (const item of items) {
      if (item.kind === 'checkpoint') {
        const { range, checkpoint } = item
        const copy = this.#copy(node, range)
        this.#truncated(copy, checkpoint.truncated)
        checkpoints.push({ copy, checkpoint })
      }
      if (item.kind !== 'entries' || item.entries.length === 0) continue
      const copy = this.#copy(node, item.range)
      for (const entry of item.entries) this.#entry(node, item.range, copy, entry)
      written.push({ copy, last: item.entries.at(-1)!.index })
    }
    return () => {
      for (const { range, lowest } of tombstones) ofNode(this.#buriedFor, node).set(range, lowest)
      for (const { copy, checkpoint } of checkpoints) {
        copy.checkpoint = checkpoint
        copy.base = checkpoint.truncated.index
        copy.syncedLast = Math.max(copy.syncedLast, copy.base) as LogIndex
      }
      // What was replaced while the sync ran counts no more.
      for (const { copy, last } of written) copy.syncedLast = Math.min(last, copy.terms.length - 1) as LogIndex
    }
  }

  #buried(node: NodeId, { range, lowest }: { range: RangeId; lowest: ReplicaId }): void {
    const state = this.#copies.get(node)?.get(range)?.checkpoint
    if (state != null && state.storages.length > 0) this.#onBuried(node, range, lowest)
    this.#copies.get(node)?.delete(range)
    ofNode(this.#lowest, node).set(range, lowest)
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
    for (const [range, copy] of this.#copies.get(node) ?? []) this.#forgot(node, range, copy)
    this.#copies.delete(node)
    this.#lowest.delete(node)
    this.#buriedFor.delete(node)
  }

  #forgot(node: NodeId, range: RangeId, copy: Copy): void {
    const ranges = ofNode(this.#forgotten, node)
    ranges.set(range, [...(ranges.get(range) ?? []), copy])
  }

  /** The node has opened its log again, after a crash or not. */
  reopened(node: NodeId, log: NodeLog): void {
    const before = this.#copies.get(node)
    this.#copies.delete(node)
    for (const [range, recovered] of log.recovered) this.#recovered({ node, range, recovered, log })
    this.#tombstonesAreBack(node, log)
    for (const [range, copy] of before ?? []) {
      const { terms, syncedLast } = copy
      const recovered = log.recovered.get(range)
      // It knows that it may have lost some: it never speaks under that replica id again.
      if (recovered?.forgot === true) {
        this.#forgot(node, range, copy)
        continue
      }
      this.#checkpointIsBack(node, range, copy.checkpoint, recovered?.checkpoint ?? null)
      const after = this.#copy(node, range)
      for (let index = 1; index <= syncedLast; index++) {
        // Below its truncation point nobody asks any more.
        if (after.terms[index] === undefined && index <= after.base) continue
        const same = after.terms[index] === terms[index]
        const message = () =>
          `node ${node} lost synced entry ${index} of range ${range}: term ${terms[index]}, now ${after.terms[index]}`
        if (!this.#violations.require(same, message)) return
      }
    }
  }

  /** Ids that were out are out for ever. */
  #tombstonesAreBack(node: NodeId, log: NodeLog): void {
    for (const [range, lowest] of this.#buriedFor.get(node) ?? []) {
      const now = log.tombstones.get(range) ?? 0
      this.#violations.require(
        now >= lowest,
        () => `node ${node} knows replica ids of range ${range} to be out below ${now}; it had made ${lowest} durable`,
      )
    }
  }

  /** What was applied when the last checkpoint became durable is applied at the next start. */
  #checkpointIsBack(node: NodeId, range: RangeId, before: Checkpoint | null, now: Checkpoint | null): void {
    if (before === null || (now !== null && now.replica !== before.replica)) return
    const applied = now?.applied.index ?? 0
    this.#violations.require(
      applied >= before.applied.index,
      () => `node ${node} begins range ${range} at entry ${applied}; it had made ${before.applied.index} durable`,
    )
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
    if (truncated !== undefined) {
      copy.terms[truncated.index] = truncated.term
      copy.base = truncated.index
    }
    copy.checkpoint = recovered.checkpoint
    // Entries may be missing in its middle.
    if (recovered.forgot) return
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
    this.#drops({ node, range, copy, index, term })
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

  /** Writing an entry drops what stood there and behind: nothing of that may be committed. */
  #drops({ node, range, copy, index, term }: { node: NodeId; range: RangeId; copy: Copy } & Place): void {
    const { terms } = copy
    for (let at = index as number; at < terms.length; at++) {
      const dropped = terms[at]
      if (dropped === undefined || (at === index && dropped === term)) continue
      this.#violations.require(
        this.#committed(range, at as LogIndex) !== dropped,
        () => `node ${node} replaced entry ${at} of term ${dropped} of range ${range}, which is committed`,
      )
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
    const ranges = ofNode(this.#copies, node)
    let copy = ranges.get(range)
    if (copy === undefined) {
      copy = { terms: [], syncedLast: 0 as LogIndex, base: 0 as LogIndex, checkpoint: null }
      ranges.set(range, copy)
    }
    return copy
  }
}

function ofNode<T>(nodes: Map<NodeId, Map<RangeId, T>>, node: NodeId): Map<RangeId, T> {
  let ranges = nodes.get(node)
  if (ranges === undefined) {
    ranges = new Map()
    nodes.set(node, ranges)
  }
  return ranges
}

function isHeld(copy: Copy | undefined, { index, term }: Place): boolean {
  if (copy === undefined) return false
  return index <= copy.base || (index <= copy.syncedLast && copy.terms[index] === term)
}
