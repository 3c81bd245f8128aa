import { limits } from '../base/limits.js'

/** What all clients of a node have under way together: each of them is bounded, and so is their sum. */
export class ClientLoad {
  /** Requests without an answer, and their bytes. */
  requests = 0
  requestBytes = 0
  /** Answers that wait to be read. */
  replyBytes = 0

  /** Why one more request of so many bytes is refused, or null. */
  refusalOf(bytes: number): string | null {
    if (this.requests >= limits.nodeRequestsInFlightMax) {
      return `${this.requests} requests of all clients are open, expected at most ${limits.nodeRequestsInFlightMax}`
    }
    if (this.requestBytes + bytes <= limits.nodeBytesInFlightMax) return null
    return `${this.requestBytes + bytes} bytes of all clients are open, expected at most ${limits.nodeBytesInFlightMax}`
  }

  opened(bytes: number): void {
    this.requests++
    this.requestBytes += bytes
  }

  closed(requests: number, bytes: number): void {
    this.requests -= requests
    this.requestBytes -= bytes
  }
}
