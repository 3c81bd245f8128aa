import type { Holdfast } from '../../src/client/index.js'
import { pick } from '../random.js'
import { Caller } from './caller.js'
import { Crew } from './crew.js'
import type { Finding, RunningWorkload, Workload, WorkloadContext } from './types.js'

const NAME = 'append'
const CALLERS = 4
const LISTS = 4
/** A longer list makes place for a fresh one. */
const LENGTH_MAX = 60
/** Of calls; the others append. */
const READS = 0.3

interface Seen {
  readonly elements: readonly string[]
  readonly at: number
}

class RunningAppend implements RunningWorkload {
  readonly #context: WorkloadContext
  readonly #crew: Crew
  readonly #generations = new Array<number>(LISTS).fill(0)
  /** By key, the longest that anybody saw. */
  readonly #longest = new Map<string, Seen>()
  readonly #acknowledged: { readonly key: string; readonly element: string; readonly at: number }[] = []
  readonly #findings: Finding[] = []
  #elements = 0

  constructor(context: WorkloadContext) {
    this.#context = context
    this.#crew = new Crew(context)
    this.#crew.hire(CALLERS, (caller) => this.#step(caller))
  }

  stop(): Promise<void> {
    return this.#crew.stop()
  }

  async check(db: Holdfast): Promise<Finding[]> {
    const reader = Caller.calm({ ...this.#context, db })
    const keys = this.#generations.flatMap((last, list) =>
      Array.from({ length: last + 1 }, (_, generation) => keyOf(list, generation)),
    )
    for (const key of keys) {
      if ((await this.#read(reader, key)) === undefined)
        this.#findings.push({ what: `${key} can't be read`, operations: [] })
    }
    for (const { key, element, at } of this.#acknowledged) {
      const list = this.#longest.get(key)
      const count = list?.elements.filter((other) => other === element).length ?? 0
      if (count === 1) continue
      const operations = list === undefined ? [at] : [at, list.at]
      this.#findings.push({ what: `${key} holds ${element}, which was acknowledged, ${count} times`, operations })
    }
    return this.#findings
  }

  async #step(caller: Caller): Promise<void> {
    const { random } = this.#context
    const list = Math.floor(random() * LISTS)
    const key = keyOf(list, this.#generations[list]!)
    const seen = await this.#read(caller, key)
    if (seen === undefined || random() < READS) return
    const element = `e${++this.#elements}`
    const value = seen === null ? element : `${seen},${element}`
    const { done, at } = await caller.cas(key, { expect: seen, value })
    if (done === true) this.#acknowledged.push({ key, element, at: at[0]! })
    if (elementsOf(value).length >= LENGTH_MAX && key === keyOf(list, this.#generations[list]!))
      this.#generations[list]!++
  }

  /** What one saw must be the beginning of what another saw, or the other way round. */
  async #read(caller: Caller, key: string): Promise<string | null | undefined> {
    const { value, at } = await caller.get(key)
    if (value === undefined) return undefined
    const elements = value === null ? [] : elementsOf(value)
    const longest = this.#longest.get(key) ?? { elements: [], at }
    const common = Math.min(elements.length, longest.elements.length)
    if (elements.slice(0, common).join() !== longest.elements.slice(0, common).join()) {
      this.#findings.push({ what: `${key}: two reads differ in what they begin with`, operations: [longest.at, at] })
    }
    if (elements.length > longest.elements.length) this.#longest.set(key, { elements, at })
    return value
  }
}

function elementsOf(value: string): string[] {
  return value.split(',')
}

function keyOf(list: number, generation: number): string {
  return `${NAME}/${list}/${String(generation).padStart(4, '0')}`
}

/** Lists that grow at their end under the condition that nobody else was faster. */
export const append: Workload = {
  name: NAME,
  about: 'lists that grow by conditional put: nothing lost, nothing doubled, one order for all',
  splitAt: [`${NAME}/2`],
  splitKey: (random) => `${NAME}/${pick(random, [0, 1, 2, 3])}/${String(Math.floor(random() * 50)).padStart(4, '0')}`,
  start: async (context) => new RunningAppend(context),
}
