import type { SessionId } from '../base/ids.js'
import type { Reply, Request } from '../kv/requests.js'

/** Counts what clients come by: what they send again under its number, the codes by which nodes refuse it and calls end, and what they do themselves. */
export class ClientTally {
  readonly #counts = new Map<string, number>()
  /** The highest sequence that a session has sent: they are handed out in the order in which requests first leave. */
  readonly #sent = new Map<SessionId, number>()

  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  count(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1)
  }

  sends(requests: readonly Request[]): void {
    for (const request of requests) {
      const origin = 'origin' in request ? request.origin : null
      if (origin === null) continue
      if (origin.sequence <= (this.#sent.get(origin.session) ?? 0)) this.count('sent again')
      else this.#sent.set(origin.session, origin.sequence)
    }
  }

  hears(replies: readonly Reply[]): void {
    for (const reply of replies) if (reply.kind === 'error') this.count(`refused ${reply.error.code}`)
  }
}
