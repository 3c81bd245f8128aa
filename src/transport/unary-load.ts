import type { Http2Stream } from 'node:http2'
import type grpc from '@grpc/grpc-js'
import { HoldfastError } from '../base/errors.js'
import { limits } from '../base/limits.js'

/** A result this small is sent even when no room is left: it costs no more than the error in its place, and may tell an outcome. */
const SMALL_RESULT_BYTES = 1_024
const RETRY_AFTER_MS = 100

/** Behind every call of a server. Not in the types of grpc-js, hence every step is asked for. */
interface Inside {
  readonly call?: { readonly stream?: Http2Stream }
}

/** Unary calls of a node: how many are open, and what their requests and results hold until the caller has taken them. */
export class UnaryLoad {
  #calls = 0
  #bytes = 0

  get calls(): number {
    return this.#calls
  }

  get bytes(): number {
    return this.#bytes
  }

  /**
   * Runs `serve` within the bounds. The result stays counted until the stream behind the call is gone: a caller that
   * never reads holds it for so long.
   *
   * @throws HoldfastError OVERLOADED when there is no room, before `serve` was called or for a large result of a read
   */
  async run(call: grpc.ServerUnaryCall<Buffer, Buffer>, serve: () => Promise<Buffer>): Promise<Buffer> {
    if (this.#calls >= limits.clientRequestsInFlightMax) {
      throw overloaded(`${this.#calls} unary calls are open, expected at most ${limits.clientRequestsInFlightMax}`)
    }
    const requestBytes = call.request.length
    this.#refuseAbove(requestBytes)
    this.#calls++
    this.#bytes += requestBytes
    let resultBytes = 0
    try {
      const result = await serve()
      if (result.length > SMALL_RESULT_BYTES) this.#refuseAbove(result.length)
      resultBytes = result.length
      return result
    } finally {
      this.#bytes += resultBytes
      whenGone(call, () => {
        this.#calls--
        this.#bytes -= requestBytes + resultBytes
      })
    }
  }

  #refuseAbove(bytes: number): void {
    const wanted = this.#bytes + bytes
    if (wanted <= limits.clientBytesInFlightMax) return
    throw overloaded(`${wanted} bytes of unary calls are open, expected at most ${limits.clientBytesInFlightMax}`)
  }
}

function overloaded(message: string): HoldfastError {
  return new HoldfastError('OVERLOADED', message, { retryAfterMs: RETRY_AFTER_MS })
}

/** At once where this version of grpc-js hides the stream: the result then counts only until it is handed over. */
function whenGone(call: grpc.ServerUnaryCall<Buffer, Buffer>, then: () => void): void {
  const stream = (call as unknown as Inside).call?.stream
  if (stream === undefined || stream.closed || stream.destroyed) then()
  else stream.once('close', then)
}
