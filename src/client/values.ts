import { Buffer } from 'node:buffer'
import { Packr } from 'msgpackr'
import { HoldfastError } from '../base/errors.js'
import type { Codec } from '../kv/types.js'

/** No records and no shared structures: what a value's bytes mean depends on nothing but themselves. */
const packr = new Packr({ useRecords: false, mapsAsObjects: true })
const DEPTH_MAX = 128
/** With the u flag, halves that have each other don't match. UTF-8 has no form for others: they would come back as U+FFFD. */
const LONE_SURROGATE = /\p{Surrogate}/u

/**
 * A value's bytes.
 * @throws HoldfastError INVALID_ARGUMENT, for what the codec would lose or change.
 */
export function encodeValue(value: unknown, codec: Codec): Uint8Array {
  switch (codec) {
    case 'msgpack':
      return encodeMsgpack(value)
    case 'json':
      return encodeJson(value)
    case 'utf8':
      if (typeof value === 'string' && !LONE_SURROGATE.test(value)) return plain(Buffer.from(value, 'utf8'))
      throw notEncodable('utf8', typeof value === 'string' ? 'a string with a lone surrogate' : nameOf(value))
    case 'bytes':
      if (value instanceof Uint8Array) return new Uint8Array(value)
      throw notEncodable('bytes', nameOf(value))
    default:
      throw unknownCodec(codec)
  }
}

/**
 * The inverse. Bytes come back as a Uint8Array of their own.
 * @throws HoldfastError INTERNAL, for bytes that are not what their codec says.
 */
export function decodeValue(bytes: Uint8Array, codec: Codec): unknown {
  try {
    switch (codec) {
      case 'msgpack':
        return packr.unpack(bytes)
      case 'json':
        return JSON.parse(textOf(bytes))
      case 'utf8':
        return textOf(bytes)
      case 'bytes':
        return plain(bytes)
      default:
        throw unknownCodec(codec)
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const message = `a stored value of ${bytes.length} bytes is not ${codec}: ${reason}`
    throw new HoldfastError('INTERNAL', message, { cause: error, mayHaveBeenApplied: false })
  }
}

export function isCodec(codec: unknown): codec is Codec {
  return codec === 'msgpack' || codec === 'json' || codec === 'utf8' || codec === 'bytes'
}

export function unknownCodec(codec: unknown): HoldfastError {
  return new HoldfastError(
    'INVALID_ARGUMENT',
    `codec is ${JSON.stringify(codec)}; expected msgpack, json, utf8 or bytes`,
  )
}

function encodeMsgpack(value: unknown): Uint8Array {
  const culprit = typeof value === 'string' ? wellFormed(value) : value === undefined ? 'undefined' : lossy(value, 0)
  if (culprit !== null) throw notEncodable('msgpack', culprit)
  return plain(packr.pack(value))
}

function encodeJson(value: unknown): Uint8Array {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (error) {
    throw notEncodable('json', error instanceof Error ? error.message : String(error))
  }
  if (text === undefined) throw notEncodable('json', nameOf(value))
  return plain(Buffer.from(text, 'utf8'))
}

/** What msgpack would silently turn into something else; null: nothing. */
function lossy(value: unknown, depth: number): string | null {
  switch (typeof value) {
    case 'string':
      return wellFormed(value)
    case 'bigint':
      return BigInt.asIntN(64, value) === value || BigInt.asUintN(64, value) === value
        ? null
        : 'a bigint of over 64 bits'
    case 'function':
    case 'symbol':
      return `a ${typeof value}`
    case 'object':
      return value === null ? null : lossyObject(value, depth)
    default:
      return null
  }
}

function lossyObject(value: object, depth: number): string | null {
  if (value instanceof Uint8Array || value instanceof Date) return null
  if (depth > DEPTH_MAX) return `something nested over ${DEPTH_MAX} deep`
  if (ArrayBuffer.isView(value) || isForeign(value)) return nameOf(value)
  for (const [name, inner] of Object.entries(value)) {
    // msgpackr renames it on the way back.
    if (name === '__proto__') return 'a property named __proto__'
    const culprit = wellFormed(name) ?? lossy(inner, depth + 1)
    if (culprit !== null) return culprit
  }
  return null
}

function isForeign(value: object): boolean {
  return (
    value instanceof Map ||
    value instanceof Set ||
    value instanceof RegExp ||
    value instanceof Error ||
    value instanceof Promise ||
    value instanceof ArrayBuffer
  )
}

function wellFormed(text: string): string | null {
  return LONE_SURROGATE.test(text) ? 'a string with a lone surrogate' : null
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}

/** Without the Buffer class, over the same memory. */
function plain(bytes: Uint8Array): Uint8Array {
  return bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function nameOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  return typeof value === 'object' ? `an object of class ${value.constructor?.name ?? 'none'}` : `a ${typeof value}`
}

function notEncodable(codec: Codec, what: string): HoldfastError {
  return new HoldfastError('INVALID_ARGUMENT', `codec ${codec} cannot hold ${what}`)
}
