import { setTimeout as sleep } from 'node:timers/promises'
import { HoldfastError } from '../../src/base/errors.js'
import type { ClusterStatus, Holdfast } from '../../src/client/index.js'
import { splitByData } from './auto-split.js'
import type { Supervisor } from './supervisor.js'
import { rangeChanges, remembered } from './watch.js'

const POLL_MS = 500
const SPLIT_POLLS = 4

export interface EventOptions {
  readonly db: Holdfast
  readonly supervisor: Supervisor
  /** Data ranges wished for; 1: leave it at one. */
  readonly ranges: number
  readonly say: (line: string) => void
}

/** Says a line for everything that happens to the cluster, until `stop`. */
export async function followEvents(first: ClusterStatus, options: EventOptions, stop: AbortSignal): Promise<void> {
  const { db, say } = options
  const nodes = new NodeWatch(first, options)
  let before = first
  let wantsSplit = options.ranges > 1
  for (let poll = 1; !stop.aborted; poll += 1) {
    await sleep(POLL_MS, undefined, { signal: stop }).catch(() => {})
    const after = await ignoreUnavailable(() => db.status())
    if (stop.aborted) return
    if (after === null) continue
    nodes.compare(after)
    for (const line of rangeChanges(before, after)) say(line)
    before = remembered(before, after)
    if (wantsSplit && poll % SPLIT_POLLS === 0) wantsSplit = !(await splitOnce(options))
  }
}

/** A cluster that doesn't answer is what is watched here, no reason to end. */
export async function ignoreUnavailable<T>(action: () => Promise<T>): Promise<T | null> {
  try {
    return await action()
  } catch (error) {
    if (error instanceof HoldfastError) return null
    throw error
  }
}

async function splitOnce({ db, ranges, say }: EventOptions): Promise<boolean> {
  const made = await ignoreUnavailable(() => splitByData(db, ranges))
  if (made === null) return false
  if (made > 0) say(`the data was cut into ${made + 1} ranges by the keys that are there (--ranges ${ranges})`)
  return true
}

/** Tells nodes that died from nodes that only don't answer. */
class NodeWatch {
  readonly #supervisor: Supervisor
  readonly #say: (line: string) => void
  readonly #pids = new Map<number, number | null>()
  readonly #silent = new Set<number>()

  constructor(first: ClusterStatus, { supervisor, say }: Pick<EventOptions, 'supervisor' | 'say'>) {
    this.#supervisor = supervisor
    this.#say = say
    for (const node of first.nodes) this.#pids.set(node.id, this.#pidOf(node.address))
  }

  compare(after: ClusterStatus): void {
    for (const { id, address, up } of after.nodes) {
      const pid = this.#pidOf(address)
      const isAnother = pid !== null && pid !== this.#pids.get(id)
      if (isAnother && up) {
        this.#say(`node ${id} is back (process ${pid})`)
        this.#pids.set(id, pid)
        this.#silent.delete(id)
      } else if (up && this.#silent.delete(id)) {
        this.#say(`node ${id} answers again`)
      } else if (!up && pid !== null && !isAnother && !this.#silent.has(id)) {
        this.#say(`node ${id} does not answer (process ${pid} is there)`)
        this.#silent.add(id)
      }
    }
  }

  #pidOf(address: string): number | null {
    return this.#supervisor.pidAt(Number(address.slice(address.lastIndexOf(':') + 1)))
  }
}
