import http2 from 'node:http2'
import { streamMethods } from '../../src/transport/methods.js'

/** A client stream below grpc, which would read ahead by itself: it sends what it is told, and takes an answer only if asked to. */
export class RawStream {
  readonly #session: http2.ClientHttp2Session
  readonly #stream: http2.ClientHttp2Stream
  isClosed = false

  constructor(address: string) {
    this.#session = http2.connect(`http://${address}`).on('error', () => {})
    const headers = {
      ':method': 'POST',
      ':path': streamMethods.connect.path,
      'content-type': 'application/grpc',
      te: 'trailers',
    }
    this.#stream = this.#session.request(headers).on('error', () => {})
    this.#session.once('close', () => {
      this.isClosed = true
    })
  }

  /** Takes and forgets what comes. */
  read(): void {
    this.#stream.resume()
  }

  /** `framed`: by `framed()`; the same bytes may go to many streams. */
  send(framed: Buffer): Promise<void> {
    return new Promise((resolve) => this.#stream.write(framed, () => resolve()))
  }

  close(): void {
    this.#session.destroy()
  }
}

/** A message of gRPC: uncompressed, its length before it. */
export function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}
