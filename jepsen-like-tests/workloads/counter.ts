import type { Holdfast } from '../../src/client/index.js'
import { Caller } from './caller.js'
import { Crew } from './crew.js'
import type { Finding, RunningWorkload, Workload, WorkloadContext } from './types.js'

const NAME = 'counter'
const CALLERS = 4
const COUNTERS = 3

interface Counter {
  readonly key: string
  acknowledged: number
  unknown: number
}

class RunningCounter implements RunningWorkload {
  readonly #context: WorkloadContext
  readonly #crew: Crew
  readonly #counters: readonly Counter[]

  constructor(context: WorkloadContext) {
    this.#context = context
    this.#counters = Array.from({ length: COUNTERS }, (_, at) => ({
      key: `${NAME}/${at}`,
      acknowledged: 0,
      unknown: 0,
    }))
    this.#crew = new Crew(context)
    this.#crew.hire(CALLERS, (caller) => increment(caller, this.#counters[Math.floor(context.random() * COUNTERS)]!))
  }

  stop(): Promise<void> {
    return this.#crew.stop()
  }

  async check(db: Holdfast): Promise<Finding[]> {
    const reader = Caller.calm({ ...this.#context, db })
    const findings: Finding[] = []
    for (const { key, acknowledged, unknown } of this.#counters) {
      const { value, at } = await reader.get(key)
      const stands = Number(value ?? 0)
      if (value !== undefined && stands >= acknowledged && stands <= acknowledged + unknown) continue
      const what = `${key} stands at ${value} after ${acknowledged} acknowledged increments and ${unknown} unknown ones`
      findings.push({ what, operations: [at] })
    }
    return findings
  }
}

async function increment(caller: Caller, counter: Counter): Promise<void> {
  const { key } = counter
  const { value } = await caller.get(key)
  if (value === undefined) return
  const { done, status } = await caller.cas(key, { expect: value, value: String(Number(value ?? 0) + 1) })
  if (done === true) counter.acknowledged++
  if (status === 'info') counter.unknown++
}

/** Every increment is one conditional put: applied twice or lost, the sum would tell. */
export const counter: Workload = {
  name: NAME,
  about: 'increments by conditional put: each is counted exactly once, whatever is retried',
  splitAt: [`${NAME}/1`],
  splitKey: (random) => `${NAME}/${Math.floor(random() * COUNTERS)}`,
  start: async (context) => new RunningCounter(context),
}
