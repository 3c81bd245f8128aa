import type { Holdfast } from '../../src/client/index.js'
import { pick } from '../random.js'
import { Caller } from './caller.js'
import { Crew } from './crew.js'
import type { Finding, RunningWorkload, Workload, WorkloadContext } from './types.js'

const NAME = 'set'
const CALLERS = 4
/** Of calls; the others insert. */
const READS = 0.2
const DIGITS = '0123456789abcdef'

class RunningSet implements RunningWorkload {
  readonly #context: WorkloadContext
  readonly #crew: Crew
  readonly #tried: string[] = []

  constructor(context: WorkloadContext) {
    this.#context = context
    this.#crew = new Crew(context)
    this.#crew.hire(CALLERS, (caller) => this.#step(caller))
  }

  stop(): Promise<void> {
    return this.#crew.stop()
  }

  /** Everything is read, in pages. What is there and was never inserted belongs to no key's history. */
  async check(db: Holdfast): Promise<Finding[]> {
    const reader = Caller.calm({ ...this.#context, db })
    const scanned = await reader.scan(`${NAME}/`, this.#tried)
    if (scanned === null) return [{ what: `${NAME}: it can't be read`, operations: [] }]
    const tried = new Set(this.#tried)
    const strangers = scanned.entries.filter(({ key }) => !tried.has(key))
    return strangers.map(({ key, value }) => ({ what: `${key} = ${value} was never inserted`, operations: [] }))
  }

  #step(caller: Caller): Promise<unknown> {
    const { random } = this.#context
    if (this.#tried.length > 0 && random() < READS) return caller.get(pick(random, this.#tried))
    const key = `${NAME}/${place(random)}/${this.#tried.length}`
    this.#tried.push(key)
    return caller.cas(key, { expect: null, value: String(this.#tried.length) })
  }
}

function place(random: () => number): string {
  return pick(random, [...DIGITS]) + pick(random, [...DIGITS])
}

/** Unique inserts all over the key space, under the condition that nothing is there: done twice, the second would be refused. */
export const set: Workload = {
  name: NAME,
  about: 'unique inserts, then everything is read: what was acknowledged is there, once, and nothing else',
  splitAt: [`${NAME}/5`, `${NAME}/b`],
  splitKey: (random) => `${NAME}/${place(random)}/`,
  start: async (context) => new RunningSet(context),
}
