import type { Holdfast } from '../../src/client/index.js'
import { pick } from '../random.js'
import { Caller } from './caller.js'
import { Crew } from './crew.js'
import type { Finding, RunningWorkload, Workload, WorkloadContext } from './types.js'

const NAME = 'register'
const CALLERS = 14
const SLOTS = 12
/** A slot's key is replaced after so many calls: a history of one key that never ends takes ever longer to judge. */
const CALLS_PER_KEY = 500

/** Of steps, how many ask a follower: those are no part of the history. */
const FOLLOWER_SHARE = 0.05

/** Of calls; the rest are deletes. */
const SHARE = { get: 0.54, put: 0.2, cas: 0.19 }

/** A place in the key space, and the key that is in use there. */
class Slot {
  readonly #prefix: string
  #generation = 0
  #calls = 0
  /** Of the present key, as somebody last read it. */
  lastSeen: string | null = null

  constructor(at: number) {
    this.#prefix = `${NAME}/${String(at).padStart(2, '0')}`
  }

  /** The key for the next call. */
  next(): string {
    if (this.#calls++ === CALLS_PER_KEY) {
      this.#calls = 1
      this.#generation++
      this.lastSeen = null
    }
    return `${this.#prefix}/${String(this.#generation).padStart(3, '0')}`
  }
}

class RunningRegister implements RunningWorkload {
  readonly #context: WorkloadContext
  readonly #slots = Array.from({ length: SLOTS }, (_, at) => new Slot(at))
  readonly #crew: Crew
  readonly #findings: Finding[] = []
  #values = 0

  constructor(context: WorkloadContext) {
    this.#context = context
    this.#crew = new Crew(context)
    this.#crew.hire(CALLERS, (caller) => this.#step(caller))
  }

  stop(): Promise<void> {
    return this.#crew.stop()
  }

  /** Every key once more. Whether that fits is for the search to say. */
  async check(db: Holdfast): Promise<Finding[]> {
    const { operations } = this.#context.history
    const keys = new Set(operations.map(({ key }) => key).filter((key) => key.startsWith(`${NAME}/`)))
    const reader = Caller.calm({ ...this.#context, db })
    const findings = [...this.#findings]
    for (const key of keys) {
      const { at, value } = await reader.get(key)
      if (value === undefined) findings.push({ what: `${key} can't be read`, operations: [at] })
    }
    return findings
  }

  async #step(caller: Caller): Promise<void> {
    const { random } = this.#context
    if (random() < FOLLOWER_SHARE) {
      const mark = `${NAME}/${String(Math.floor(random() * SLOTS)).padStart(2, '0')}/mark`
      const older = await caller.followed(mark, random() < 0.5 ? `m${++this.#values}` : null)
      if (older !== null) this.#findings.push({ what: older, operations: [] })
      return
    }
    const slot = pick(random, this.#slots)
    const key = slot.next()
    const dice = random()
    const value = `v${++this.#values}`
    if (dice < SHARE.get) {
      const read = await caller.get(key)
      if (read.value !== undefined) slot.lastSeen = read.value
    } else if (dice < SHARE.get + SHARE.put) {
      const { done } = await caller.put(key, value)
      if (done === true) slot.lastSeen = value
    } else if (dice < SHARE.get + SHARE.put + SHARE.cas) {
      const { done } = await caller.cas(key, { expect: slot.lastSeen, value })
      if (done === true) slot.lastSeen = value
    } else {
      const { done } = await caller.delete(key)
      if (done !== undefined) slot.lastSeen = null
    }
  }
}

/** Registers: put, get, conditional put and delete, a few clients at a time on each of many keys, over several ranges. */
export const register: Workload = {
  name: NAME,
  about:
    'put, get, conditional put and delete on many keys over several ranges; linearizable per key; followers tell nothing older than what the client saw',
  splitAt: [`${NAME}/03`, `${NAME}/06`, `${NAME}/09`],
  splitKey: (random) => `${NAME}/${String(Math.floor(random() * SLOTS)).padStart(2, '0')}/${Math.floor(random() * 10)}`,
  start: async (context) => new RunningRegister(context),
}
