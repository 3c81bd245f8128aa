import { DamagedError } from '../codec/errors.js'

/** LEB128. Throws DamagedError. */
export function readVarint(bytes: Uint8Array, at: number): { value: number; end: number } {
  let value = 0
  let scale = 1
  for (let end = at; end < bytes.length && end < at + 8; end++) {
    const byte = bytes[end]!
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return { value, end: end + 1 }
    scale *= 128
  }
  throw new DamagedError('a number without an end')
}

/** Length, then bytes: a view. Throws DamagedError. */
export function readBytes(bytes: Uint8Array, at: number): { value: Uint8Array; end: number } {
  const { value: length, end: from } = readVarint(bytes, at)
  if (from + length > bytes.length) throw new DamagedError('bytes that end early')
  return { value: bytes.subarray(from, from + length), end: from + length }
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
}
