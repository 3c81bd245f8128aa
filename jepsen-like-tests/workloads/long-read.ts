import { HoldfastError } from '../../src/client/index.js'
import { Caller } from './caller.js'
import { Crew } from './crew.js'
import type { Finding, RunningWorkload, Workload, WorkloadContext } from './types.js'

const NAME = 'long-read'
const WRITERS = 2
/** Keys of a pair lie so far from each other: at least one page of a scan. */
const PAIRS = 1_200
const READ_EVERY_MS = { from: 50, to: 200 }
/** A reader rests after so many entries: its pages are fetched over more than a second. */
const REST = { every: 400, ms: 200 }
const PAGE_DEADLINE_MS = 3_000

class RunningLongRead implements RunningWorkload {
  readonly #context: WorkloadContext
  readonly #crew: Crew
  readonly #findings: Finding[] = []
  #values = 0
  #finished = 0

  constructor(context: WorkloadContext) {
    this.#context = context
    this.#crew = new Crew(context)
    this.#crew.hire(WRITERS, (writer) => {
      return writer.putAll(pair(Math.floor(context.random() * PAIRS)), `v${++this.#values}`)
    })
    this.#crew.hire(1, () => this.#read(), READ_EVERY_MS)
  }

  stop(): Promise<void> {
    return this.#crew.stop()
  }

  async check(): Promise<Finding[]> {
    return this.#findings
  }

  lack(): string | null {
    return this.#finished + this.#findings.length > 0 ? null : 'no read of everything has come to its end'
  }

  /** Both keys of a pair are always written together: at one version they hold the same. */
  async #read(): Promise<void> {
    const { history } = this.#context
    const begun = { client: history.newClient(), invoke: history.now(), status: 'ok' as const }
    const firsts: string[] = []
    let count = 0
    try {
      const scan = this.#context.connection(WRITERS).scan<string>({ prefix: `${NAME}/`, deadlineMs: PAGE_DEADLINE_MS })
      for await (const { key, value } of scan) {
        if (count < PAIRS) firsts.push(value)
        else if (value !== firsts[count - PAIRS]) {
          const results = [firsts[count - PAIRS]!, value]
          const operations = pair(count - PAIRS).map((each, at) =>
            history.add(begun, { op: 'get', key: each, result: results[at]! }),
          )
          this.#findings.push({ what: `${String(key)} and its twin read as ${results.join(' and ')}`, operations })
          return
        }
        if (++count % REST.every === 0) await new Promise((resolve) => setTimeout(resolve, REST.ms))
      }
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error
      history.failed(error.code)
      return
    }
    this.#finished++
    if (count === 2 * PAIRS) return
    this.#findings.push({
      what: `a read of ${2 * PAIRS} keys, none of which is ever deleted, told ${count}`,
      operations: [],
    })
  }
}

function pair(at: number): [string, string] {
  return [keyAt(at), keyAt(at + PAIRS)]
}

function keyAt(at: number): string {
  return `${NAME}/${String(at).padStart(4, '0')}`
}

/** Before anybody reads: all keys hold the same. */
async function fill(context: WorkloadContext): Promise<void> {
  const caller = Caller.calm({ ...context, db: context.connection(0), hangUps: 0 })
  for (let at = 0; at < PAIRS; at += PAIRS / 4) {
    const keys = Array.from({ length: PAIRS / 4 }, (_, n) => pair(at + n)).flat()
    const { done } = await caller.putAll(keys, 'v0')
    if (done !== true) throw new Error(`${NAME}: it could not be filled`)
  }
}

/** Readers that take seconds for one scan, in pages, all at one version. */
export const longRead: Workload = {
  name: NAME,
  about: 'scans that take seconds, while pairs of keys a page apart are written together: one version from end to end',
  // A cut inside would give the two parts a version each.
  splitAt: [`${NAME}/`, `${NAME}0`],
  splitKey: () => `${NAME}/`,
  start: async (context) => {
    await fill(context)
    return new RunningLongRead(context)
  },
}
