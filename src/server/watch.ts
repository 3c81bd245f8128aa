import type { Clock } from '../base/ports.js'
import type { ClientServer } from '../transport/client-server.js'
import type { PeerServer } from '../transport/peer-server.js'
import { nodeGauges } from './gauges.js'
import { type Phase, type Readiness, readinessOf } from './health.js'
import type { HttpPages } from './http.js'
import { LoopWatch } from './loop-watch.js'
import type { NodeMetrics } from './metrics.js'
import type { OpenNode } from './node.js'
import { watchProcess } from './process-metrics.js'
import { realClock } from './real-ports.js'

const nobody = { replies() {} }

/** What is told of a node to whoever watches it: filled in while the node is put together. */
export class Watch implements HttpPages {
  phase: Phase = 'starting'
  open: OpenNode | null = null
  clients: ClientServer | null = null
  peerServer: PeerServer | null = null
  readonly #metrics: NodeMetrics
  readonly #isMember: () => boolean
  readonly #loop: LoopWatch
  readonly #stopWatching: () => void

  constructor(parts: { metrics: NodeMetrics; isMember: () => boolean }) {
    this.#metrics = parts.metrics
    this.#isMember = parts.isMember
    this.#loop = new LoopWatch(parts.metrics, realClock)
    this.#stopWatching = watchProcess(parts.metrics)
    parts.metrics.addGauges(nodeGauges(this))
  }

  /** For the store: measures its turns. */
  get clock(): Clock {
    return this.#loop.clock
  }

  /** Before the store is open there is no loop but the process's own, and whoever gets an answer sees that run. */
  async live(): Promise<boolean> {
    const { open } = this
    return open === null || this.#loop.runs(() => open.store.submit([], nobody))
  }

  ready(): Readiness {
    const figures = this.open?.store.figures() ?? null
    return readinessOf({ phase: this.phase, isMember: this.#isMember(), figures })
  }

  metrics(): Promise<string> {
    return this.#metrics.print()
  }

  get metricsType(): string {
    return this.#metrics.contentType
  }

  close(): void {
    this.#stopWatching()
  }
}
