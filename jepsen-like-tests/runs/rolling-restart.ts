import { type Holdfast, HoldfastError } from '../../src/client/index.js'
import type { Scope } from '../command.js'
import { Callers, valueFor } from '../ledger.js'
import { eventually, type NodeProcess, ProcessCluster } from '../processes.js'
import { wholeAgain } from '../whole.js'

const KEYS = 10_000
const VALUE_BYTES = 256
const STUCK_AFTER_MS = 60_000
const READY_WITHIN_MS = 60_000
const FAILURES_SHOWN_MAX = 10

/** What callers saw in a stretch of time. */
class Watch {
  calls = 0
  slowestMs = 0
  /** Between two calls that ended well, whoever made them. */
  longestPauseMs = 0
  #lastMs = performance.now()

  add(beginMs: number, endMs: number): void {
    this.calls++
    this.slowestMs = Math.max(this.slowestMs, endMs - beginMs)
    this.longestPauseMs = Math.max(this.longestPauseMs, endMs - this.#lastMs)
    this.#lastMs = endMs
  }
}

/** One node's orderly restart, as callers saw it. */
export interface Restart {
  readonly node: number
  readonly leaders: number
  readonly stopMs: number
  readonly startMs: number
  readonly calls: number
  readonly slowestMs: number
  readonly longestPauseMs: number
}

/** Three nodes, eight data ranges, callers that read and write all the time while each node is stopped with SIGTERM and started again. */
export class RollingRestart {
  readonly failures: string[] = []
  readonly restarts: Restart[] = []
  failed = 0
  readonly #cluster: ProcessCluster
  readonly #db: Holdfast
  readonly #callers = new Callers()
  readonly #thinkMs: number
  readonly #whole = new Watch()
  #part = new Watch()

  private constructor(cluster: ProcessCluster, db: Holdfast, thinkMs: number) {
    this.#cluster = cluster
    this.#db = db
    this.#thinkMs = thinkMs
  }

  static async begin(options: { scope: Scope; callers: number; thinkMs: number }): Promise<RollingRestart> {
    const splitAt = Array.from({ length: 7 }, (_, at) => keyAt(((at + 1) * KEYS) / 8))
    const onMade = (made: ProcessCluster): void => options.scope.defer('processes', () => made.stop())
    const cluster = await ProcessCluster.start({ splitAt, onMade })
    const run = new RollingRestart(cluster, await cluster.connect({ deadlineMs: 5_000 }), options.thinkMs)
    await wholeAgain(cluster, run.#db, STUCK_AFTER_MS)
    run.#callers.start(options.callers, (caller, n) => run.#call(caller, n))
    // So that no cold code is measured.
    await pause(3_000)
    run.#whole.slowestMs = 0
    return run
  }

  get calls(): number {
    return this.#whole.calls
  }

  get slowestMs(): number {
    return this.#whole.slowestMs
  }

  /** Every node once. */
  async round(): Promise<void> {
    for (const node of this.#cluster.nodes) {
      this.restarts.push(await this.#restart(node))
      await pause(1_000)
    }
  }

  async finish(): Promise<void> {
    await this.#callers.stop()
    await this.#db.close()
  }

  async #restart(node: NodeProcess): Promise<Restart> {
    const { nodes } = await this.#db.status()
    const report = nodes.find(({ address }) => address === node.clientAddress)!
    this.#part = new Watch()
    const part = this.#part
    const begin = performance.now()
    await node.end('SIGTERM')
    const stopped = performance.now()
    if (node.ended?.code !== 0) this.failures.push(`node ${report.id} ended with ${JSON.stringify(node.ended)}`)
    node.start()
    // As one who rolls a change out does: the node's own word is what is waited for.
    await eventually('/readyz', READY_WITHIN_MS, async () => ((await node.isReady()) ? true : null))
    return {
      node: report.id,
      leaders: report.leaders,
      stopMs: Math.round(stopped - begin),
      startMs: Math.round(performance.now() - stopped),
      calls: part.calls,
      slowestMs: Math.round(part.slowestMs),
      longestPauseMs: Math.round(part.longestPauseMs),
    }
  }

  async #call(caller: number, n: number): Promise<void> {
    const key = keyAt((caller * 7_919 + n * 104_729) % KEYS)
    const begin = performance.now()
    try {
      if (n % 2 === 0) await this.#db.put(key, valueFor(key, VALUE_BYTES))
      else await this.#db.get(key)
      const end = performance.now()
      this.#whole.add(begin, end)
      this.#part.add(begin, end)
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error
      this.failed++
      if (this.failures.length < FAILURES_SHOWN_MAX)
        this.failures.push(`${n % 2 === 0 ? 'put' : 'get'} ${key} failed: ${error.code}: ${error.message}`)
    }
    await pause(this.#thinkMs)
  }
}

function keyAt(n: number): string {
  return `key${String(Math.floor(n)).padStart(5, '0')}`
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
