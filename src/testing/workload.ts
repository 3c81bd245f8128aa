import type { Version } from '../base/ids.js'
import type { CallOptions, ClientCore } from '../client/core.js'
import type { Row } from '../kv/requests.js'
import type { Condition, Write } from '../kv/types.js'
import type { ClientTally } from './client-tally.js'
import type { Call, History } from './history.js'
import { type AnyReplica, type Found, NotedCalls, textOf, type Written } from './noted-calls.js'
import type { SimProcess } from './process.js'
import type { SeededRandom } from './random.js'
import { halvesOf, type Keys, namesOf, rawKey } from './registers.js'

/** Of a reader that takes its time between two pages. */
const LONG_PAUSE_MS_MAX = 800
/** Chance that a call's caller does not wait for its end, and for how long it waits at most: until the call has left, is under way, or is in trouble. */
const GIVEN_UP = 0.04
const PATIENCE_MS_MAX = [1, 10, 500]
/** Chance after each call that a client sleeps, and how long: longer than some ranges keep what its session did. */
const SLEEPS = 1 / 250
const SLEEP_MS_MIN = 1_500
const SLEEP_MS_MAX = 9_000
const SLEEP_STEP_MS = 100

interface Known {
  readonly value: string | null
  readonly version: Version
}

/** A key of a batch. `guard`: it is only looked at. `expected`: what is there, or the batch is not written; null: that is left open. */
interface BatchPart {
  readonly name: string
  readonly deed: 'put' | 'delete' | 'guard'
  readonly expected: Known | null
}

export interface WorkloadClientOptions {
  readonly id: number
  readonly core: ClientCore
  readonly process: SimProcess
  readonly random: SeededRandom
  readonly history: History
  readonly keys: Keys
  readonly tally: ClientTally
  /** Longest pause between two calls, in milliseconds. */
  readonly thinkMsMax: number
  /** By how much a pause is longer just now. */
  pace(): number
  /** What was written to a key under this version; undefined: nothing. */
  writtenAt(name: string, version: Version): string | null | undefined
  /** Called where one call contradicts what it may do. */
  report(violation: string): void
}

/** One client that calls again and again until it is told to stop. Each value is written once. */
export class WorkloadClient {
  readonly #options: WorkloadClientOptions
  readonly #random: SeededRandom
  readonly #calls: NotedCalls
  /** What it believes to be there, for conditions. */
  readonly #known = new Map<string, Known>()
  #written = 0
  #stopping = false

  constructor(options: WorkloadClientOptions) {
    this.#options = options
    this.#random = options.random
    this.#calls = new NotedCalls({ ...options, client: options.id, saw: (name, row) => this.#saw(name, row) })
  }

  stop(): void {
    this.#stopping = true
  }

  /** Resolves after `stop`, when the last call has ended. */
  async run(): Promise<void> {
    while (!this.#stopping) {
      await this.#withPatience((call) => this.#callOnce(this.#someName(), call))
      await this.#pause(this.#random.between(0, this.#options.thinkMsMax) * this.#options.pace())
      if (this.#random.chance(SLEEPS)) await this.#sleep()
    }
  }

  /** Reads every key once. Throws if that takes longer than `deadlineMs` for all of them together. */
  async readAll(deadlineMs: number): Promise<void> {
    const { clock } = this.#options.process
    const untilMs = clock.monotonicMs() + deadlineMs
    for (const name of namesOf(this.#options.keys)) {
      const ended = await this.#calls.get([name], { deadlineMs: Math.max(1, untilMs - clock.monotonicMs()) })
      if (ended !== null)
        throw new Error(`${name} could not be read within ${deadlineMs} ms of all being healed`, { cause: ended })
    }
  }

  /** Some callers give up before the call's deadline. */
  async #withPatience(act: (call: CallOptions) => Promise<void>): Promise<void> {
    const { process, tally } = this.#options
    const deadlineMs = this.#random.between(500, 6_000)
    if (!this.#random.chance(GIVEN_UP)) return act({ deadlineMs })
    const patience = new AbortController()
    const patienceMs = this.#random.between(0, this.#random.pick(PATIENCE_MS_MAX))
    const cancel = process.clock.setTimer(patienceMs, () => patience.abort())
    await act({ deadlineMs, signal: patience.signal })
    cancel()
    if (patience.signal.aborted) tally.count('given up')
  }

  /** What it does first then is a write: a read would tell it of the present, and its session would be as young as any. */
  async #sleep(): Promise<void> {
    const ms = this.#random.between(SLEEP_MS_MIN, SLEEP_MS_MAX)
    for (let left = ms; left > 0 && !this.#stopping; left -= SLEEP_STEP_MS) await this.#pause(SLEEP_STEP_MS)
    this.#options.tally.count('slept')
    await this.#withPatience((call) => this.#put(this.#someName(), call))
  }

  /** Some keys are hot: writes that meet are what conditions and orders are about. */
  #someName(): string {
    const { registers } = this.#options.keys
    return this.#random.chance(0.4) ? registers[5]! : this.#random.pick(registers)
  }

  async #callOnce(name: string, call: CallOptions): Promise<void> {
    const pair = this.#random.pick(this.#options.keys.pairs)
    const dice = this.#random.below(100)
    if (dice < 27) return this.#put(name, call)
    if (dice < 42) return void (await this.#calls.get(this.#someNames(name), call))
    if (dice < 47) return void (await this.#calls.get(this.#someNames(name), call, { weak: { kind: 'leaderLease' } }))
    if (dice < 52) return this.#calls.getAnywhere(this.#someNames(name), call, this.#someWeakness())
    if (dice < 72) return this.#conditionalPut(name, call)
    if (dice < 76) return this.#delete([name], call)
    if (dice < 77) return this.#delete(halvesOf(pair), call)
    if (dice < 83) return this.#scan(call)
    if (dice < 87) return this.#mixedBatch([name, this.#neighbourOf(name)], call)
    if (dice < 93) return this.#putBoth(halvesOf(pair), call)
    // Both keys of a pair always lie in one range: one read of both never sees half a batch.
    return void (await this.#calls.get(halvesOf(pair), call, { isOneView: true }))
  }

  #someNames(first: string): string[] {
    const names = new Set([first])
    while (this.#random.chance(0.3)) names.add(this.#random.pick(this.#options.keys.registers))
    return [...names]
  }

  /** Most often in the same range. */
  #neighbourOf(name: string): string {
    const { registers } = this.#options.keys
    return registers[(registers.indexOf(name) + 1) % registers.length]!
  }

  #someWeakness(): AnyReplica {
    if (this.#random.chance(0.7)) return { kind: 'follower' }
    return { kind: 'stale', maxStaleMs: this.#random.pick([0, 100, 5_000]) }
  }

  #newValue(): string {
    return `${this.#options.id}.${++this.#written}`
  }

  async #put(name: string, call: CallOptions): Promise<void> {
    const value = this.#newValue()
    const written = await this.#calls.write([putOf(name, value)], [], call, () => [{ op: 'put', key: name, value }])
    this.#knows(name, written === null ? undefined : { value, version: written.version })
  }

  async #delete(names: readonly string[], call: CallOptions): Promise<void> {
    const writes = names.map((name): Write => ({ kind: 'delete', key: rawKey(name) }))
    const written = await this.#calls.write(writes, [], call, (result) =>
      names.map((key, at) => ({ op: 'delete', key, ...(result === null ? {} : { result: result.deleted[at]! }) })),
    )
    for (const name of names) this.#knows(name, written === null ? undefined : { value: null, version: 0 as Version })
  }

  async #conditionalPut(name: string, call: CallOptions): Promise<void> {
    const known = this.#known.get(name) ?? { value: null, version: 0 as Version }
    const value = this.#newValue()
    const cas = { op: 'cas', key: name, expect: known.value, value } as const
    const conditions = [this.#conditionOn(name, known)]
    const written = await this.#calls.write([putOf(name, value)], conditions, call, (result, found): Call[] => [
      { ...cas, result: result !== null, ...(found === null ? {} : { found: found.value }) },
    ])
    this.#knows(name, written === null ? undefined : { value, version: written.version })
  }

  #conditionOn(name: string, { value, version }: Known): Condition {
    const key = rawKey(name)
    if (value === null) return { kind: 'absent', key }
    if (this.#random.chance(0.5)) return { kind: 'version', key, version }
    return { kind: 'value', key, codec: 'utf8', value: Buffer.from(value) }
  }

  /** One batch, at times with conditions on what it is believed to replace. */
  #putBoth(names: readonly string[], call: CallOptions): Promise<void> {
    return this.#batch(
      names.map((name) => this.#part(name, 'put', 0.5)),
      call,
    )
  }

  /** Puts, deletes, and keys that are only looked at. Two registers may lie in two ranges: then it is refused. */
  #mixedBatch(names: readonly [string, string], call: CallOptions): Promise<void> {
    const parts = names.map((name) => this.#part(name, this.#random.pick(['put', 'put', 'delete', 'guard']), 0.7))
    return this.#batch(
      parts.every(({ deed }) => deed === 'guard') ? parts.map((part) => ({ ...part, deed: 'put' })) : parts,
      call,
    )
  }

  #part(name: string, deed: BatchPart['deed'], conditionChance: number): BatchPart {
    const expected = this.#random.chance(conditionChance) ? (this.#known.get(name) ?? null) : null
    return { name, expected, deed: deed === 'guard' && expected === null ? 'put' : deed }
  }

  async #batch(parts: readonly BatchPart[], call: CallOptions): Promise<void> {
    const value = this.#newValue()
    const conditions = parts.flatMap(({ name, expected }) =>
      expected === null ? [] : [this.#conditionOn(name, expected)],
    )
    const writes = parts.flatMap(({ name, deed }): Write[] => {
      if (deed === 'guard') return []
      return [deed === 'put' ? putOf(name, value) : { kind: 'delete', key: rawKey(name) }]
    })
    const written = await this.#calls.write(writes, conditions, call, (result, found) =>
      found === null ? callsOf(parts, value, result) : [readOf(found)],
    )
    for (const { name, deed } of parts) {
      if (written === null) this.#knows(name, undefined)
      else if (deed === 'put') this.#knows(name, { value, version: written.version })
      else if (deed === 'delete') this.#knows(name, { value: null, version: 0 as Version })
    }
  }

  async #scan(call: CallOptions): Promise<void> {
    const { registers } = this.#options.keys
    const [first, last] = [this.#random.pick(registers), this.#random.pick(registers)].sort() as [string, string]
    const pauseMsMax = this.#random.chance(0.1) ? LONG_PAUSE_MS_MAX : 0
    const weak = this.#random.chance(0.2) ? this.#someWeakness() : undefined
    await this.#calls.scan(
      {
        weak,
        start: first,
        end: `${last}/~`,
        reverse: this.#random.chance(0.3),
        keysOnly: this.#random.chance(0.2),
        limit: () => 1 + this.#random.below(12),
        pause: async () => {
          if (pauseMsMax > 0) await this.#pause(this.#random.between(0, pauseMsMax))
        },
      },
      call,
    )
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

/** What a batch did to each key if it was written, or may have done. A condition that held is a read of what it expects. */
function callsOf(parts: readonly BatchPart[], value: string, written: Written | null): Call[] {
  const deleted = [...(written?.deleted ?? [])]
  return parts.flatMap(({ name: key, deed, expected }): Call[] => {
    const held: Call[] = written === null || expected === null ? [] : [{ op: 'get', key, result: expected.value }]
    if (deed === 'guard') return held
    if (deed === 'delete') {
      return [...held, { op: 'delete', key, ...(written === null ? {} : { result: deleted.shift()! }) }]
    }
    if (expected === null) return [{ op: 'put', key, value }]
    return [{ op: 'cas', key, expect: expected.value, value, result: written !== null }]
  })
}

/** A condition that does not hold tells what is there. */
function readOf({ key, value }: Found): Call {
  return { op: 'get', key, result: value }
}
