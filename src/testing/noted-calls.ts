import { HoldfastError } from '../base/errors.js'
import type { Key, Version } from '../base/ids.js'
import { splitStoredKey } from '../base/keyspace.js'
import type { CallOptions, ClientCore } from '../client/core.js'
import { ConditionRefusal } from '../client/errors.js'
import type { Row, WeakRead } from '../kv/requests.js'
import type { Condition, Write } from '../kv/types.js'
import type { ClientTally } from './client-tally.js'
import type { Call, History } from './history.js'
import { type Keys, namesOf, rawKey } from './registers.js'

export interface NotedCallsOptions {
  readonly client: number
  readonly core: ClientCore
  readonly history: History
  readonly keys: Keys
  readonly tally: ClientTally
  /** What was written to a key under this version; undefined: nothing. */
  writtenAt(name: string, version: Version): string | null | undefined
  /** A key was read, and this is there; null: nothing is. */
  saw(name: string, row: Row | null): void
  /** Called where one call contradicts what it may do. */
  report(violation: string): void
}

/** What a batch found where one of its conditions did not hold. */
export interface Found {
  readonly key: string
  readonly value: string | null
}

export interface Written {
  readonly version: Version
  /** Per delete, in order: was there something. */
  readonly deleted: readonly boolean[]
}

/** A span, as pages of it are asked for. */
export interface ScanAsked {
  readonly start: string
  readonly end: string
  readonly reverse: boolean
  readonly keysOnly: boolean
  readonly weak: AnyReplica | undefined
  limit(): number
  /** Waits between two pages, as a reader does that works on what it reads. */
  pause(): Promise<void>
}

/** A read that any replica may answer. */
export type AnyReplica = Exclude<WeakRead, { kind: 'leaderLease' }>

/** One client's calls, each noted in the history with what came of it. */
export class NotedCalls {
  readonly #options: NotedCallsOptions

  constructor(options: NotedCallsOptions) {
    this.#options = options
  }

  /** `isOneView`: all lies in one range. Returns what made it fail; null: it succeeded. */
  async get(
    names: readonly string[],
    call: CallOptions,
    { isOneView = false, weak }: { isOneView?: boolean; weak?: WeakRead } = {},
  ): Promise<unknown> {
    const { core, history, client, saw } = this.#options
    const invoke = history.moment()
    try {
      const rows = await core.get(names.map(rawKey), { ...call, weak })
      const results = names.map((key, at) => readOf(key, rows[at] ?? null))
      history.ended(client, invoke, 'ok', results, isOneView)
      for (const [at, name] of names.entries()) saw(name, rows[at] ?? null)
      return null
    } catch (error) {
      this.#readFailed(error)
      return error
    }
  }

  /** Asks any replica: for no less than this client has seen, or ('stale') for some picture. */
  async getAnywhere(names: readonly string[], call: CallOptions, weak: AnyReplica): Promise<void> {
    const { core, history, client } = this.#options
    const seen = weak.kind === 'follower' ? core.seen : null
    try {
      const rows = await core.get(names.map(rawKey), { ...call, weak })
      const reads = names.map((key, at) => {
        const row = rows[at] ?? null
        return { client, key, result: textOf(row), version: row?.version ?? (0 as Version) }
      })
      history.followed(reads, seen)
    } catch (error) {
      this.#readFailed(error)
    }
  }

  async scan({ reverse, keysOnly, weak, limit, pause, ...span }: ScanAsked, call: CallOptions): Promise<void> {
    const { core, history, client } = this.#options
    const seen = weak?.kind === 'follower' ? core.seen : null
    let [start, end] = [rawKey(span.start), rawKey(span.end)]
    let at: Version | null = null
    const invoke = history.moment()
    try {
      for (;;) {
        const page = await core.scanPage({ start, end, reverse, limit: limit(), keysOnly, at }, { ...call, weak })
        const covered = reverse ? { start: page.resume ?? start, end } : { start, end: page.resume ?? end }
        const calls = this.#pageOf(covered, page.rows, keysOnly)
        const shown = at ?? page.at
        if (shown !== null) history.scanned({ client, span: covered, at: shown, rows: page.rows, keysOnly, seen })
        if (weak === undefined) history.ended(client, invoke, 'ok', calls, at === null ? true : 'goes on')
        if (page.resume === null) return
        if (reverse) end = page.resume
        else start = page.resume
        if (start >= end) return
        at = page.at
        await pause()
      }
    } catch (error) {
      this.#readFailed(error)
    }
  }

  /** All keys of the span: what has no row is not there. */
  #pageOf({ start, end }: { start: Key; end: Key }, rows: readonly Row[], keysOnly: boolean): Call[] {
    const names = namesOf(this.#options.keys).filter((name) => rawKey(name) >= start && rawKey(name) < end)
    const found = new Map(rows.map((row) => [splitStoredKey(row.key).bytes, row]))
    for (const name of found.keys()) {
      if (!names.includes(name)) {
        this.#options.report(`client ${this.#options.client} was shown ${name}, which nobody wrote or asked for`)
      }
    }
    return names.map((name) => {
      const row = found.get(name)
      return row !== undefined && keysOnly ? this.#named(name, row) : readOf(name, row ?? null)
    })
  }

  /** A row without its value says under which version the value was written. */
  #named(key: string, { version, value }: Row): Call {
    const { client, report, writtenAt } = this.#options
    if (value.length > 0) report(`client ${client} asked for keys alone and got a value of ${key}`)
    const result = writtenAt(key, version)
    if (typeof result !== 'string') report(`client ${client} found ${key} at version ${version}; nothing is there`)
    return { op: 'get', key, result: result ?? null, version }
  }

  /** `calls`: what it did if it was written (`written`), or where a condition did not hold (`found`), or may have done (neither). */
  async write(
    writes: readonly Write[],
    conditions: readonly Condition[],
    call: CallOptions,
    calls: (written: Written | null, found: Found | null) => readonly Call[],
  ): Promise<Written | null> {
    const { core, history, client, tally } = this.#options
    const invoke = history.moment()
    try {
      const written = await core.write({ conditions, writes, wantValue: true }, call)
      const { version } = written
      const done = calls(written, null).map((each) => (each.op === 'get' ? each : { ...each, version }))
      history.ended(client, invoke, 'ok', done)
      return written
    } catch (error) {
      const { mayHaveBeenApplied } = this.#failed(error)
      const found = this.#foundBy(error)
      if (found !== null) history.ended(client, invoke, 'ok', calls(null, found))
      else history.ended(client, invoke, mayHaveBeenApplied ? 'info' : 'fail', calls(null, null))
      if (call.signal?.aborted === true && mayHaveBeenApplied) tally.count('given up, may have been applied')
      return null
    }
  }

  /** What a failed condition found; null: the error says something else. An answer to a repeat brings the version alone. */
  #foundBy(error: unknown): Found | null {
    const failed = error instanceof ConditionRefusal ? error.failed[0] : undefined
    if (failed === undefined) return null
    const { bytes: key } = splitStoredKey(failed.key)
    if (failed.version === 0) return { key, value: null }
    if (failed.value !== null) return { key, value: textOf(failed) }
    const value = this.#options.writtenAt(key, failed.version)
    if (typeof value === 'string') return { key, value }
    this.#options.report(
      `client ${this.#options.client} was told of ${key} at version ${failed.version}; nothing is there`,
    )
    return { key, value: null }
  }

  /** Anything that is not an error of the catalogue is a bug: it is thrown on. */
  #failed(error: unknown): HoldfastError {
    if (!(error instanceof HoldfastError)) throw error
    const { client, tally, report } = this.#options
    tally.count(`ended ${error.code}`)
    if (error.code === 'INTERNAL') report(`a call of client ${client} ended as ${error}`)
    return error
  }

  #readFailed(error: unknown): void {
    if (this.#failed(error).mayHaveBeenApplied)
      this.#options.report(`a read of client ${this.#options.client} ended as ${error}`)
  }
}

function readOf(key: string, row: Row | null): Call {
  return { op: 'get', key, result: textOf(row), version: row === null ? (0 as Version) : row.version }
}

export function textOf(row: { readonly value: Uint8Array | null } | null): string | null {
  return row === null || row.value === null ? null : Buffer.from(row.value).toString('utf8')
}
