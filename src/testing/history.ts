import type { Operation } from './linearizability.js'

type Call = Operation extends infer Each
  ? Each extends Operation
    ? Omit<Each, 'client' | 'invoke' | 'complete' | 'status'>
    : never
  : never

/** What clients did, in the order in which they did it. */
export class History {
  readonly operations: Operation[] = []
  #moment = 0
  #acknowledged = 0
  #unknown = 0

  /** Operations that succeeded. */
  get acknowledged(): number {
    return this.#acknowledged
  }

  /** Writes whose outcome nobody knows. */
  get unknown(): number {
    return this.#unknown
  }

  /** The next place on the real-time line: for the moment at which a call begins. */
  moment(): number {
    return ++this.#moment
  }

  /** One call ended now; it did `calls`, of one key each. */
  ended(client: number, invoke: number, status: Operation['status'], calls: readonly Call[]): void {
    if (status === 'ok') this.#acknowledged++
    if (status === 'info') this.#unknown++
    for (const call of calls) {
      this.operations.push({ ...call, client, invoke, complete: this.moment(), status } as Operation)
    }
  }
}
