const FRAME_HEADER_BYTES = 9
const FRAME_DATA = 0
const FLAG_PADDED = 8
const GRPC_PREFIX_BYTES = 5

/** Where one stream stands in its sequence of gRPC messages. */
interface StreamPlace {
  /** Of the message's prefix, which may be split over frames. */
  prefix: Buffer
  /** Bytes of the present message still to come. */
  rest: number
  messages: number
}

/**
 * Finds the gRPC messages in the bytes that an HTTP/2 server sends. It only looks: frame headers (RFC 9113, 4.1), and in DATA
 * frames the five bytes before each message.
 */
export class ReplyMessages {
  readonly #streams = new Map<number, StreamPlace>()
  #header = Buffer.alloc(0)
  /** Of the present frame. */
  #payloadLeft = 0
  #streamOfData: number | null = null

  /**
   * Reads on. Returns where in `bytes` the first message began that `onMessage` says true to, or null. Messages of a stream are
   * numbered from 1.
   */
  read(bytes: Buffer, onMessage: (message: { stream: number; number: number }) => boolean): number | null {
    for (let at = 0; at < bytes.length; ) {
      if (this.#payloadLeft === 0) {
        const taken = Math.min(FRAME_HEADER_BYTES - this.#header.length, bytes.length - at)
        this.#header = Buffer.concat([this.#header, bytes.subarray(at, at + taken)])
        at += taken
        if (this.#header.length === FRAME_HEADER_BYTES) this.#beginFrame()
        continue
      }
      const part = bytes.subarray(at, at + this.#payloadLeft)
      if (this.#streamOfData !== null && this.#readData(this.#streamOfData, part, onMessage)) return at
      this.#payloadLeft -= part.length
      at += part.length
    }
    return null
  }

  #beginFrame(): void {
    const header = this.#header
    this.#header = Buffer.alloc(0)
    this.#payloadLeft = header.readUIntBE(0, 3)
    const flags = header[4]!
    this.#streamOfData = header[3] === FRAME_DATA ? header.readUInt32BE(5) & 0x7fff_ffff : null
    if (this.#streamOfData !== null && (flags & FLAG_PADDED) !== 0) throw new Error('a padded DATA frame')
  }

  #readData(
    stream: number,
    part: Buffer,
    onMessage: (message: { stream: number; number: number }) => boolean,
  ): boolean {
    let place = this.#streams.get(stream)
    if (place === undefined) {
      place = { prefix: Buffer.alloc(0), rest: 0, messages: 0 }
      this.#streams.set(stream, place)
    }
    for (let at = 0; at < part.length; ) {
      if (place.rest > 0) {
        const taken = Math.min(place.rest, part.length - at)
        place.rest -= taken
        at += taken
        continue
      }
      const taken = Math.min(GRPC_PREFIX_BYTES - place.prefix.length, part.length - at)
      place.prefix = Buffer.concat([place.prefix, part.subarray(at, at + taken)])
      at += taken
      if (place.prefix.length < GRPC_PREFIX_BYTES) continue
      place.rest = place.prefix.readUInt32BE(1)
      place.prefix = Buffer.alloc(0)
      place.messages++
      if (onMessage({ stream, number: place.messages })) return true
    }
    return false
  }
}
