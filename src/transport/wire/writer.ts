import { assert } from '../../base/assert.js'

/** Tags of protobuf fields: number times 8 plus wire type. */
export const varint = (field: number): number => field * 8
export const fixed64 = (field: number): number => field * 8 + 1
export const bytes = (field: number): number => field * 8 + 2

const CAPACITY_KEPT = 2 * 1024 * 1024
const SHORT_STRING = 32

/**
 * Writes protobuf by hand: messages of the hot road are encoded in one pass, without an object per field in between.
 * Fields of value zero are left out (proto3) by `uint`, `fixed` and `flag`; the others write what they are given.
 */
export class Writer {
  #buffer = Buffer.allocUnsafeSlow(64 * 1024)
  #at = 0
  /** Bytes reserved for the length of each open message, and where its content begins. */
  readonly #reserved: number[] = []
  readonly #begins: number[] = []

  get length(): number {
    return this.#at
  }

  uint(tag: number, value: number): void {
    if (value !== 0) this.optionalUint(tag, value)
  }

  optionalUint(tag: number, value: number): void {
    this.#room(20)
    this.#varint(tag)
    this.#varint(value)
  }

  fixed(tag: number, value: number): void {
    if (value !== 0) this.optionalFixed(tag, value)
  }

  optionalFixed(tag: number, value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, 'not an unsigned safe integer', value)
    this.#room(18)
    this.#varint(tag)
    const low = value >>> 0
    this.#buffer.writeUInt32LE(low, this.#at)
    this.#buffer.writeUInt32LE((value - low) / 0x1_0000_0000, this.#at + 4)
    this.#at += 8
  }

  flag(tag: number, value: boolean): void {
    if (value) this.optionalUint(tag, 1)
  }

  bytes(tag: number, value: Uint8Array): void {
    const length = value.length
    this.#room(20 + length)
    this.#varint(tag)
    this.#varint(length)
    this.#buffer.set(value, this.#at)
    this.#at += length
  }

  /** A binary string: one byte per character. */
  latin1(tag: number, value: string): void {
    const length = value.length
    this.#room(20 + length)
    this.#varint(tag)
    this.#varint(length)
    if (length > SHORT_STRING) this.#buffer.write(value, this.#at, 'latin1')
    else for (let i = 0; i < length; i++) this.#buffer[this.#at + i] = value.charCodeAt(i)
    this.#at += length
  }

  utf8(tag: number, value: string): void {
    const length = Buffer.byteLength(value)
    this.#room(20 + length)
    this.#varint(tag)
    this.#varint(length)
    this.#buffer.write(value, this.#at, 'utf8')
    this.#at += length
  }

  /** `repeated uint64`, packed. Nothing where there are none. */
  uints(tag: number, values: readonly number[]): void {
    if (values.length === 0) return
    this.open(tag, values.length * 7)
    for (const value of values) {
      this.#room(10)
      this.#varint(value)
    }
    this.close()
  }

  /** Begins a nested message. `expected`: about how long it will be; a wrong guess costs a move of its bytes. */
  open(tag: number, expected = 0): void {
    this.#room(20)
    this.#varint(tag)
    const reserved = varintLength(expected)
    this.#at += reserved
    this.#reserved.push(reserved)
    this.#begins.push(this.#at)
  }

  close(): void {
    const reserved = this.#reserved.pop()
    const begin = this.#begins.pop()
    assert(reserved !== undefined && begin !== undefined, 'no message is open')
    const length = this.#at - begin
    const shift = varintLength(length) - reserved
    if (shift !== 0) {
      this.#room(8)
      this.#buffer.copyWithin(begin + shift, begin, this.#at)
    }
    this.#at = begin - reserved
    this.#varint(length)
    this.#at += length
  }

  /** Takes what was written up to `end` out, as memory of its own; what lies behind it moves to the front. */
  take(end = this.#at): Buffer {
    assert(this.#begins.length === 0, 'a message is still open')
    const taken = Buffer.allocUnsafeSlow(end)
    this.#buffer.copy(taken, 0, 0, end)
    this.#buffer.copyWithin(0, end, this.#at)
    this.#at -= end
    if (this.#at === 0 && this.#buffer.length > CAPACITY_KEPT) this.#buffer = Buffer.allocUnsafeSlow(64 * 1024)
    return taken
  }

  /** Forgets everything, also messages that an error left open. */
  reset(): void {
    this.#at = 0
    this.#begins.length = 0
    this.#reserved.length = 0
  }

  /** Forgets what was written behind `length`. */
  rewind(length: number): void {
    assert(length <= this.#at && this.#begins.length === 0, 'nothing to rewind to', length)
    this.#at = length
  }

  #varint(value: number): void {
    const buffer = this.#buffer
    let at = this.#at
    let rest = value
    while (rest >= 0x8000_0000) {
      buffer[at++] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    while (rest >= 0x80) {
      buffer[at++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    buffer[at++] = rest
    this.#at = at
  }

  #room(needed: number): void {
    if (this.#at + needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#at + needed))
    this.#buffer.copy(larger, 0, 0, this.#at)
    this.#buffer = larger
  }
}

function varintLength(value: number): number {
  let length = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 128)) length++
  return length
}
