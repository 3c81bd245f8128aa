import { assert } from '../base/assert.js'
import { checkKey } from './linearizability-search.js'
import { smallestIllegalPiece } from './linearizability-shrink.js'

/** What one client did to one key. `invoke` and `complete` are places on one real-time line; where two are equal, the operations overlap. */
interface Timed {
  readonly client: string | number
  readonly key: string
  readonly invoke: number
  /** Ignored for 'info': such an operation may take effect at any later time, or never. */
  readonly complete: number
  /** 'fail': certainly not applied, says nothing else. 'info': outcome unknown. */
  readonly status: 'ok' | 'fail' | 'info'
}

export interface PutOperation extends Timed {
  readonly op: 'put'
  readonly value: string
}

export interface GetOperation extends Timed {
  readonly op: 'get'
  /** What it returned; null: absent. Looked at only if 'ok'. */
  readonly result: string | null
}

export interface DeleteOperation extends Timed {
  readonly op: 'delete'
  /** Whether something was there; undefined: not told. Looked at only if 'ok'. */
  readonly result?: boolean
}

/** Writes `value` if the key holds `expect` (null: absent). */
export interface CasOperation extends Timed {
  readonly op: 'cas'
  readonly expect: string | null
  readonly value: string
  /** false: the condition did not hold. Looked at only if 'ok'. */
  readonly result: boolean
  /** What was there instead, if the reply told it. */
  readonly found?: string | null
}

export type Operation = PutOperation | GetOperation | DeleteOperation | CasOperation

export type Verdict =
  | { readonly kind: 'legal' }
  /** `piece`: the smallest part of the key's history found that no order explains. */
  | { readonly kind: 'illegal'; readonly key: string; readonly piece: readonly Operation[] }
  /** The work bound was reached on these keys and no other key is illegal. */
  | { readonly kind: 'undecided'; readonly keys: readonly string[] }

export interface CheckOptions {
  /** Bound on the search steps per key. Default 20 million. */
  readonly stepsMax?: number
}

/**
 * Is there one order of all operations that every client could have seen (Herlihy and Wing 1990)? Keys are independent
 * (locality), so each is searched alone: Wing and Gong's search in Lowe's just-in-time form (2017) with memoisation.
 * Every key starts absent.
 */
export function checkLinearizability(operations: readonly Operation[], options: CheckOptions = {}): Verdict {
  const stepsMax = options.stepsMax ?? 20_000_000
  const undecided: string[] = []
  for (const [key, history] of byKey(operations)) {
    const result = checkKey(history, stepsMax)
    if (result === 'undecided') undecided.push(key)
    if (result === 'illegal') return { kind: 'illegal', key, piece: smallestIllegalPiece(history, stepsMax) }
  }
  return undecided.length > 0 ? { kind: 'undecided', keys: undecided } : { kind: 'legal' }
}

/** One line per operation, in order of invocation. */
export function describeOperations(operations: readonly Operation[]): string {
  return [...operations]
    .sort((a, b) => a.invoke - b.invoke)
    .map((operation) => `  ${describeOperation(operation)}`)
    .join('\n')
}

function describeOperation(operation: Operation): string {
  const end = operation.status === 'info' ? '…' : operation.complete
  return `[${operation.invoke} ${end}] client ${operation.client}: ${describeCall(operation)} ${operation.status}`
}

function describeCall(operation: Operation): string {
  switch (operation.op) {
    case 'put':
      return `put ${operation.key} = ${operation.value}`
    case 'get':
      return `get ${operation.key} -> ${operation.status === 'ok' ? operation.result : '?'}`
    case 'delete':
      return `delete ${operation.key} -> ${operation.status === 'ok' ? operation.result : '?'}`
    case 'cas': {
      const outcome = operation.status === 'ok' ? operation.result : '?'
      const found = operation.found === undefined ? '' : ` (found ${operation.found})`
      return `cas ${operation.key}: ${operation.expect} to ${operation.value} -> ${outcome}${found}`
    }
  }
}

function byKey(operations: readonly Operation[]): Map<string, Operation[]> {
  const keys = new Map<string, Operation[]>()
  for (const operation of operations) {
    assert(operation.status === 'info' || operation.invoke <= operation.complete, 'it ends after it began', operation)
    const history = keys.get(operation.key)
    if (history === undefined) keys.set(operation.key, [operation])
    else history.push(operation)
  }
  return keys
}
