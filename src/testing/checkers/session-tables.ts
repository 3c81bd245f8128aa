import type { LogIndex, NodeId, RangeId, SessionId, Version } from '../../base/ids.js'
import type { SessionTable } from '../../kv/sessions.js'
import type { AppliedEntry } from '../../kv/types.js'
import type { Violations } from './violations.js'

/** A request that a range, or one that it was cut from, executed. */
interface Executed {
  /** In the range itself; 0: in one that it was cut from. */
  readonly index: LogIndex
  readonly session: SessionId
  readonly sequence: number
  readonly lowest: number
  readonly version: Version
}

/** What is looked at of a replica. */
interface Remembering {
  readonly range: RangeId
  readonly applied: LogIndex
  readonly incarnation: number
  readonly machine: { readonly sessions: Pick<SessionTable, 'image' | 'floor'> }
}

/**
 * A replica remembers every request that its range executed and that may still come again: all down to the session's lowest, as
 * far as they are not older than the floor; whether it got there by applying, replaying, a snapshot or a split.
 */
export class SessionTableChecker {
  readonly #violations: Violations
  readonly #executed = new Map<RangeId, Executed[]>()
  /** Tables that were looked at since they were made. */
  readonly #looked = new Set<string>()

  constructor(violations: Violations) {
    this.#violations = violations
  }

  /** The entry was applied for the first time. */
  applied({ range, index }: { range: RangeId; index: LogIndex }, { journal, split }: AppliedEntry): void {
    const executed = this.#executed.get(range) ?? []
    this.#executed.set(range, executed)
    for (const { origin, outcome } of journal?.outcomes ?? []) {
      const { session, sequence, lowest } = origin
      // What was refused is in no journal.
      if ('version' in outcome) executed.push({ index, session, sequence, lowest, version: outcome.version })
    }
    if (split === null) return
    const child = split.bookkeeping.descriptor.range
    const inherited = executed.map((each) => ({ ...each, index: 0 as LogIndex }))
    if (!this.#executed.has(child)) this.#executed.set(child, inherited)
  }

  /** The node's tables are made anew. */
  restarted(node: NodeId): void {
    for (const table of [...this.#looked]) if (table.startsWith(`${node}/`)) this.#looked.delete(table)
  }

  /** Looks at the table of a replica that has just applied its first entry on top of it. */
  maybeLook(node: NodeId, replica: Remembering): void {
    const table = `${node}/${replica.range}/${replica.incarnation}`
    if (this.#looked.has(table)) return
    this.#looked.add(table)
    this.look(node, replica)
  }

  look(node: NodeId, { range, applied, machine }: Remembering): void {
    const { sessions } = machine
    const expected = this.#expected(range, applied, sessions.floor)
    const held = new Map(sessions.image().map(({ session, lowest, outcomes }) => [session, { lowest, outcomes }]))
    for (const session of new Set([...expected.keys(), ...held.keys()])) {
      const should = describe(expected.get(session))
      const does = describe(held.get(session))
      this.#violations.require(
        should === does,
        () =>
          `node ${node} at entry ${applied} of range ${range} remembers ${does} of session ${session}, not ${should}`,
      )
    }
  }

  #expected(range: RangeId, upTo: LogIndex, floor: Version): Map<SessionId, { lowest: number; outcomes: Executed[] }> {
    const expected = new Map<SessionId, { lowest: number; outcomes: Executed[] }>()
    for (const executed of this.#executed.get(range) ?? []) {
      if (executed.index > upTo || executed.version < floor) continue
      const { session, lowest } = executed
      const known = expected.get(session) ?? { lowest: 0, outcomes: [] }
      known.lowest = Math.max(known.lowest, lowest)
      known.outcomes.push(executed)
      expected.set(session, known)
    }
    for (const each of expected.values()) {
      each.outcomes = each.outcomes.filter(({ sequence }) => sequence >= each.lowest)
    }
    return expected
  }
}

function describe(table: { lowest: number; outcomes: readonly { sequence: number }[] } | undefined): string {
  if (table === undefined) return 'nothing'
  const sequences = table.outcomes.map(({ sequence }) => sequence).sort((a, b) => a - b)
  return `${sequences.join(', ')} from ${table.lowest} on`
}
