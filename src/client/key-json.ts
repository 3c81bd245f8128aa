import { Buffer } from 'node:buffer'
import { HoldfastError } from '../base/errors.js'
import type { Key } from '../base/ids.js'
import { KEYSPACES, splitStoredKey } from '../base/keyspace.js'
import type { TupleElement } from '../base/tuple.js'
import { type DecodedKey, decodeKey, type KeyInput } from './keys.js'

/** A key as JSON shows it: a string, `{"$bytes": base64}`, or a tuple as an array (with `{"$bigint": "12"}` inside). */
export type JsonKey = string | JsonForm | readonly JsonElement[]
export type JsonElement = null | boolean | number | string | JsonForm | readonly JsonElement[]
/** What JSON has no form of its own for. `$stored`: a stored key outside of the data namespaces. */
export type JsonForm =
  | { readonly $bytes: string }
  | { readonly $bigint: string }
  | { readonly $number: string }
  | { readonly $stored: string }

/** The JSON form of a key. The inverse of `keyFromJson` for keys of data. */
export function keyToJson(key: DecodedKey): JsonKey {
  if (typeof key === 'string') return key
  if (key instanceof Uint8Array) return bytesToJson(key)
  return key.map(elementToJson)
}

/** As `keyToJson`, of a key as it is stored. The starts of the namespaces come out as '' and []. */
export function storedKeyToJson(key: Key): JsonKey {
  const decoded = decodeStored(key)
  return decoded === null ? { $stored: Buffer.from(key, 'latin1').toString('base64') } : keyToJson(decoded)
}

/** An end of a span: null where it is open. */
export function boundToJson(bound: Key | null): JsonKey | null {
  return bound === null || bound === '' ? null : storedKeyToJson(bound)
}

/**
 * The key that a JSON form stands for.
 * @throws HoldfastError INVALID_ARGUMENT, for what is no key's form.
 */
export function keyFromJson(json: unknown): KeyInput {
  if (typeof json === 'string') return json
  if (Array.isArray(json)) return json.map(elementFromJson)
  const element = elementFromJson(json)
  if (element instanceof Uint8Array) return element
  throw notAKey(json)
}

export function bytesToJson(bytes: Uint8Array): { readonly $bytes: string } {
  return { $bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64') }
}

/** Null: not the canonical base64 of anything. */
export function bytesFromBase64(text: string): Uint8Array | null {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? new Uint8Array(bytes) : null
}

/** A number JSON would lose: `$number` with its name. */
export function numberToJson(value: number): number | { readonly $number: string } {
  if (Object.is(value, -0)) return { $number: '-0' }
  return Number.isFinite(value) ? value : { $number: String(value) }
}

function decodeStored(key: Key): DecodedKey | null {
  if (key.length < 4) return null
  const { bytes, keyspace } = splitStoredKey(key)
  if (keyspace === KEYSPACES.raw) return decodeKey(key)
  if (keyspace !== KEYSPACES.tuple) return null
  try {
    return bytes === '' ? [] : decodeKey(key)
  } catch {
    // A range may begin between two tuples: such a bound is no tuple's form.
    return null
  }
}

function elementToJson(element: TupleElement): JsonElement {
  if (typeof element === 'bigint') return { $bigint: element.toString() }
  if (typeof element === 'number') return numberToJson(element)
  if (element instanceof Uint8Array) return bytesToJson(element)
  if (element === null || typeof element !== 'object') return element
  return element.map(elementToJson)
}

function elementFromJson(json: unknown): TupleElement {
  if (json === null || typeof json === 'boolean' || typeof json === 'number' || typeof json === 'string') return json
  if (Array.isArray(json)) return json.map(elementFromJson)
  if (typeof json !== 'object') throw notAKey(json)
  const [[name, text] = [], ...others] = Object.entries(json)
  if (typeof text !== 'string' || others.length > 0) throw notAKey(json)
  if (name === '$bigint' && /^-?\d+$/.test(text)) return BigInt(text)
  if (name === '$number' && ['Infinity', '-Infinity', '-0'].includes(text)) return Number(text)
  const bytes = name === '$bytes' ? bytesFromBase64(text) : null
  if (bytes === null) throw notAKey(json)
  return bytes
}

function notAKey(json: unknown): HoldfastError {
  const expected = 'expected a string, {"$bytes": base64} or an array'
  return new HoldfastError('INVALID_ARGUMENT', `${JSON.stringify(json)} is not a key: ${expected}`)
}
