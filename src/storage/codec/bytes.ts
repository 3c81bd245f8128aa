import { assert } from '../../base/assert.js'
import { DamagedError } from './errors.js'

const TWO_32 = 0x1_0000_0000

/** Below this many characters a loop beats the call into C++ that `latin1Write` is. */
const SHORT_STRING = 24

/** Writes 53 bits, big endian, into seven bytes. */
export function writeUint56(bytes: Uint8Array, at: number, value: number): void {
  const high = Math.floor(value / TWO_32)
  const low = value >>> 0
  bytes[at] = high >>> 16
  bytes[at + 1] = high >>> 8
  bytes[at + 2] = high
  bytes[at + 3] = low >>> 24
  bytes[at + 4] = low >>> 16
  bytes[at + 5] = low >>> 8
  bytes[at + 6] = low
}

/** Reads what writeUint56 wrote. */
export function readUint56(bytes: Uint8Array, at: number): number {
  const high = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!
  const low = ((bytes[at + 3]! << 24) | (bytes[at + 4]! << 16) | (bytes[at + 5]! << 8) | bytes[at + 6]!) >>> 0
  return high * TWO_32 + low
}

/**
 * Appends to one growing buffer. Kept by its user over many encodings, so that a hot path allocates only the result.
 */
export class ByteWriter {
  #bytes = Buffer.allocUnsafeSlow(4096)
  #length = 0

  get length(): number {
    return this.#length
  }

  /** What was written so far; overwritten by what comes next. */
  view(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  /** What was written so far, in memory of its own. */
  copy(): Uint8Array {
    const result = new Uint8Array(this.#length)
    result.set(this.view())
    return result
  }

  reset(): void {
    this.#length = 0
  }

  reserve(count: number): void {
    const needed = this.#length + count
    if (needed <= this.#bytes.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length))
    grown.set(this.view())
    this.#bytes = grown
  }

  uint8(value: number): void {
    this.reserve(1)
    this.#bytes[this.#length++] = value
  }

  uint32(value: number): void {
    this.reserve(4)
    this.#length = this.#bytes.writeUInt32BE(value, this.#length)
  }

  /** Overwrites four bytes written before. */
  patchUint32(at: number, value: number): void {
    this.#bytes.writeUInt32BE(value, at)
  }

  uint56(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, 'not an integer of 53 bits', value)
    this.reserve(7)
    writeUint56(this.#bytes, this.#length, value)
    this.#length += 7
  }

  /** LEB128 of an integer below 2^53. */
  varint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, 'not an integer of 53 bits', value)
    this.reserve(8)
    let rest = value
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest & 0x7f) | 0x80
      rest = rest < TWO_32 ? rest >>> 7 : Math.floor(rest / 128)
    }
    this.#bytes[this.#length++] = rest
  }

  /** Length, then bytes. */
  blob(value: Uint8Array): void {
    this.varint(value.length)
    this.reserve(value.length)
    this.#bytes.set(value, this.#length)
    this.#length += value.length
  }

  /** A binary string (characters up to U+00FF): length, then one byte per character. */
  binary(value: string): void {
    this.varint(value.length)
    this.reserve(value.length)
    if (value.length < SHORT_STRING) {
      let at = this.#length
      for (let i = 0; i < value.length; i++) this.#bytes[at++] = value.charCodeAt(i)
      this.#length = at
    } else {
      this.#length += this.#bytes.write(value, this.#length, 'latin1')
    }
  }

  /** Any string, as UTF-8: length in bytes, then bytes. */
  text(value: string): void {
    this.blob(Buffer.from(value, 'utf8'))
  }
}

/** Reads what a ByteWriter wrote. Reading past the end throws DamagedError. */
export class ByteReader {
  readonly #bytes: Buffer
  readonly #end: number
  #at: number

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#at = at
    this.#end = end
  }

  get left(): number {
    return this.#end - this.#at
  }

  uint8(): number {
    return this.#bytes[this.#take(1)]!
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#take(4))
  }

  uint56(): number {
    const value = readUint56(this.#bytes, this.#take(7))
    if (value > Number.MAX_SAFE_INTEGER) throw new DamagedError('an integer is over 53 bits')
    return value
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < 8; i++) {
      const byte = this.#bytes[this.#take(1)]!
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break
        return value
      }
      scale *= 128
    }
    throw new DamagedError('an integer is over 53 bits')
  }

  /** A view of the bytes read from. */
  blobView(): Uint8Array {
    return this.bytesView(this.varint())
  }

  /** In memory of its own. */
  blobCopy(): Uint8Array {
    return new Uint8Array(this.blobView())
  }

  /** A view of the next `length` bytes. */
  bytesView(length: number): Uint8Array {
    const at = this.#take(length)
    return this.#bytes.subarray(at, at + length)
  }

  binary(): string {
    const length = this.varint()
    const at = this.#take(length)
    return this.#bytes.toString('latin1', at, at + length)
  }

  text(): string {
    const length = this.varint()
    const at = this.#take(length)
    return this.#bytes.toString('utf8', at, at + length)
  }

  /** A count of things that take at least one byte each: a larger one is damage, before anything is allocated for it. */
  count(): number {
    const count = this.varint()
    if (count > this.left) throw new DamagedError(`a count of ${count} in ${this.left} bytes`)
    return count
  }

  #take(length: number): number {
    const at = this.#at
    if (length > this.#end - at) throw new DamagedError(`the bytes end ${length - (this.#end - at)} too early`)
    this.#at = at + length
    return at
  }
}
