import { pick } from '../random.js'
import type { Caller } from './caller.js'
import { Crew } from './crew.js'
import type { Finding, RunningWorkload, Workload, WorkloadContext } from './types.js'

const NAME = 'scan'
const WRITERS = 3
const SCANNERS = 2
const SCAN_EVERY_MS = { from: 100, to: 250 }
const KEYS = Array.from({ length: 24 }, (_, at) => `${NAME}/${String(at).padStart(2, '0')}`)
/** Of writes; the rest are deletes. */
const PUTS = 0.7

class RunningScan implements RunningWorkload {
  readonly #context: WorkloadContext
  readonly #crew: Crew
  readonly #findings: Finding[] = []
  #values = 0

  constructor(context: WorkloadContext) {
    this.#context = context
    this.#crew = new Crew(context)
    this.#crew.hire(WRITERS, (writer) => this.#write(writer))
    this.#crew.hire(SCANNERS, (scanner) => this.#scan(scanner), SCAN_EVERY_MS)
  }

  stop(): Promise<void> {
    return this.#crew.stop()
  }

  async check(): Promise<Finding[]> {
    return this.#findings
  }

  #write(caller: Caller): Promise<unknown> {
    const { random } = this.#context
    const key = pick(random, KEYS)
    return random() < PUTS ? caller.put(key, `v${++this.#values}`) : caller.delete(key)
  }

  /** What it says of each key is for the search to judge; here only the order. */
  async #scan(caller: Caller): Promise<void> {
    const scanned = await caller.scan(`${NAME}/`, KEYS)
    if (scanned === null) return
    const told = scanned.entries.map(({ key }) => key)
    const isRight = told.every((key, at) => KEYS.includes(key) && (at === 0 || told[at - 1]! < key))
    if (isRight) return
    this.#findings.push({
      what: `a scan told ${told.join(' ')}: out of order, or with keys that nobody wrote`,
      operations: [...scanned.places.values()],
    })
  }
}

/** Scans over two ranges while single keys are put and deleted: each scan is a read of every key. */
export const scan: Workload = {
  name: NAME,
  about:
    'scans over several ranges against puts and deletes: each key as a read between beginning and end would see it',
  splitAt: [KEYS[12]!],
  splitKey: (random) => `${pick(random, KEYS)}~`,
  start: async (context) => new RunningScan(context),
}
