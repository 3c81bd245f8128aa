import { HoldfastError } from './errors.js'

/**
 * Numbers of any size and kind in one numeric order, as self-delimiting binary strings.
 *
 * A value other than zero is ±1.m * 2^e. One code byte holds the sign and the exponents 0 to 63; others stand in two
 * bytes behind it. Then come the bits of m, six to a byte, without trailing zeros: the bits in the upper six, below them
 * what follows: nothing and it was a number (0), nothing and it was a bigint (1), more bits (2). So 1, 1n and 1.5 stand
 * in this order and no two of them are one key. A negative value has all bytes behind its code inverted, with 0 and 1
 * changed places first, so that the number comes before the equal bigint there too.
 */
export const NUMBER_CODES = { first: 0x10, last: 0x96 } as const

const NEGATIVE_INFINITY = 0x10
const NEGATIVE_LARGE = 0x11
const NEGATIVE = 0x51
const NEGATIVE_SMALL = 0x52
const ZERO = 0x53
const POSITIVE_SMALL = 0x54
const POSITIVE = 0x55
const POSITIVE_LARGE = 0x95
const POSITIVE_INFINITY = 0x96

/** Added to exponents below zero; the smallest double is 2^-1074. */
const SMALL_BIAS = 1_074
const EXPONENT_MAX = 0xffff
const MORE = 2

const bits = new DataView(new ArrayBuffer(8))

/** The type that a value's last byte names. */
type Kind = 0 | 1
const NUMBER: Kind = 0
const BIGINT: Kind = 1

/** -0 is 0. NaN is the caller's to refuse. */
export function encodeNumber(value: number, kind: Kind = NUMBER): string {
  if (value === 0) return String.fromCharCode(ZERO, kind)
  const negative = value < 0
  const magnitude = negative ? -value : value
  if (magnitude === Infinity) return String.fromCharCode(negative ? NEGATIVE_INFINITY : POSITIVE_INFINITY)
  if (magnitude < 2 ** 31 && Number.isInteger(magnitude)) return encodeSmallInteger(magnitude, negative, kind)
  return encodeDouble(magnitude, negative, kind)
}

/** undefined: too large for any key. */
export function encodeBigint(value: bigint): string | undefined {
  if (value >= -0x1fffffffffffffn && value <= 0x1fffffffffffffn) return encodeNumber(Number(value), BIGINT)
  const negative = value < 0n
  const magnitude = negative ? -value : value
  const hex = magnitude.toString(16)
  const exponent = hex.length * 4 - 1 - (Math.clz32(Number.parseInt(hex[0]!, 16)) - 28)
  if (exponent > EXPONENT_MAX) return undefined
  const padding = BigInt((6 - (exponent % 6)) % 6)
  const octal = ((magnitude - (1n << BigInt(exponent))) << padding).toString(8)
  const digits = octal.padStart(Math.ceil(exponent / 6) * 2, '0')
  const groups: number[] = []
  for (let at = 0; at < digits.length; at += 2) groups.push(Number.parseInt(digits.slice(at, at + 2), 8))
  return head(exponent, negative) + body(groups, negative, BIGINT)
}

/** Reads what the two above wrote at `at`. Throws INVALID_ARGUMENT for anything else, or lets it pass as a value that encodes otherwise. */
export function decodeNumber(bytes: string, at: number): { value: number | bigint; end: number } {
  const code = bytes.charCodeAt(at)
  if (code === NEGATIVE_INFINITY || code === POSITIVE_INFINITY) {
    return { value: code === POSITIVE_INFINITY ? Infinity : -Infinity, end: at + 1 }
  }
  if (code === ZERO) return { value: bytes.charCodeAt(at + 1) === BIGINT ? 0n : 0, end: at + 2 }
  const negative = code < ZERO
  const { exponent, from } = readExponent(bytes, at, negative)
  const { groups, kind, end } = readBody(bytes, from, negative)
  const magnitude = kind === BIGINT ? bigintOf(groups, exponent) : doubleOf(groups, exponent)
  return { value: negative ? -magnitude : magnitude, end }
}

function encodeSmallInteger(magnitude: number, negative: boolean, kind: Kind): string {
  const exponent = 31 - Math.clz32(magnitude)
  let left = magnitude - 2 ** exponent
  let bytes = head(exponent, negative)
  for (let count = exponent; ; count -= 6) {
    const group = count >= 6 ? left >>> (count - 6) : left << (6 - count)
    left -= count >= 6 ? group << (count - 6) : left
    if (left === 0) return bytes + String.fromCharCode(groupByte(group, lastMark(negative, kind), negative))
    bytes += String.fromCharCode(groupByte(group, MORE, negative))
  }
}

function encodeDouble(magnitude: number, negative: boolean, kind: Kind): string {
  const subnormal = magnitude < 2 ** -1_022
  bits.setFloat64(0, subnormal ? magnitude * 2 ** 54 : magnitude)
  const high = bits.getUint32(0)
  const low = bits.getUint32(4)
  const exponent = (high >>> 20) - 1_023 - (subnormal ? 54 : 0)
  // 52 bits: 24 from the upper word, 28 (and two zeros) from the lower one.
  const upper = ((high & 0xfffff) << 4) | (low >>> 28)
  const lower = (low & 0xfffffff) << 2
  const groups: number[] = []
  for (let shift = 18; shift >= 0; shift -= 6) groups.push((upper >>> shift) & 0x3f)
  for (let shift = 24; shift >= 0; shift -= 6) groups.push((lower >>> shift) & 0x3f)
  return head(exponent, negative) + body(groups, negative, kind)
}

function head(exponent: number, negative: boolean): string {
  if (exponent >= 0 && exponent < 64) return String.fromCharCode(negative ? NEGATIVE - exponent : POSITIVE + exponent)
  const biased = exponent < 0 ? exponent + SMALL_BIAS : exponent
  const shown = negative ? EXPONENT_MAX - biased : biased
  const small = negative ? NEGATIVE_SMALL : POSITIVE_SMALL
  const large = negative ? NEGATIVE_LARGE : POSITIVE_LARGE
  return String.fromCharCode(exponent < 0 ? small : large, shown >>> 8, shown & 0xff)
}

function body(groups: readonly number[], negative: boolean, kind: Kind): string {
  let last = groups.length - 1
  while (last > 0 && groups[last] === 0) last -= 1
  let bytes = ''
  for (let at = 0; at < last; at += 1) bytes += String.fromCharCode(groupByte(groups[at]!, MORE, negative))
  return bytes + String.fromCharCode(groupByte(groups[last] ?? 0, lastMark(negative, kind), negative))
}

function groupByte(group: number, mark: number, negative: boolean): number {
  const byte = (group << 2) | mark
  return negative ? byte ^ 0xff : byte
}

function lastMark(negative: boolean, kind: Kind): number {
  return negative ? 1 - kind : kind
}

function readExponent(bytes: string, at: number, negative: boolean): { exponent: number; from: number } {
  const code = bytes.charCodeAt(at)
  if (code > NEGATIVE_LARGE && code <= NEGATIVE) return { exponent: NEGATIVE - code, from: at + 1 }
  if (code >= POSITIVE && code < POSITIVE_LARGE) return { exponent: code - POSITIVE, from: at + 1 }
  if (at + 3 > bytes.length) throw cutOff()
  const shown = bytes.charCodeAt(at + 1) * 256 + bytes.charCodeAt(at + 2)
  const biased = negative ? EXPONENT_MAX - shown : shown
  const small = code === NEGATIVE_SMALL || code === POSITIVE_SMALL
  return { exponent: small ? biased - SMALL_BIAS : biased, from: at + 3 }
}

function readBody(bytes: string, from: number, negative: boolean): { groups: number[]; kind: Kind; end: number } {
  const groups: number[] = []
  for (let at = from; at < bytes.length; at += 1) {
    const byte = negative ? bytes.charCodeAt(at) ^ 0xff : bytes.charCodeAt(at)
    const mark = byte & 3
    if (mark > MORE)
      throw new HoldfastError('INVALID_ARGUMENT', 'this is not a tuple key: a number has an unknown mark')
    groups.push(byte >>> 2)
    if (mark !== MORE) return { groups, kind: (mark === 1) !== negative ? BIGINT : NUMBER, end: at + 1 }
  }
  throw cutOff()
}

function doubleOf(groups: readonly number[], exponent: number): number {
  let mantissa = 1
  for (let at = 0; at < groups.length; at += 1) mantissa += groups[at]! * 2 ** (-6 * (at + 1))
  return mantissa * 2 ** exponent
}

function bigintOf(groups: readonly number[], exponent: number): bigint {
  const octal = groups.map((group) => group.toString(8).padStart(2, '0')).join('')
  const shift = exponent - groups.length * 6
  const whole = BigInt(`0o1${octal}`)
  return shift >= 0 ? whole << BigInt(shift) : whole >> BigInt(-shift)
}

function cutOff(): HoldfastError {
  return new HoldfastError('INVALID_ARGUMENT', 'this is not a tuple key: it is cut off within a number')
}
