import { ConditionFailed, type Holdfast, HoldfastError } from '../../src/client/index.js'
import type { Operation } from '../../src/testing/index.js'
import type { Call, HistoryLog } from '../history.js'

/** Calls end one way or the other within this time: a client that waits for ever proves nothing. */
const DEADLINE_MS = 3_000
/** When nothing is in the way yet or any more, on however slow a machine. */
const CALM_DEADLINE_MS = 30_000

export interface CallerOptions {
  readonly db: Holdfast
  readonly history: HistoryLog
  readonly random: () => number
  /** Of writes, how many are given up right after they were sent. 0 to 1. */
  readonly hangUps: number
  /** Milliseconds for a call. Default: 3,000. */
  readonly deadlineMs?: number
}

/** How a write ended: `done` is what it said of the key (written, deleted, condition held), undefined if it failed or nobody knows. */
export interface Written {
  readonly status: Operation['status']
  readonly done: boolean | undefined
  /** Its places in the history, one for each key. */
  readonly at: readonly number[]
}

/** `value` is undefined if the read failed. */
export interface Read {
  readonly value: string | null | undefined
  /** Its place in the history. */
  readonly at: number
}

export interface Scanned {
  readonly entries: readonly { readonly key: string; readonly value: string }[]
  /** In the history, by key. */
  readonly places: ReadonlyMap<string, number>
}

/** One client: one call after the other, and what each said goes into the history. */
export class Caller {
  readonly #options: CallerOptions
  readonly #deadlineMs: number
  #number: number

  constructor(options: CallerOptions) {
    this.#options = options
    this.#deadlineMs = options.deadlineMs ?? DEADLINE_MS
    this.#number = options.history.newClient()
  }

  /** For what is there before the first fault, and what stands when all is over. */
  static calm(options: CallerOptions): Caller {
    return new Caller({ ...options, deadlineMs: CALM_DEADLINE_MS })
  }

  async get(key: string): Promise<Read> {
    const { db, history } = this.#options
    const begun = { client: this.#number, invoke: history.now() }
    try {
      const value = await db.get<string>(key, { deadlineMs: this.#deadlineMs })
      const result = value ?? null
      return { value: result, at: history.add({ ...begun, status: 'ok' }, { op: 'get', key, result }) }
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error
      history.failed(error.code)
      return { value: undefined, at: history.add({ ...begun, status: 'fail' }, { op: 'get', key, result: null }) }
    }
  }

  /**
   * Writes `value` under a key that nobody deletes (null: reads it), outside of the history, then asks any replica for it. Says how that
   * was older than what this client had seen; null: it was not, or a call failed.
   */
  async followed(key: string, value: string | null): Promise<string | null> {
    const { db, history } = this.#options
    const limits = { deadlineMs: this.#deadlineMs }
    try {
      const seen = value === null ? await db.getEntry(key, limits) : await db.put(key, value, limits)
      if (seen === undefined) return null
      const found = await db.getEntry(key, { ...limits, consistency: 'follower' })
      if (found !== undefined && found.version >= seen.version) return null
      return `${key}: a follower told version ${found?.version ?? 0} to a client that had seen ${seen.version}`
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error
      history.failed(error.code)
      return null
    }
  }

  /**
   * Everything that begins with `prefix`, read by one scan, which says of every one of `keys` what it holds. Entries come in the order
   * in which the scan told them. null: it failed.
   */
  async scan(prefix: string, keys: readonly string[]): Promise<Scanned | null> {
    const { db, history } = this.#options
    const begun = { client: this.#number, invoke: history.now(), status: 'ok' as const }
    const entries: { key: string; value: string }[] = []
    try {
      for await (const { key, value } of db.scan<string>({ prefix, deadlineMs: this.#deadlineMs }))
        entries.push({ key: String(key), value })
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error
      history.failed(error.code)
      return null
    }
    const found = new Map(entries.map(({ key, value }) => [key, value]))
    const places = new Map<string, number>()
    for (const key of keys) places.set(key, history.add(begun, { op: 'get', key, result: found.get(key) ?? null }))
    return { entries, places }
  }

  put(key: string, value: string): Promise<Written> {
    return this.#write(
      async (limits) => {
        await this.#options.db.put(key, value, limits)
        return true
      },
      () => [{ op: 'put', key, value }],
    )
  }

  /** All of `keys` at once: all hold `value` then. */
  putAll(keys: readonly string[], value: string): Promise<Written> {
    const operations = keys.map((key) => ({ put: key, value }))
    return this.#write(
      async (limits) => {
        await this.#options.db.batch(operations, limits)
        return true
      },
      () => keys.map((key) => ({ op: 'put', key, value })),
    )
  }

  delete(key: string): Promise<Written> {
    return this.#write(
      async (limits) => (await this.#options.db.delete(key, limits)).deleted,
      (result) => [{ op: 'delete', key, ...(result === undefined ? {} : { result }) }],
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
      (result = true) => [{ op: 'cas', key, expect, value, result, ...(found === undefined ? {} : { found }) }],
    )
  }

  /** `describe` gets undefined for what failed and what nobody knows. */
  async #write(
    call: (limits: { deadlineMs: number; signal?: AbortSignal }) => Promise<boolean>,
    describe: (done: boolean | undefined) => readonly Call[],
  ): Promise<Written> {
    const { history, random, hangUps } = this.#options
    const begun = { client: this.#number, invoke: history.now() }
    const hangUp = random() < hangUps ? new AbortController() : null
    const ended = (status: Written['status'], done: boolean | undefined): Written => {
      return { status, done, at: describe(done).map((each) => history.add({ ...begun, status }, each)) }
    }
    try {
      const calling = call({ deadlineMs: this.#deadlineMs, ...(hangUp === null ? {} : { signal: hangUp.signal }) })
      // By then it was written to the socket, and hardly any answer can have come.
      if (hangUp !== null) setImmediate(() => setImmediate(() => hangUp.abort()))
      return ended('ok', await calling)
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error
      history.failed(error.code)
      const told = ended(error.mayHaveBeenApplied ? 'info' : 'fail', undefined)
      // What this client left under way may still take effect: it goes on as another.
      if (told.status === 'info') this.#number = history.newClient()
      return told
    }
  }
}
