import type { Http2Session } from 'node:http2'
import type grpc from '@grpc/grpc-js'

/** Behind every stream of a server. Not in the types of grpc-js, hence every step is asked for. */
interface Inside {
  readonly call?: { readonly stream?: { readonly session?: Http2Session } }
}

/**
 * Lets the other side of this call's connection send so many bytes ahead. HTTP/2 begins with 64 KiB, and a larger frame then
 * waits for round trips between two busy event loops; grpc-js has an option for it in clients only. False: this version
 * of grpc-js hides the connection, and the small window stays (slower, not wrong).
 */
export function maybeWiden(call: grpc.ServerDuplexStream<Buffer, Buffer>, bytes: number): boolean {
  const session = (call as unknown as Inside).call?.stream?.session
  if (session === undefined || typeof session.setLocalWindowSize !== 'function' || session.destroyed) return false
  session.setLocalWindowSize(bytes)
  // Streams that are open grow with it (RFC 9113, 6.9.2).
  session.settings({ initialWindowSize: bytes })
  return true
}
