import { Buffer } from 'node:buffer'
import { HoldfastError } from '../base/errors.js'
import type { Key } from '../base/ids.js'
import { KEYSPACES, splitStoredKey, storedKey } from '../base/keyspace.js'
import { limits } from '../base/limits.js'
import { textFromUtf8, utf8FromText } from '../base/text.js'
import { decodeTuple, encodeTuple, type TupleElement } from '../base/tuple.js'

/**
 * A key: a string (stored as its UTF-8 bytes) or bytes, both in the namespace `raw`; or a tuple, in the namespace
 * `tuple`, which sorts element by element: null < false < true < bytes < strings < numbers < tuples.
 * At least one byte or element, at most 4 KiB when stored.
 */
export type KeyInput = string | Uint8Array | readonly TupleElement[]

/** A key as it comes back: raw keys that are UTF-8 as strings, others as bytes; tuples as arrays. */
export type DecodedKey = string | Uint8Array | readonly TupleElement[]

/** Where keys live: strings and bytes in `raw`, tuples in `tuple`. */
export type Namespace = 'raw' | 'tuple'

/**
 * The stored form.
 * @throws HoldfastError INVALID_ARGUMENT for what cannot be a key, TOO_LARGE above the limit.
 */
export function encodeKey(key: KeyInput): Key {
  const stored = encodeBound(key)
  if (stored.length === KEYSPACE_BYTES) throw new HoldfastError('INVALID_ARGUMENT', 'the key is empty')
  return stored
}

/** As `encodeKey`, but the empty key is the start of its namespace. */
export function encodeBound(key: KeyInput): Key {
  const stored = storeKey(key)
  if (stored.length <= limits.keyBytesMax) return stored
  const expected = `expected at most ${limits.keyBytesMax}`
  throw new HoldfastError('TOO_LARGE', `the key has ${stored.length} bytes when stored; ${expected}`)
}

/** The inverse of `encodeKey`. */
export function decodeKey(key: Key): DecodedKey {
  const { bytes, keyspace } = splitStoredKey(key)
  if (keyspace === KEYSPACES.tuple) return decodeTuple(bytes)
  return textFromUtf8(bytes) ?? new Uint8Array(Buffer.from(bytes, 'latin1'))
}

export function namespaceOf(key: KeyInput): Namespace {
  return Array.isArray(key) ? 'tuple' : 'raw'
}

const KEYSPACE_BYTES = 4

function storeKey(key: KeyInput): Key {
  if (typeof key === 'string') {
    const utf8 = utf8FromText(key)
    if (utf8 !== null) return storedKey(KEYSPACES.raw, utf8)
    throw new HoldfastError('INVALID_ARGUMENT', 'the key has a surrogate without its other half')
  }
  if (key instanceof Uint8Array) {
    return storedKey(KEYSPACES.raw, Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1'))
  }
  if (Array.isArray(key)) return storedKey(KEYSPACES.tuple, encodeTuple(key))
  const expected = 'expected a string, a Uint8Array or an array'
  throw new HoldfastError('INVALID_ARGUMENT', `a key cannot be ${key === null ? 'null' : typeof key}; ${expected}`)
}
