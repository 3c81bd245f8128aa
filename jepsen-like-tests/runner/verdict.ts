import { checkLinearizability, describeOperations, type Operation } from '../../src/testing/index.js'
import type { Finding } from '../workloads/types.js'

const KEYS_SHOWN_MAX = 5
/** Per key; a history that needs more is undecided. */
const STEPS_MAX = 5_000_000

export interface Judgement {
  readonly findings: readonly Finding[]
  /** Keys whose history was too hard to judge. */
  readonly undecided: readonly string[]
}

/** Is there an order of all operations on each key that every client could have seen? */
export function judge(history: readonly Operation[]): Judgement {
  const places = new Map(history.map((operation, at) => [nameOf(operation), at]))
  const findings: Finding[] = []
  const undecided: string[] = []
  for (const [key, operations] of byKey(history)) {
    const verdict = checkLinearizability(operations, { stepsMax: STEPS_MAX })
    if (verdict.kind === 'undecided') undecided.push(key)
    if (verdict.kind !== 'illegal') continue
    const shown = findings.length < KEYS_SHOWN_MAX ? `; no order explains:\n${describeOperations(verdict.piece)}` : ''
    findings.push({
      what: `${key} is not linearizable${shown}`,
      operations: verdict.piece.map((operation) => places.get(nameOf(operation))!),
    })
  }
  return { findings, undecided }
}

/** Operations that begin at the same moment are those of one call, on different keys. */
function nameOf({ invoke, client, key }: Operation): string {
  return `${invoke} ${client} ${key}`
}

function byKey(history: readonly Operation[]): Map<string, Operation[]> {
  const keys = new Map<string, Operation[]>()
  for (const operation of history) {
    const operations = keys.get(operation.key)
    if (operations === undefined) keys.set(operation.key, [operation])
    else operations.push(operation)
  }
  return keys
}
