import { HoldfastError } from '../../src/base/errors.js'
import type { DevNode, Layout } from './layout.js'
import { NodeProcess } from './node-process.js'

const RESTART_MS = 2_000

export interface SupervisorOptions {
  readonly nodes: readonly DevNode[]
  readonly layout: Layout
  readonly restart: boolean
  readonly say: (line: string) => void
}

/** The node processes of a `dev` cluster: starts them, starts again what died, stops all. */
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #processes: readonly NodeProcess[]
  readonly #timers = new Set<NodeJS.Timeout>()
  /** Called at every change while `startAll` waits. */
  #onChange: (() => void) | null = null
  #firstFailure: HoldfastError | null = null
  #phase: 'starting' | 'running' | 'stopping' = 'starting'

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#processes = options.nodes.map(
      (node) =>
        new NodeProcess(node, options.nodes, options.layout, {
          onReady: () => this.#onChange?.(),
          onEnd: (number, reason) => this.#ended(number, reason),
        }),
    )
  }

  /** The process behind a client port; null while it does not run. */
  pidAt(port: number): number | null {
    return this.#processes.find((each) => each.node.port === port)?.pid ?? null
  }

  /** Resolves when all are up. A node that does not come up is an error that names it and its log. */
  async startAll(stop: AbortSignal): Promise<void> {
    const settled = new Promise<void>((resolve) => {
      this.#onChange = () => {
        if (this.#firstFailure !== null || this.#processes.every((each) => each.ready)) resolve()
      }
      stop.addEventListener('abort', () => resolve(), { once: true })
    })
    for (const each of this.#processes) each.start()
    await settled
    this.#onChange = null
    if (this.#firstFailure !== null) throw this.#firstFailure
    this.#phase = 'running'
  }

  async stopAll(): Promise<void> {
    this.#phase = 'stopping'
    for (const timer of this.#timers) clearTimeout(timer)
    await Promise.all(this.#processes.map((each) => each.stop()))
  }

  /** For the second Ctrl-C. */
  killAll(): void {
    for (const { pid } of this.#processes) if (pid !== null) process.kill(pid, 'SIGKILL')
  }

  #ended(number: number, reason: string): void {
    if (this.#phase === 'stopping') return
    const log = this.#options.layout.logFile(number)
    if (this.#phase === 'starting') {
      this.#firstFailure ??= new HoldfastError(
        'UNAVAILABLE',
        `node ${number} did not start: ${reason}; its log is ${log}`,
      )
      this.#onChange?.()
      return
    }
    const next = this.#options.restart ? `starting it again in ${RESTART_MS / 1000} s` : 'left as it is (--no-restart)'
    this.#options.say(`node ${number} lost (${reason}): ${next}`)
    if (this.#options.restart) this.#restartLater(number)
  }

  #restartLater(number: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      this.#processes.find((each) => each.node.number === number)?.start()
    }, RESTART_MS)
    this.#timers.add(timer)
  }
}
