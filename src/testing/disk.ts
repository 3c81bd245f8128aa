import { MemoryFiles } from './files.js'
import type { SimProcess } from './process.js'
import type { SeededRandom } from './random.js'
import type { Scheduler } from './scheduler.js'
import { MemoryStateDb, type StateGuard } from './state-db.js'

export interface SimDiskOptions {
  readonly scheduler: Scheduler
  readonly random: SeededRandom
  /** Added to what each operation takes, at random up to this; milliseconds. */
  readonly syncMsMax: number
  readonly stateWithout: readonly StateGuard[]
}

/** What a disk held at some time. */
export interface DiskCopy {
  readonly files: MemoryFiles
  readonly db: MemoryStateDb
}

/** A node's disk: it stays while processes come and go, and answers the one that runs. */
export class SimDisk {
  readonly #options: SimDiskOptions
  #files: MemoryFiles
  #db: MemoryStateDb
  #process: SimProcess | null = null
  /** What it has not answered while it hangs; null: it does not hang. */
  #unanswered: (() => void)[] | null = null
  /** Power goes when this many more operations are done; null: it stays. */
  #operationsLeft: { count: number; readonly then: () => void } | null = null

  constructor(options: SimDiskOptions) {
    this.#options = options
    this.#files = this.#newFiles()
    this.#db = this.#newDb()
  }

  get files(): MemoryFiles {
    return this.#files
  }

  get db(): MemoryStateDb {
    return this.#db
  }

  get hangs(): boolean {
    return this.#unanswered !== null
  }

  /** At the next crash the first part is kept of what is being written to the log. */
  tearsNext = false

  /** Whose operations it answers from now on. Null: somebody's who works on the disk of a node that is down. */
  serve(process: SimProcess | null): void {
    this.#process = process
  }

  /** Power goes: what was not synced is lost, in part or whole. */
  crash(): void {
    this.#end()
    this.#files.crash({ torn: this.tearsNext })
    this.#db.crash()
    this.tearsNext = false
  }

  /** The process goes, and the system writes on: all that was given to it is kept. */
  kill(): void {
    this.#end()
    this.#files.kill()
    this.#db.kill()
  }

  #end(): void {
    this.#process = null
    this.#unanswered = null
    this.#mendSyncs()
  }

  #mendSyncs(): void {
    this.#operationsLeft = null
    this.#files.syncFailure = null
    this.#db.syncFailure = null
  }

  /** Nothing is wrong with it any more: what it held back it answers now. */
  heal(): void {
    this.#mendSyncs()
    this.isFull = false
    this.release()
  }

  /** It takes what it is given and answers nothing more, until `release` or a crash. */
  hang(): void {
    this.#unanswered ??= []
  }

  release(): void {
    const unanswered = this.#unanswered ?? []
    this.#unanswered = null
    if (unanswered.length > 0) this.#options.scheduler.settle()
    for (const action of unanswered) action()
  }

  /** A sync failed since the process came. */
  get hasFailed(): boolean {
    return this.#files.syncFailure !== null
  }

  /** `then` is called in place of the answer to the `count`th operation from now. */
  afterOperations(count: number, then: () => void): void {
    this.#operationsLeft = { count, then }
  }

  /** No room for more, or room again. */
  set isFull(isFull: boolean) {
    this.#files.isFull = isFull
    this.#db.isFull = isFull
  }

  /** Syncs fail from now on. What they were to write is gone as soon as the power is, and is seen until then. */
  failSyncs(): void {
    const failure = Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' })
    this.#files.syncFailure = failure
    this.#db.syncFailure = failure
  }

  /** Another, empty one is put in. */
  wipe(): void {
    this.#files = this.#newFiles()
    this.loseState()
  }

  /** The state database is gone. */
  loseState(): void {
    this.#db = this.#newDb()
  }

  copy(): DiskCopy {
    return { files: this.#files.copy(), db: this.#db.copy() }
  }

  /** As it was then. The copy is used up. */
  putBack({ files, db }: DiskCopy): void {
    this.#files = files
    this.#db = db
  }

  /** The logs of two disks change places. */
  swapLogs(other: SimDisk): void {
    this.#files.swap(other.#files, 'log')
  }

  #newFiles(): MemoryFiles {
    const { scheduler, random } = this.#options
    const atOnce = () => scheduler.settle()
    return new MemoryFiles({ schedule: this.#schedule(true), random: random.fork('files'), atOnce })
  }

  /** The state store is made of callbacks alone. */
  #newDb(): MemoryStateDb {
    const { random, stateWithout: without } = this.#options
    const options = { schedule: this.#schedule(false), random: random.fork('state'), without }
    return new MemoryStateDb({ ...options, latencyMs: 0.1, syncLatencyMs: 5, busyChance: 0.5 })
  }

  /** `settles`: promise-based code waits for it. */
  #schedule(settles: boolean): (latencyMs: number, action: () => void) => void {
    const { scheduler, random, syncMsMax } = this.#options
    return (latencyMs, action) => {
      const process = this.#process
      const answer = () => (process === null ? action() : process.enter(action))
      const arrive = () => {
        if (process !== this.#process) return
        if (this.#unanswered !== null) this.#unanswered.push(answer)
        else if (!this.#isLast()) answer()
      }
      scheduler.schedule(latencyMs + random.next() * syncMsMax, arrive, settles)
    }
  }

  #isLast(): boolean {
    const left = this.#operationsLeft
    if (left === null || --left.count > 0) return false
    this.#operationsLeft = null
    left.then()
    return true
  }
}
