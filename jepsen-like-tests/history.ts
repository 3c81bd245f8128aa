import type { Operation } from '../src/testing/index.js'

/** What one client call said of one key. */
export type Call = Operation extends infer Each
  ? Each extends Operation
    ? Omit<Each, 'client' | 'invoke' | 'complete' | 'status'>
    : never
  : never

/** What was done to the keys of one workload. */
export interface Tally {
  ok: number
  reads: number
  writes: number
  /** Writes whose outcome nobody knows. */
  unknown: number
  readonly okByKey: Map<string, number>
}

/**
 * What all clients of a run did, in the order in which their calls ended. All of them live in this process. Times are nanoseconds since
 * the log began, on one monotonic clock, no two alike; only the parts of one call, on several keys, begin at the same moment.
 */
export class HistoryLog {
  readonly operations: Operation[] = []
  readonly #beginNs = process.hrtime.bigint()
  #lastNs = 0
  #lastClient = 0
  /** Calls that failed, by the code of their error. */
  readonly errors = new Map<string, number>()
  readonly #tallies = new Map<string, Tally>()

  /** Of the workload of that name. */
  tally(workload: string): Tally {
    let tally = this.#tallies.get(workload)
    if (tally === undefined) {
      tally = { ok: 0, reads: 0, writes: 0, unknown: 0, okByKey: new Map() }
      this.#tallies.set(workload, tally)
    }
    return tally
  }

  /** Of all workloads together. */
  total(): Tally {
    const sum: Tally = { ok: 0, reads: 0, writes: 0, unknown: 0, okByKey: new Map() }
    for (const { ok, reads, writes, unknown, okByKey } of this.#tallies.values()) {
      sum.ok += ok
      sum.reads += reads
      sum.writes += writes
      sum.unknown += unknown
      for (const [key, count] of okByKey) sum.okByKey.set(key, count)
    }
    return sum
  }

  /** The next place on the real-time line. */
  now(): number {
    this.#lastNs = Math.max(Number(process.hrtime.bigint() - this.#beginNs), this.#lastNs + 1)
    return this.#lastNs
  }

  /** A number that no client had before: for a new one, and for one that does not know how its last call ended. */
  newClient(): number {
    return ++this.#lastClient
  }

  /** A call ended now. Returns its place in the history. */
  add(what: { client: string | number; invoke: number; status: Operation['status'] }, call: Call): number {
    this.#count(what.status, call)
    this.operations.push({ ...call, ...what, complete: this.now() } as Operation)
    return this.operations.length - 1
  }

  failed(code: string): void {
    this.errors.set(code, (this.errors.get(code) ?? 0) + 1)
  }

  #count(status: Operation['status'], { key, op }: Call): void {
    const tally = this.tally(key.slice(0, key.indexOf('/')))
    if (op === 'get') tally.reads++
    else tally.writes++
    if (status === 'info') tally.unknown++
    if (status !== 'ok') return
    tally.ok++
    tally.okByKey.set(key, (tally.okByKey.get(key) ?? 0) + 1)
  }
}
