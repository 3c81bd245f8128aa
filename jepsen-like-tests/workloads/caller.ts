import { ConditionFailed, type Holdfast, HoldfastError } from '../../src/client/index.js'
import type { Operation } from '../../src/testing/index.js'
import type { Call, HistoryLog } from '../history.js'

/** Calls end one way or the other within this time: a client that waits for ever proves nothing. */
const DEADLINE_MS = 3_000

export interface CallerOptions {
  readonly db: Holdfast
  readonly history: HistoryLog
  readonly random: () => number
  /** Of writes, how many are given up right after they were sent. 0 to 1. */
  readonly hangUps: number
}

/** How a write ended: `done` is what it said of the key (written, deleted, condition held), undefined if it failed or nobody knows. */
export interface Written {
  readonly status: Operation['status']
  readonly done: boolean | undefined
  /** Its place in the history. */
  readonly at: number
}

/** `value` is undefined if the read failed. */
export interface Read {
  readonly value: string | null | undefined
  readonly at: number
}

/** One client: one call after the other, and what each said goes into the history. */
export class Caller {
  readonly #options: CallerOptions
  #number: number

  constructor(options: CallerOptions) {
    this.#options = options
    this.#number = options.history.newClient()
  }

  get number(): number {
    return this.#number
  }

  async get(key: string): Promise<Read> {
    const { db, history } = this.#options
    const begun = { client: this.#number, invoke: history.now() }
    try {
      const value = await db.get<string>(key, { deadlineMs: DEADLINE_MS })
      const result = value ?? null
      return { value: result, at: history.add({ ...begun, status: 'ok' }, { op: 'get', key, result }) }
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error
      return { value: undefined, at: history.add({ ...begun, status: 'fail' }, { op: 'get', key, result: null }) }
    }
  }

  put(key: string, value: string): Promise<Written> {
    return this.#write(
      async (limits) => {
        await this.#options.db.put(key, value, limits)
        return true
      },
      () => ({ op: 'put', key, value }),
    )
  }

  delete(key: string): Promise<Written> {
    return this.#write(
      async (limits) => (await this.#options.db.delete(key, limits)).deleted,
      (result) => ({ op: 'delete', key, ...(result === undefined ? {} : { result }) }),
    )
  }

  /** Writes `value` where `expect` is (null: nothing). */
  cas(key: string, { expect, value }: { expect: string | null; value: string }): Promise<Written> {
    const condition = expect === null ? { ifAbsent: true as const } : { ifValue: expect }
    let found: string | null | undefined
    return this.#write(
      async (limits) => {
        try {
          await this.#options.db.put(key, value, { ...limits, ...condition, wantCurrent: true })
          return true
        } catch (error) {
          if (!(error instanceof ConditionFailed)) throw error
          const { version, value: current } = error.current
          found = version === 0 ? null : (current as string | undefined)
          return false
        }
      },
      (result = true) => ({ op: 'cas', key, expect, value, result, ...(found === undefined ? {} : { found }) }),
    )
  }

  /** `describe` gets undefined for what failed and what nobody knows. */
  async #write(
    call: (limits: { deadlineMs: number; signal?: AbortSignal }) => Promise<boolean>,
    describe: (done: boolean | undefined) => Call,
  ): Promise<Written> {
    const { history, random, hangUps } = this.#options
    const begun = { client: this.#number, invoke: history.now() }
    const hangUp = random() < hangUps ? new AbortController() : null
    try {
      const calling = call({ deadlineMs: DEADLINE_MS, ...(hangUp === null ? {} : { signal: hangUp.signal }) })
      // By then it was written to the socket, and hardly any answer can have come.
      if (hangUp !== null) setImmediate(() => setImmediate(() => hangUp.abort()))
      const done = await calling
      return { status: 'ok', done, at: history.add({ ...begun, status: 'ok' }, describe(done)) }
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error
      const status = error.mayHaveBeenApplied ? 'info' : 'fail'
      const at = history.add({ ...begun, status }, describe(undefined))
      // What this client left under way may still take effect: it goes on as another.
      if (status === 'info') this.#number = history.newClient()
      return { status, done: undefined, at }
    }
  }
}
