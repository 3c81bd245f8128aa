/** What came over the network is not what the protocol says. Closes a connection or refuses a request, never a node. */
export class WireError extends Error {
  override readonly name = 'WireError'
}

const SAFE = Number.MAX_SAFE_INTEGER

/**
 * Reads protobuf by hand, over memory it does not own: what `copy` and the string readers return owns its memory, nothing
 * else leaves. Every step is checked against the end of the innermost message; integers of 2^53 and above are refused.
 */
export class Reader {
  readonly #buffer: Buffer
  #at: number
  #end: number
  #tag = 0

  constructor(buffer: Uint8Array) {
    this.#buffer = Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength)
    this.#at = 0
    this.#end = buffer.length
  }

  /** The next field's tag, 0 at the end of the innermost message. */
  next(): number {
    if (this.#at >= this.#end) return 0
    this.#tag = 0
    const tag = this.#varint()
    if (tag < 8 || tag > 0xffff_ffff) throw new WireError(`field number ${Math.floor(tag / 8)} is not one`)
    this.#tag = tag
    return tag
  }

  uint(): number {
    return this.#varint()
  }

  flag(): boolean {
    return this.#varint() !== 0
  }

  fixed(): number {
    const at = this.#take(8)
    const low = this.#buffer.readUInt32LE(at)
    const high = this.#buffer.readUInt32LE(at + 4)
    if (high > 0x1f_ffff) throw this.#tooLarge(this.#buffer.readBigUInt64LE(at))
    return high * 0x1_0000_0000 + low
  }

  /** `repeated uint64`, packed. */
  uints(): number[] {
    const outer = this.enter()
    const values: number[] = []
    while (this.left > 0) values.push(this.#varint())
    this.leave(outer)
    return values
  }

  latin1(): string {
    const length = this.#varint()
    const at = this.#take(length)
    return this.#buffer.toString('latin1', at, at + length)
  }

  utf8(): string {
    const length = this.#varint()
    const at = this.#take(length)
    return this.#buffer.toString('utf8', at, at + length)
  }

  /** `previous` itself when the bytes spell it: saves a string per message where the same one comes again and again. */
  latin1Like(previous: string): string {
    const length = this.#varint()
    const at = this.#take(length)
    if (previous.length === length) {
      let same = 0
      while (same < length && previous.charCodeAt(same) === this.#buffer[at + same]) same++
      if (same === length) return previous
    }
    return this.#buffer.toString('latin1', at, at + length)
  }

  /**
   * Bytes in memory of their own, never a view of the frame: a view would keep the whole frame alive. Short ones share
   * Node's 8 KiB pool, so one that is kept for long holds 8 KiB at the most.
   */
  copy(): Uint8Array {
    const length = this.#varint()
    const at = this.#take(length)
    const copied = Buffer.allocUnsafe(length)
    this.#buffer.copy(copied, 0, at, at + length)
    return copied
  }

  /** A view of the frame, for what is used up within the turn and is most of its frame anyway. */
  view(): Uint8Array {
    const length = this.#varint()
    const at = this.#take(length)
    return this.#buffer.subarray(at, at + length)
  }

  /** Enters a nested message; give the result to `leave`. */
  enter(): number {
    const length = this.#varint()
    const at = this.#take(length)
    const outer = this.#end
    this.#at = at
    this.#end = at + length
    return outer
  }

  /** Leaves a nested message, wherever in it the reader stands. */
  leave(outer: number): void {
    this.#at = this.#end
    this.#end = outer
  }

  /** Where the innermost message ends, for `unwind`. */
  mark(): number {
    return this.#end
  }

  /** Back into the message that was innermost at `mark`, out of whatever an error left the reader in. */
  unwind(mark: number): void {
    this.#end = mark
  }

  /** Bytes of the innermost message that are not read yet. */
  get left(): number {
    return this.#end - this.#at
  }

  /** Passes over the value of a field that is not known, or has not the type it should have. */
  skip(): void {
    const type = this.#tag % 8
    if (type === 0) this.#skipVarint()
    else if (type === 1) this.#take(8)
    else if (type === 2) this.#take(this.#varint())
    else if (type === 5) this.#take(4)
    else throw new WireError(`field ${Math.floor(this.#tag / 8)} has wire type ${type}, expected 0, 1, 2 or 5`)
  }

  #take(length: number): number {
    const at = this.#at
    if (length > this.#end - at) {
      throw new WireError(`field ${Math.floor(this.#tag / 8)} wants ${length} bytes, ${this.#end - at} are left`)
    }
    this.#at = at + length
    return at
  }

  #skipVarint(): void {
    for (let i = 0; i < 10; i++) if ((this.#buffer[this.#take(1)] ?? 0) < 0x80) return
    throw new WireError(`field ${Math.floor(this.#tag / 8)} has an integer of more than 10 bytes`)
  }

  #varint(): number {
    const buffer = this.#buffer
    const start = this.#at
    let value = 0
    let factor = 1
    for (let i = 0; i < 10; i++) {
      if (this.#at >= this.#end) throw new WireError(`field ${Math.floor(this.#tag / 8)} ends within an integer`)
      const byte = buffer[this.#at++] ?? 0
      value += (byte & 0x7f) * factor
      if (byte < 0x80) {
        if (value > SAFE) throw this.#tooLarge(this.#bigVarint(start))
        return value
      }
      factor *= 128
    }
    throw new WireError(`field ${Math.floor(this.#tag / 8)} has an integer of more than 10 bytes`)
  }

  #bigVarint(start: number): bigint {
    let value = 0n
    for (let i = 0; start + i < this.#at; i++) value |= BigInt((this.#buffer[start + i] ?? 0) & 0x7f) << BigInt(7 * i)
    return BigInt.asUintN(64, value)
  }

  #tooLarge(value: bigint): WireError {
    return new WireError(`field ${Math.floor(this.#tag / 8)} is ${value}, expected an integer below 2^53`)
  }
}
