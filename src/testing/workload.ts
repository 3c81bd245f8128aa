import { HoldfastError } from '../base/errors.js'
import type { Key, Version } from '../base/ids.js'
import { KEYSPACES, splitStoredKey, storedKey } from '../base/keyspace.js'
import type { ClientCore } from '../client/core.js'
import { ConditionRefusal } from '../client/errors.js'
import type { Row, WeakRead } from '../kv/requests.js'
import type { Condition, Write } from '../kv/types.js'
import type { Call, History } from './history.js'
import type { SimProcess } from './process.js'
import type { SeededRandom } from './random.js'

/** Registers of a simulation's workload. */
export const REGISTERS = 16

/** Name of the register at a place from 0. */
export function registerAt(at: number): string {
  return String(at).padStart(2, '0')
}

/** Of a reader that takes its time between two pages. */
const LONG_PAUSE_MS_MAX = 800

/** Names of registers, and of pairs that only batches write, both at once: `05` belongs to the pair `05/a`, `05/b`. */
export interface Keys {
  readonly registers: readonly string[]
  readonly pairs: readonly string[]
}

export function keysOf(count: number): Keys {
  const registers = Array.from({ length: count }, (_, at) => registerAt(at))
  return { registers, pairs: registers.filter((_, at) => at % 4 === 1) }
}

/** All keys that a workload writes. */
export function namesOf({ registers, pairs }: Keys): string[] {
  return [...registers, ...pairs.flatMap((pair) => [`${pair}/a`, `${pair}/b`])]
}

export function rawKey(name: string): Key {
  return storedKey(KEYSPACES.raw, name)
}

interface Known {
  readonly value: string | null
  readonly version: Version
}

export interface WorkloadClientOptions {
  readonly id: number
  readonly core: ClientCore
  readonly process: SimProcess
  readonly random: SeededRandom
  readonly history: History
  readonly keys: Keys
  /** Longest pause between two calls, in milliseconds. */
  readonly thinkMsMax: number
  /** By how much a pause is longer just now. */
  pace(): number
  /** Called where one read contradicts itself. */
  report(violation: string): void
}

/** One client that calls again and again until it is told to stop, and notes what came of it. Each value is written once. */
export class WorkloadClient {
  readonly #options: WorkloadClientOptions
  readonly #random: SeededRandom
  /** What it believes to be there, for conditions. */
  readonly #known = new Map<string, Known>()
  #written = 0
  #stopping = false

  constructor(options: WorkloadClientOptions) {
    this.#options = options
    this.#random = options.random
  }

  stop(): void {
    this.#stopping = true
  }

  /** Resolves after `stop`, when the last call has ended. */
  async run(): Promise<void> {
    while (!this.#stopping) {
      await this.#callOnce()
      await this.#pause(this.#random.between(0, this.#options.thinkMsMax) * this.#options.pace())
    }
  }

  /** Reads every key once. Throws if that takes longer than `deadlineMs` for all of them together. */
  async readAll(deadlineMs: number): Promise<void> {
    const { clock } = this.#options.process
    const untilMs = clock.monotonicMs() + deadlineMs
    for (const name of namesOf(this.#options.keys)) {
      const ended = await this.#get([name], Math.max(1, untilMs - clock.monotonicMs()))
      if (ended !== null)
        throw new Error(`${name} could not be read within ${deadlineMs} ms of all being healed`, { cause: ended })
    }
  }

  async #callOnce(): Promise<void> {
    const { registers, pairs } = this.#options.keys
    const deadlineMs = this.#random.between(500, 6_000)
    // Some keys are hot: writes that meet are what conditions and orders are about.
    const name = this.#random.chance(0.4) ? registers[5]! : this.#random.pick(registers)
    const dice = this.#random.below(100)
    if (dice < 30) return this.#put(name, deadlineMs)
    if (dice < 45) return void (await this.#get(this.#someNames(name), deadlineMs))
    if (dice < 50) return void (await this.#get(this.#someNames(name), deadlineMs, { weak: { kind: 'leaderLease' } }))
    if (dice < 55) return this.#follow(this.#someNames(name), deadlineMs)
    if (dice < 75) return this.#conditionalPut(name, deadlineMs)
    if (dice < 80) return this.#delete(name, deadlineMs)
    if (dice < 85) return this.#scan(deadlineMs, this.#random.chance(0.1) ? LONG_PAUSE_MS_MAX : 0)
    if (dice < 93) return this.#putPair(this.#random.pick(pairs), deadlineMs)
    return this.#getPair(this.#random.pick(pairs), deadlineMs)
  }

  #someNames(first: string): string[] {
    const names = new Set([first])
    while (this.#random.chance(0.3)) names.add(this.#random.pick(this.#options.keys.registers))
    return [...names]
  }

  #newValue(): string {
    return `${this.#options.id}.${++this.#written}`
  }

  async #put(name: string, deadlineMs: number): Promise<void> {
    const value = this.#newValue()
    const written = await this.#write([putOf(name, value)], [], deadlineMs, () => [{ op: 'put', key: name, value }])
    this.#knows(name, written === null ? undefined : { value, version: written.version })
  }

  async #delete(name: string, deadlineMs: number): Promise<void> {
    const write: Write = { kind: 'delete', key: rawKey(name) }
    const written = await this.#write([write], [], deadlineMs, (result) => [
      { op: 'delete', key: name, ...(result === null ? {} : { result: result.deleted[0]! }) },
    ])
    this.#knows(name, written === null ? undefined : { value: null, version: 0 as Version })
  }

  async #conditionalPut(name: string, deadlineMs: number): Promise<void> {
    const known = this.#known.get(name) ?? { value: null, version: 0 as Version }
    const value = this.#newValue()
    const cas = { op: 'cas', key: name, expect: known.value, value } as const
    const condition = this.#conditionOn(name, known)
    const written = await this.#write([putOf(name, value)], [condition], deadlineMs, (result, found) => [
      { ...cas, result: result !== null, ...(found === undefined ? {} : { found }) },
    ])
    this.#knows(name, written === null ? undefined : { value, version: written.version })
  }

  #conditionOn(name: string, { value, version }: Known): Condition {
    const key = rawKey(name)
    if (value === null) return { kind: 'absent', key }
    if (this.#random.chance(0.5)) return { kind: 'version', key, version }
    return { kind: 'value', key, codec: 'utf8', value: Buffer.from(value) }
  }

  async #putPair(pair: string, deadlineMs: number): Promise<void> {
    const value = this.#newValue()
    const names = [`${pair}/a`, `${pair}/b`]
    const writes = names.map((name) => putOf(name, value))
    const [guard] = names as [string, string]
    const known = this.#known.get(guard)
    const conditions = known !== undefined && this.#random.chance(0.5) ? [this.#conditionOn(guard, known)] : []
    await this.#write(writes, conditions, deadlineMs, (_, found) =>
      found === undefined
        ? names.map((key) => ({ op: 'put', key, value }))
        : [{ op: 'get', key: guard, result: found }],
    )
  }

  /** Both keys of a pair always lie in one range: one read of both never sees half a batch. */
  async #getPair(pair: string, deadlineMs: number): Promise<void> {
    const names = [`${pair}/a`, `${pair}/b`]
    await this.#get(names, deadlineMs, { isOneView: true })
  }

  /** Returns what made it fail; null: it succeeded. */
  async #get(
    names: readonly string[],
    deadlineMs: number,
    { isOneView = false, weak }: { isOneView?: boolean; weak?: WeakRead } = {},
  ): Promise<unknown> {
    const { core, history, id } = this.#options
    const invoke = history.moment()
    try {
      const rows = await core.get(names.map(rawKey), { deadlineMs, weak })
      const results = names.map((key, at) => readOf(key, rows[at] ?? null))
      history.ended(id, invoke, 'ok', results, isOneView)
      for (const [at, name] of names.entries()) this.#saw(name, rows[at] ?? null)
      return null
    } catch (error) {
      this.#mustBeDefinite(error)
      return error
    }
  }

  /** Asks any replica for no less than this client has seen. */
  async #follow(names: readonly string[], deadlineMs: number): Promise<void> {
    const { core, history, id: client } = this.#options
    const { seen } = core
    try {
      const rows = await core.get(names.map(rawKey), { deadlineMs, weak: { kind: 'follower' } })
      const reads = names.map((key, at) => {
        const row = rows[at] ?? null
        return { client, key, result: textOf(row), version: row?.version ?? (0 as Version) }
      })
      history.followed(reads, seen)
    } catch (error) {
      this.#mustBeDefinite(error)
    }
  }

  /** Pauses up to `pauseMsMax` between two pages, as a reader does that works on what it reads. */
  async #scan(deadlineMs: number, pauseMsMax: number): Promise<void> {
    const { core, history, id, keys } = this.#options
    const bounds = [this.#random.pick(keys.registers), this.#random.pick(keys.registers)].sort()
    const reverse = this.#random.chance(0.3)
    let [start, end] = [rawKey(bounds[0]!), rawKey(`${bounds[1]!}/~`)]
    let at: Version | null = null
    const invoke = history.moment()
    try {
      for (;;) {
        const limit = 1 + this.#random.below(12)
        const page = await core.scanPage({ start, end, reverse, limit, keysOnly: false, at }, { deadlineMs })
        const covered = reverse ? { start: page.resume ?? start, end } : { start, end: page.resume ?? end }
        const names = this.#namesIn(covered.start, covered.end)
        const shown = at ?? page.at
        if (shown !== null) history.scanned({ client: id, span: covered, at: shown, rows: page.rows })
        const rows = new Map(page.rows.map((row) => [splitStoredKey(row.key).bytes, row]))
        history.ended(
          id,
          invoke,
          'ok',
          names.map((key) => readOf(key, rows.get(key) ?? null)),
          at === null ? true : 'goes on',
        )
        if (page.resume === null) return
        if (pauseMsMax > 0) await this.#pause(this.#random.between(0, pauseMsMax))
        if (reverse) end = page.resume
        else start = page.resume
        at = page.at
      }
    } catch (error) {
      this.#mustBeDefinite(error)
    }
  }

  #namesIn(start: Key, end: Key): string[] {
    return namesOf(this.#options.keys).filter((name) => rawKey(name) >= start && rawKey(name) < end)
  }

  async #write(
    writes: readonly Write[],
    conditions: readonly Condition[],
    deadlineMs: number,
    calls: (result: { readonly deleted: readonly boolean[] } | null, found?: string | null) => readonly Call[],
  ): Promise<{ readonly version: Version } | null> {
    const { core, history, id } = this.#options
    const invoke = history.moment()
    try {
      const result = await core.write({ conditions, writes, wantValue: true }, { deadlineMs })
      const { version } = result
      history.ended(
        id,
        invoke,
        'ok',
        calls(result).map((call) => ({ ...call, version })),
      )
      return result
    } catch (error) {
      const found = foundBy(error)
      if (found !== undefined) history.ended(id, invoke, 'ok', calls(null, found))
      else if (isUnknown(error)) history.ended(id, invoke, 'info', calls(null))
      else history.ended(id, invoke, 'fail', calls(null))
      return null
    }
  }

  #mustBeDefinite(error: unknown): void {
    if (isUnknown(error)) this.#options.report(`a read of client ${this.#options.id} ended as ${error}`)
  }

  #saw(name: string, row: Row | null): void {
    this.#knows(name, row === null ? undefined : { value: textOf(row), version: row.version })
  }

  #knows(name: string, known: Known | undefined): void {
    if (known === undefined) this.#known.delete(name)
    else this.#known.set(name, known)
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#options.process.clock.setTimer(ms, resolve))
  }
}

function putOf(name: string, value: string): Write {
  return { kind: 'put', key: rawKey(name), codec: 'utf8', value: Buffer.from(value) }
}

function readOf(key: string, row: Row | null): Call {
  return { op: 'get', key, result: textOf(row), version: row === null ? (0 as Version) : row.version }
}

function textOf(row: { readonly value: Uint8Array | null } | null): string | null {
  return row === null || row.value === null ? null : Buffer.from(row.value).toString('utf8')
}

/** What a failed condition found; undefined: the error says something else. */
function foundBy(error: unknown): string | null | undefined {
  if (!(error instanceof ConditionRefusal)) return undefined
  const [failed] = error.failed
  return failed === undefined || failed.version === 0 ? null : textOf(failed)
}

/** Anything that is not an error of the catalogue is a bug: it is thrown on. */
function isUnknown(error: unknown): boolean {
  if (!(error instanceof HoldfastError)) throw error
  return error.mayHaveBeenApplied
}
