import { HoldfastError } from '../base/errors.js'
import { limits } from '../base/limits.js'
import type { UnaryCondition, UnaryDelete, UnaryKey, UnaryOperation, UnaryPut, UnaryScan } from './unary.js'
import type { InitRequest } from './wire/unary-admin.js'

/** Keyspace and key together must fit limits.keyBytesMax; users see only their own part. */
const USER_KEY_BYTES_MAX = limits.keyBytesMax - 4
/** Of all together: the birth of a cluster names each twice, as an end and as a start, and must fit into a message. */
const CUT_BYTES_MAX = 2 * 1024 * 1024

/** Sizes and shape of unary calls. Each throws a HoldfastError that names the value and what was expected. */

export function checkKey({ key }: Pick<UnaryKey, 'key'>): void {
  if (key.length === 0) throw new HoldfastError('INVALID_ARGUMENT', 'the key is empty, expected at least one byte')
  checkSize('the key', key.length, USER_KEY_BYTES_MAX)
}

export function checkKeys({ keys }: { readonly keys: readonly Uint8Array[] }): void {
  checkCount('keys', keys.length)
  for (const key of keys) checkKey({ key })
}

export function checkPut(put: UnaryPut): void {
  checkKey(put)
  checkSize('the value', put.value.length, limits.valueBytesMax)
  checkCondition(put.condition)
}

export function checkDelete(request: UnaryDelete): void {
  checkKey(request)
  checkCondition(request.condition)
}

export function checkBatch({ operations }: { readonly operations: readonly UnaryOperation[] }): void {
  checkCount('operations', operations.length)
  let bytes = 0
  for (const operation of operations) {
    checkKey(operation)
    bytes += operation.key.length
    if (operation.kind === 'put') {
      checkSize('a value', operation.value.length, limits.valueBytesMax)
      bytes += operation.value.length
    } else if (operation.kind === 'check') bytes += checkCondition(operation.condition)
  }
  checkSize('the batch', bytes, limits.batchBytesMax)
}

export function checkScan(scan: UnaryScan): void {
  // A bound may lie right behind the longest key.
  checkSize('start', scan.start.length, USER_KEY_BYTES_MAX + 1)
  if (scan.end !== null) {
    checkSize('end', scan.end.length, USER_KEY_BYTES_MAX + 1)
    if (Buffer.compare(scan.start, scan.end) > 0) {
      const start = Buffer.from(scan.start.subarray(0, 32)).toString('hex')
      const end = Buffer.from(scan.end.subarray(0, 32)).toString('hex')
      throw new HoldfastError('INVALID_ARGUMENT', `the span is upside down: start 0x${start} lies behind end 0x${end}`)
    }
  }
  if (scan.limit > limits.scanRowsMax) {
    throw new HoldfastError('INVALID_ARGUMENT', `limit is ${scan.limit}, expected at most ${limits.scanRowsMax}`)
  }
}

export function checkInit({ replicas, splitAt }: InitRequest): void {
  if (replicas !== null && replicas < 1) {
    throw new HoldfastError('INVALID_ARGUMENT', `replicas is ${replicas}, expected 1 or more`)
  }
  if (splitAt.length > limits.batchOperationsMax) {
    throw new HoldfastError(
      'TOO_LARGE',
      `there are ${splitAt.length} cuts, expected at most ${limits.batchOperationsMax}`,
    )
  }
  for (const key of splitAt) checkSize('a cut', key.length, limits.keyBytesMax)
  const bytes = splitAt.reduce((sum, key) => sum + key.length, 0)
  checkSize('the sum of all cuts', bytes, CUT_BYTES_MAX)
}

function checkCondition(condition: UnaryCondition | null): number {
  if (condition === null || condition.kind !== 'value') return 0
  checkSize('the value of a condition', condition.value.length, limits.valueBytesMax)
  return condition.value.length
}

function checkCount(what: string, count: number): void {
  if (count === 0) throw new HoldfastError('INVALID_ARGUMENT', `there are no ${what}, expected 1 or more`)
  if (count > limits.batchOperationsMax) {
    throw new HoldfastError('TOO_LARGE', `there are ${count} ${what}, expected at most ${limits.batchOperationsMax}`)
  }
}

function checkSize(what: string, bytes: number, bytesMax: number): void {
  if (bytes > bytesMax) throw new HoldfastError('TOO_LARGE', `${what} has ${bytes} bytes, expected at most ${bytesMax}`)
}
