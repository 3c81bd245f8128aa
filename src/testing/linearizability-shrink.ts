import type { Operation } from './linearizability.js'
import { checkKey, type History } from './linearizability-search.js'

const CHECKS_MAX = 3_000

/** A small part of an illegal history of one key that is illegal by itself. */
export function smallestIllegalPiece(history: History, stepsMax: number): readonly Operation[] {
  let checksLeft = CHECKS_MAX
  const isIllegal = (piece: History) => checksLeft-- > 0 && checkKey(piece, stepsMax) === 'illegal'
  let piece = weaken(shortestIllegalPrefix(history, isIllegal), isIllegal)
  for (let size = piece.length >> 1; size >= 1; ) {
    const before = piece.length
    piece = dropPieces(piece, size, isIllegal)
    // Single ones again and again: a read that went may have been what kept a write.
    if (size > 1 || piece.length === before) size >>= 1
  }
  // As they were: what they say in full only excludes more orders.
  return piece.map((operation) => originals.get(operation) ?? operation)
}

const originals = new WeakMap<Operation, Operation>()

/** Forgets what deletes and conditional writes say of the value before them, where it is illegal without: it ties them together. */
function weaken(history: History, isIllegal: (piece: History) => boolean): History {
  const all = history.map(weakened)
  if (isIllegal(all)) return all
  let piece = history
  for (let at = 0; at < history.length; at++) {
    if (all[at] === history[at]) continue
    const weaker = piece.with(at, all[at]!)
    if (isIllegal(weaker)) piece = weaker
  }
  return piece
}

function weakened(operation: Operation): Operation {
  const weaker = withoutBefore(operation)
  if (weaker !== operation) originals.set(weaker, operation)
  return weaker
}

function withoutBefore(operation: Operation): Operation {
  if (operation.status !== 'ok') return operation
  const { client, key, invoke, complete, status } = operation
  const timed = { client, key, invoke, complete, status }
  if (operation.op === 'delete' && operation.result !== undefined) return { ...timed, op: 'delete' }
  if (operation.op === 'cas' && operation.result) return { ...timed, op: 'put', value: operation.value }
  return operation
}

function dropPieces(history: History, size: number, isIllegal: (piece: History) => boolean): History {
  let piece = history
  for (let from = piece.length - size; from > -size; from -= size) {
    const rest = piece.filter((_, at) => at < from || at >= from + size)
    const dropped = piece.slice(Math.max(from, 0), from + size)
    if (mayDrop(dropped, rest) && isIllegal(rest)) piece = rest
  }
  return piece
}

/** What had been seen when it first became inexplicable: later returns are not known yet. */
function shortestIllegalPrefix(history: History, isIllegal: (piece: History) => boolean): History {
  const ends = history.filter((operation) => operation.status === 'ok').map((operation) => operation.complete)
  ends.sort((a, b) => a - b)
  let low = 0
  let high = ends.length - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if (isIllegal(prefix(history, ends[middle]!))) high = middle
    else low = middle + 1
  }
  return prefix(history, ends[low]!)
}

function prefix(history: History, end: number): Operation[] {
  return history
    .filter((operation) => operation.invoke <= end && operation.status !== 'fail')
    .map((operation) => (operation.complete > end ? { ...operation, status: 'info' as const } : operation))
    .filter((operation) => operation.status === 'ok' || operation.op !== 'get')
}

/**
 * Without `dropped` a legal history stays legal if nothing that remains saw a value that `dropped` wrote. So what is
 * illegal without it was illegal with it, and the piece proves something.
 */
function mayDrop(dropped: History, rest: History): boolean {
  const written = new Set(dropped.map(writtenBy).filter((value) => value !== undefined))
  if (written.size === 0) return true
  return rest.every((operation) => {
    const seen = seenBy(operation)
    return seen !== 'anything' && (seen === undefined || !written.has(seen))
  })
}

/** undefined: it writes nothing. */
function writtenBy(operation: Operation): string | null | undefined {
  if (operation.op === 'get') return undefined
  const changedNothing = operation.op !== 'put' && operation.status === 'ok' && operation.result === false
  if (changedNothing) return undefined
  return operation.op === 'delete' ? null : operation.value
}

/** undefined: it saw nothing. 'anything': it saw that some value was not there. */
function seenBy(operation: Operation): string | null | undefined | 'anything' {
  switch (operation.op) {
    case 'put':
      return undefined
    case 'get':
      return operation.result
    case 'delete':
      if (operation.status === 'info' || operation.result === undefined) return undefined
      return operation.result ? 'anything' : null
    case 'cas':
      if (operation.status === 'info' || operation.result) return operation.expect
      return operation.found === undefined ? 'anything' : operation.found
  }
}
