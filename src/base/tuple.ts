import { HoldfastError } from './errors.js'
import { textFromUtf8, utf8FromText } from './text.js'
import { decodeNumber, encodeBigint, encodeNumber, NUMBER_CODES } from './tuple-number.js'

/**
 * Tuples as binary strings that sort as the tuples do: element by element, a prefix before what it is a prefix of,
 * and null < false < true < bytes < strings (in UTF-8 order) < numbers (numbers and bigints in one numeric order,
 * 1 < 1n < 1.5) < nested tuples.
 *
 * Each element is one code byte and its content; bytes, strings and nested tuples end with a zero byte (a zero byte in
 * them is followed by 255, and no code is 0 or 255). There is no mark at the end of the whole, so the form of a prefix of a
 * tuple is a prefix of the tuple's form.
 *
 * Different tuples never share a form, with one exception: -0 is 0. A number and an equal bigint differ. What has no
 * place in this order is refused with INVALID_ARGUMENT, by name and with its index: NaN, strings with a lone surrogate,
 * undefined, holes, objects. Buffers are taken as bytes; decoding gives plain Uint8Arrays.
 */
export type TupleElement = null | boolean | Uint8Array | string | number | bigint | readonly TupleElement[]

const NULL = 0x01
const FALSE = 0x02
const TRUE = 0x03
const BYTES = 0x04
const STRING = 0x05
const NESTED = 0xa0
const END = '\0'
const TOP: readonly number[] = []

/** Tuples may be nested this deep; a tuple that contains itself is deeper. */
const DEPTH_MAX = 32

/** The form of `tuple`: a binary string, '' for the empty tuple. */
export function encodeTuple(tuple: readonly TupleElement[]): string {
  let bytes = ''
  for (let index = 0; index < tuple.length; index += 1) bytes += encodeElement(tuple[index], tuple, index, TOP)
  return bytes
}

/** The inverse. Throws INVALID_ARGUMENT for anything that `encodeTuple` doesn't make. */
export function decodeTuple(bytes: string): TupleElement[] {
  const elements: TupleElement[] = []
  for (let at = 0; at < bytes.length; ) {
    const { element, end } = decodeElement(bytes, at, 1)
    elements.push(element)
    at = end
  }
  if (encodeTuple(elements) !== bytes) throw malformed('it is not in its one form')
  return elements
}

/** Holds `tuple` itself and every tuple that begins with its elements. Half open, in forms. */
export function tuplePrefixSpan(tuple: readonly TupleElement[]): { start: string; end: string } {
  const start = encodeTuple(tuple)
  return { start, end: `${start}\xff` }
}

function encodeElement(element: unknown, tuple: readonly unknown[], index: number, path: readonly number[]): string {
  switch (typeof element) {
    case 'string': {
      const utf8 = utf8FromText(element)
      if (utf8 === null) throw refused('a string with a lone surrogate', [...path, index])
      return `\x05${escapeZeros(utf8)}\0`
    }
    case 'number':
      if (Number.isNaN(element)) throw refused('NaN', [...path, index])
      return encodeNumber(element)
    case 'bigint': {
      const bytes = encodeBigint(element)
      if (bytes === undefined) throw refused('a bigint of more than 65,536 bits', [...path, index])
      return bytes
    }
    case 'boolean':
      return element ? '\x03' : '\x02'
    case 'undefined':
      throw refused(index in tuple ? 'undefined' : 'a hole', [...path, index])
    case 'object':
      if (element === null) return '\x01'
      if (element instanceof Uint8Array) return `\x04${escapeZeros(binaryFromBytes(element))}\0`
      if (Array.isArray(element)) return encodeNested(element, [...path, index])
      throw refused(`an object (${element.constructor?.name ?? 'without prototype'})`, [...path, index])
    default:
      throw refused(`a ${typeof element}`, [...path, index])
  }
}

function encodeNested(tuple: readonly unknown[], path: readonly number[]): string {
  if (path.length > DEPTH_MAX) throw refused(`nested more than ${DEPTH_MAX} deep`, path)
  let bytes = '\xa0'
  for (let index = 0; index < tuple.length; index += 1) bytes += encodeElement(tuple[index], tuple, index, path)
  return bytes + END
}

function decodeElement(bytes: string, at: number, depth: number): { element: TupleElement; end: number } {
  const code = bytes.charCodeAt(at)
  if (code >= NUMBER_CODES.first && code <= NUMBER_CODES.last) {
    const { value, end } = decodeNumber(bytes, at)
    return { element: value, end }
  }
  switch (code) {
    case NULL:
      return { element: null, end: at + 1 }
    case FALSE:
      return { element: false, end: at + 1 }
    case TRUE:
      return { element: true, end: at + 1 }
    case BYTES: {
      const { content, end } = readEscaped(bytes, at + 1)
      return { element: bytesFromBinary(content), end }
    }
    case STRING: {
      const { content, end } = readEscaped(bytes, at + 1)
      const text = textFromUtf8(content)
      if (text === null) throw malformed('a string in it is not UTF-8')
      return { element: text, end }
    }
    case NESTED:
      return decodeNested(bytes, at + 1, depth)
    default:
      throw malformed(`no element begins with byte ${code}`)
  }
}

function decodeNested(bytes: string, from: number, depth: number): { element: TupleElement[]; end: number } {
  if (depth > DEPTH_MAX) throw malformed(`it is nested more than ${DEPTH_MAX} deep`)
  const elements: TupleElement[] = []
  for (let at = from; at < bytes.length; ) {
    if (bytes[at] === END) return { element: elements, end: at + 1 }
    const { element, end } = decodeElement(bytes, at, depth + 1)
    elements.push(element)
    at = end
  }
  throw malformed('it is cut off within a nested tuple')
}

function escapeZeros(bytes: string): string {
  return bytes.includes('\0') ? bytes.replaceAll('\0', '\0\xff') : bytes
}

function readEscaped(bytes: string, from: number): { content: string; end: number } {
  let end = bytes.indexOf(END, from)
  const escaped = end >= 0 && bytes[end + 1] === '\xff'
  while (end >= 0 && bytes[end + 1] === '\xff') end = bytes.indexOf(END, end + 2)
  if (end < 0) throw malformed('it is cut off within a string or bytes')
  const content = bytes.slice(from, end)
  return { content: escaped ? content.replaceAll('\0\xff', '\0') : content, end: end + 1 }
}

function binaryFromBytes(bytes: Uint8Array): string {
  let binary = ''
  for (let at = 0; at < bytes.length; at += 1) binary += String.fromCharCode(bytes[at]!)
  return binary
}

function bytesFromBinary(binary: string): Uint8Array {
  const bytes = new Uint8Array(binary.length)
  for (let at = 0; at < binary.length; at += 1) bytes[at] = binary.charCodeAt(at)
  return bytes
}

function refused(what: string, path: readonly number[]): HoldfastError {
  return new HoldfastError('INVALID_ARGUMENT', `a tuple key cannot hold ${what}: element [${path.join('][')}]`)
}

function malformed(why: string): HoldfastError {
  return new HoldfastError('INVALID_ARGUMENT', `this is not a tuple key: ${why}`)
}
