import { HoldfastError } from '../base/errors.js'
import type { Key } from '../base/ids.js'
import { limits } from '../base/limits.js'
import type { RangeRequest, Request } from '../kv/requests.js'
import type { Origin } from '../kv/types.js'

/** Stored keys begin with four bytes of keyspace. */
const KEYSPACE_BYTES = 4
/** Keyspaces below are the system's own: clients may read them, not write. */
const FIRST_CLIENT_KEYSPACE = 16

type Refusal = { readonly code: 'INVALID_ARGUMENT' | 'TOO_LARGE' | 'NOT_PERMITTED'; readonly message: string }

/** Checks sizes and shape of what a client sent; null: it may be used. Names the value and what was expected. */
export function checkRequest(request: Request): Refusal | null {
  try {
    refuseBad(request)
    return null
  } catch (error) {
    if (error instanceof HoldfastError) return { code: error.code as Refusal['code'], message: error.message }
    throw error
  }
}

function refuseBad(request: Request): void {
  if (request.deadlineMs > limits.deadlineMsMax) {
    invalid(`deadline is ${request.deadlineMs} ms, expected at most ${limits.deadlineMsMax}`)
  }
  if (request.kind === 'status') return
  if (request.kind === 'routes') {
    checkBound('from', request.from)
    if (request.limit < 1) invalid(`limit is ${request.limit}, expected 1 or more`)
    return
  }
  if (request.range < 1) invalid(`range is ${request.range}, expected 1 or more`)
  refuseBadRange(request)
}

function refuseBadRange(request: RangeRequest): void {
  switch (request.kind) {
    case 'get':
      if (request.keys.length === 0) invalid('a get names no keys, expected 1 or more')
      if (request.keys.length > limits.batchOperationsMax) {
        tooLarge(`a get has ${request.keys.length} keys, expected at most ${limits.batchOperationsMax}`)
      }
      for (const key of request.keys) checkKey(key)
      return
    case 'scan':
      checkBound('start', request.start)
      if (request.end !== null) checkBound('end', request.end)
      if (request.end !== null && request.start > request.end) {
        invalid(`the span is upside down: start ${shown(request.start)} lies behind end ${shown(request.end)}`)
      }
      if (request.limit < 1 || request.limit > limits.scanRowsMax) {
        invalid(`limit is ${request.limit} rows, expected 1 to ${limits.scanRowsMax}`)
      }
      if (request.bytesMax < 1 || request.bytesMax > limits.scanBytesMax) {
        invalid(`bytesMax is ${request.bytesMax}, expected 1 to ${limits.scanBytesMax}`)
      }
      return
    case 'split':
      checkKey(request.at)
      checkWritable(request.at)
      checkOrigin(request.origin)
      return
    case 'transfer':
      if (request.to < 1) invalid(`the node that is to lead is ${request.to}, expected 1 or more`)
      return
    case 'write':
      checkOrigin(request.origin)
      return checkWrite(request)
  }
}

function checkWrite({ conditions, writes }: Extract<Request, { kind: 'write' }>): void {
  const operations = conditions.length + writes.length
  if (operations === 0) invalid('a write has no operations, expected 1 or more')
  if (operations > limits.batchOperationsMax) {
    tooLarge(`a batch has ${operations} operations, expected at most ${limits.batchOperationsMax}`)
  }
  let bytes = 0
  for (const condition of conditions) {
    checkKey(condition.key)
    bytes += condition.key.length + (condition.kind === 'value' ? checkValue(condition.value) : 0)
  }
  for (const write of writes) {
    checkKey(write.key)
    checkWritable(write.key)
    bytes += write.key.length + (write.kind === 'put' ? checkValue(write.value) : 0)
  }
  if (bytes > limits.batchBytesMax) tooLarge(`a batch has ${bytes} bytes, expected at most ${limits.batchBytesMax}`)
  if (writes.length > 1) checkTwice(writes)
}

function checkTwice(writes: readonly { readonly key: Key }[]): void {
  const seen = new Set<Key>()
  for (const { key } of writes) {
    if (seen.has(key)) invalid(`a batch writes the key ${shown(key)} twice, expected each key at most once`)
    seen.add(key)
  }
}

function checkKey(key: Key): void {
  if (key.length > limits.keyBytesMax) {
    tooLarge(`a key has ${key.length} bytes, expected at most ${limits.keyBytesMax} with its keyspace`)
  }
  if (key.length === KEYSPACE_BYTES) invalid('a key is empty, expected at least one byte behind its keyspace')
  if (key.length < KEYSPACE_BYTES) {
    invalid(`a key has ${key.length} bytes, expected ${KEYSPACE_BYTES} of keyspace and at least one more`)
  }
}

/** Bounds of spans may be empty, and one byte longer than keys: the place right behind the longest key. */
function checkBound(name: string, bound: Key): void {
  if (bound.length > limits.keyBytesMax + 1) {
    tooLarge(`${name} has ${bound.length} bytes, expected at most ${limits.keyBytesMax + 1}`)
  }
}

function checkWritable(key: Key): void {
  if (key.charCodeAt(0) === 0 && key.charCodeAt(1) === 0 && key.charCodeAt(2) === 0) {
    const keyspace = key.charCodeAt(3)
    if (keyspace >= FIRST_CLIENT_KEYSPACE) return
    const message = `keyspace ${keyspace} is the system's own, expected ${FIRST_CLIENT_KEYSPACE} or above`
    throw new HoldfastError('NOT_PERMITTED', message)
  }
}

function checkValue(value: Uint8Array): number {
  if (value.length > limits.valueBytesMax) {
    tooLarge(`a value has ${value.length} bytes, expected at most ${limits.valueBytesMax}`)
  }
  return value.length
}

const SESSION = /^[\w-]{22}$/

function checkOrigin(origin: Origin | null): void {
  if (origin === null) return
  if (!SESSION.test(origin.session)) {
    invalid(`session is ${JSON.stringify(origin.session.slice(0, 40))}, expected 22 characters of base64url`)
  }
  if (origin.sequence < 1) invalid(`sequence is ${origin.sequence}, expected 1 or more`)
  if (origin.lowest > origin.sequence) {
    invalid(`lowest is ${origin.lowest}, expected at most the request's own sequence ${origin.sequence}`)
  }
}

/** A key as messages show it: bytes in hex, cut short. */
function shown(key: Key): string {
  const hex = Buffer.from(key.slice(0, 32), 'latin1').toString('hex')
  return `0x${hex}${key.length > 32 ? '…' : ''}`
}

function invalid(message: string): never {
  throw new HoldfastError('INVALID_ARGUMENT', message)
}

function tooLarge(message: string): never {
  throw new HoldfastError('TOO_LARGE', message)
}
