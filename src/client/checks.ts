import { HoldfastError } from '../base/errors.js'
import type { Key } from '../base/ids.js'
import { limits } from '../base/limits.js'
import type { Condition, Write } from '../kv/types.js'
import type { PageAsked } from './call.js'
import { storedKeyToJson } from './key-json.js'

/** What would be refused anyway is refused here, by name, before it takes anybody's time. */

const KEYS_PER_GET_MAX = 100_000

export function refusedGet(keys: readonly Key[]): HoldfastError | null {
  if (keys.length > KEYS_PER_GET_MAX) return tooLarge('the number of keys of one call', keys.length, KEYS_PER_GET_MAX)
  return null
}

export function refusedPage(page: PageAsked): HoldfastError | null {
  const { bytesMax, end, limit, start } = page
  if (end !== null && start >= end) {
    return invalid(`the span is upside down or empty: it starts at ${show(start)} and ends at ${show(end)}`)
  }
  if (!isCount(limit) || limit > limits.scanRowsMax) {
    return invalid(`limit is ${limit}; expected an integer from 1 to ${limits.scanRowsMax}`)
  }
  if (isCount(bytesMax) && bytesMax <= limits.scanBytesMax) return null
  return invalid(`bytesMax is ${bytesMax}; expected an integer from 1 to ${limits.scanBytesMax}`)
}

export function refusedWrite(write: {
  readonly conditions: readonly Condition[]
  readonly writes: readonly Write[]
}): HoldfastError | null {
  const { conditions, writes } = write
  const count = writes.length + conditions.length
  if (count === 0) return invalid('the batch is empty')
  if (count > limits.batchOperationsMax) return tooLarge('the number of operations', count, limits.batchOperationsMax)
  let bytes = 0
  for (const operation of writes) {
    const size = operation.kind === 'put' ? operation.value.length : 0
    if (size > limits.valueBytesMax) return tooLarge(`the value of ${show(operation.key)}`, size, limits.valueBytesMax)
    bytes += operation.key.length + size
  }
  for (const condition of conditions) {
    const size = condition.kind === 'value' ? condition.value.length : 0
    if (size > limits.valueBytesMax)
      return tooLarge(`the value expected of ${show(condition.key)}`, size, limits.valueBytesMax)
    bytes += condition.key.length + size
  }
  if (bytes > limits.batchBytesMax) return tooLarge('the batch', bytes, limits.batchBytesMax)
  return writes.length > 1 ? twiceWritten(writes) : null
}

function twiceWritten(writes: readonly Write[]): HoldfastError | null {
  const seen = new Set<Key>()
  for (const { key } of writes) {
    if (seen.has(key)) return invalid(`the key ${show(key)} is written twice in one batch`)
    seen.add(key)
  }
  return null
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0
}

function show(key: Key): string {
  return JSON.stringify(storedKeyToJson(key))
}

function invalid(message: string): HoldfastError {
  return new HoldfastError('INVALID_ARGUMENT', message)
}

function tooLarge(what: string, size: number, max: number): HoldfastError {
  return new HoldfastError('TOO_LARGE', `${what} is ${size}; expected at most ${max}`)
}
