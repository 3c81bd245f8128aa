import type { Caller } from './caller.js'
import { Crew } from './crew.js'
import type { Finding, RunningWorkload, Workload, WorkloadContext } from './types.js'

const NAME = 'batch'
const WRITERS = 3
const READERS = 2
const READ_EVERY_MS = { from: 10, to: 40 }
const GROUPS = 6
const MEMBERS = ['a', 'b', 'c', 'd']

class RunningBatch implements RunningWorkload {
  readonly #context: WorkloadContext
  readonly #crew: Crew
  readonly #findings: Finding[] = []
  #values = 0

  constructor(context: WorkloadContext) {
    this.#context = context
    this.#crew = new Crew(context)
    this.#crew.hire(WRITERS, (writer) => writer.putAll(keysOf(this.#group()), `v${++this.#values}`))
    this.#crew.hire(READERS, (reader) => this.#read(reader, this.#group()), READ_EVERY_MS)
  }

  stop(): Promise<void> {
    return this.#crew.stop()
  }

  async check(): Promise<Finding[]> {
    return this.#findings
  }

  #group(): number {
    return Math.floor(this.#context.random() * GROUPS)
  }

  async #read(caller: Caller, group: number): Promise<void> {
    const scanned = await caller.scan(`${NAME}/${group}/`, keysOf(group))
    if (scanned === null) return
    const found = new Map(scanned.entries.map(({ key, value }) => [key, value]))
    const values = keysOf(group).map((key) => found.get(key) ?? null)
    if (values.every((value) => value === values[0])) return
    const what = `group ${group} read as ${values.join(', ')}: a batch was seen in part`
    this.#findings.push({ what, operations: [...scanned.places.values()] })
  }
}

function keysOf(group: number): string[] {
  return MEMBERS.map((member) => `${NAME}/${group}/${member}`)
}

/** Batches that write the same to all keys of a group, and scans of a group: all of a batch is seen, or nothing. */
export const batch: Workload = {
  name: NAME,
  about: 'batches over four keys of a range: every read sees all of a batch or nothing',
  splitAt: [`${NAME}/3`],
  splitKey: (random) => `${NAME}/${Math.floor(random() * GROUPS)}`,
  start: async (context) => new RunningBatch(context),
}
