import { DamagedError } from '../codec/errors.js'
import { readVarint } from './varint.js'

/** A block as LevelDB compresses it (the format: google/snappy, format_description.txt). Throws DamagedError. */
export function uncompress(bytes: Uint8Array): Uint8Array {
  const head = readVarint(bytes, 0)
  if (head.value > 64 * bytes.length)
    throw new DamagedError('a compressed block that says it is far larger than it can be')
  const out = new Uint8Array(head.value)
  let at = head.end
  let end = 0
  while (at < bytes.length) {
    const tag = bytes[at++]!
    const kind = tag & 3
    if (kind === 0) {
      let length = tag >>> 2
      if (length >= 60) {
        const count = length - 59
        length = little(bytes, at, count)
        at += count
      }
      length++
      if (at + length > bytes.length || end + length > out.length)
        throw new DamagedError('a literal runs over its block')
      out.set(bytes.subarray(at, at + length), end)
      at += length
      end += length
      continue
    }
    const length = kind === 1 ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1
    const offset = kind === 1 ? ((tag >>> 5) << 8) | little(bytes, at, 1) : little(bytes, at, kind === 2 ? 2 : 4)
    at += kind === 1 ? 1 : kind === 2 ? 2 : 4
    if (offset === 0 || offset > end || end + length > out.length)
      throw new DamagedError('a copy from outside of its block')
    // Byte by byte: it may overlap what it writes.
    for (let i = 0; i < length; i++, end++) out[end] = out[end - offset]!
  }
  if (end !== out.length) throw new DamagedError('a compressed block ends early')
  return out
}

function little(bytes: Uint8Array, at: number, count: number): number {
  let value = 0
  for (let i = 0; i < count; i++) value += (bytes[at + i] ?? 0) * 2 ** (8 * i)
  return value
}
