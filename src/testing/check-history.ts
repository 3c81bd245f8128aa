import { type CheckOptions, checkLinearizability, type Operation, type Verdict } from './linearizability.js'

/** What a history must have in it, so that its being legal says something. */
export interface HistoryDemands extends CheckOptions {
  /** Operations that succeeded. Default 1. */
  readonly okMin?: number
  /** At least so many keys with at least so many operations that succeeded on each. Default: one key, one operation. */
  readonly busyKeysMin?: { readonly keys: number; readonly ok: number }
  /** Share of reads among the operations that succeeded, 0 to 1. Default 0.1. */
  readonly readShareMin?: number
  /** Share of the reads that found a value, 0 to 1. Default 0.1. */
  readonly foundShareMin?: number
  /** Share of the writes whose outcome is unknown, 0 to 1. Default 0. */
  readonly unknownShareMin?: number
}

/** Why a history proves too little, or nothing. */
export type HistoryLack =
  | 'TOO_FEW_OK'
  | 'TOO_FEW_BUSY_KEYS'
  | 'TOO_FEW_READS'
  | 'READS_SAW_NOTHING'
  | 'TOO_FEW_UNKNOWN'
  /** One client did two things at once, or went on under its name after an operation whose outcome it does not know. */
  | 'CLIENT_OVERLAPS'
  /** Two writes of one value to one key: a read of it would not say which it saw. */
  | 'VALUES_NOT_UNIQUE'

export type HistoryVerdict =
  | Verdict
  /** Not looked at further: `why` tells people what is short. */
  | { readonly kind: 'refused'; readonly lack: HistoryLack; readonly why: string }

/**
 * `checkLinearizability`, but a history that proves too little is refused by name: a run in which nothing succeeded is legal, too.
 * Operations of one client that begin at the same moment are one call that names several keys.
 */
export function checkHistory(operations: readonly Operation[], demands: HistoryDemands = {}): HistoryVerdict {
  return lackOfHistory(operations, demands) ?? checkLinearizability(operations, demands)
}

/** What `checkHistory` would refuse this history for; null: nothing. */
export function lackOfHistory(
  operations: readonly Operation[],
  demands: HistoryDemands = {},
): (HistoryVerdict & { readonly kind: 'refused' }) | null {
  return malformed(operations) ?? tooLittle(operations, demands)
}

function refused(lack: HistoryLack, why: string): HistoryVerdict & { readonly kind: 'refused' } {
  return { kind: 'refused', lack, why }
}

function malformed(operations: readonly Operation[]): ReturnType<typeof lackOfHistory> {
  const overlap = overlapOf(operations)
  if (overlap !== null) return refused('CLIENT_OVERLAPS', overlap)
  const written = new Set<string>()
  for (const operation of operations) {
    if (operation.op !== 'put' && operation.op !== 'cas') continue
    const name = JSON.stringify([operation.key, operation.value])
    if (written.has(name)) {
      return refused('VALUES_NOT_UNIQUE', `'${operation.value}' was written to ${operation.key} more than once`)
    }
    written.add(name)
  }
  return null
}

function overlapOf(operations: readonly Operation[]): string | null {
  const latest = new Map<string | number, { readonly invoke: number; end: number }>()
  for (const { client, invoke, complete, status, op, key } of [...operations].sort((a, b) => a.invoke - b.invoke)) {
    const end = status === 'info' && op !== 'get' ? Number.POSITIVE_INFINITY : complete
    const before = latest.get(client)
    if (before === undefined || (invoke >= before.end && invoke !== before.invoke)) latest.set(client, { invoke, end })
    else if (invoke === before.invoke) before.end = Math.max(before.end, end)
    else
      return `client ${client} began its ${op} of ${key} at ${invoke}, when its operation of ${before.invoke} had not ended`
  }
  return null
}

function tooLittle(operations: readonly Operation[], demands: HistoryDemands): ReturnType<typeof lackOfHistory> {
  const { okMin = 1, busyKeysMin = { keys: 1, ok: 1 } } = demands
  const { readShareMin = 0.1, foundShareMin = 0.1, unknownShareMin = 0 } = demands
  const ok = operations.filter(({ status }) => status === 'ok')
  if (ok.length < okMin) return refused('TOO_FEW_OK', `${ok.length} operations succeeded, of ${okMin}`)
  const perKey = new Map<string, number>()
  for (const { key } of ok) perKey.set(key, (perKey.get(key) ?? 0) + 1)
  const busy = [...perKey.values()].filter((count) => count >= busyKeysMin.ok).length
  if (busy < busyKeysMin.keys) {
    const wanted = `of ${busyKeysMin.keys} keys with ${busyKeysMin.ok} operations that succeeded`
    return refused('TOO_FEW_BUSY_KEYS', `${busy} ${wanted}`)
  }
  const reads = ok.filter(({ op }) => op === 'get')
  if (reads.length === 0 || reads.length < readShareMin * ok.length) {
    return refused('TOO_FEW_READS', `${reads.length} reads among ${ok.length} operations`)
  }
  const found = reads.filter((read) => read.op === 'get' && read.result !== null)
  if (found.length < Math.max(1, foundShareMin * reads.length)) {
    return refused('READS_SAW_NOTHING', `${found.length} of ${reads.length} reads found a value`)
  }
  const writes = operations.filter(({ op, status }) => op !== 'get' && status !== 'fail')
  const unknown = writes.filter(({ status }) => status === 'info')
  if (unknown.length < unknownShareMin * writes.length) {
    return refused('TOO_FEW_UNKNOWN', `${unknown.length} of ${writes.length} writes of unknown outcome`)
  }
  return null
}
