import { Caller } from './caller.js'
import type { WorkloadContext } from './types.js'

/** A small wait between two calls of a client: what is tested is faults, not load. */
const THINK_MS = { from: 2, to: 12 }

/** Clients that go on one step after the other until they are told to stop. */
export class Crew {
  readonly #context: WorkloadContext
  readonly #loops: Promise<void>[] = []
  #isStopped = false

  constructor(context: WorkloadContext) {
    this.#context = context
  }

  /** So many more clients, each on its connection, that do this again and again. `thinkMs`: they wait between the two after each; default 2 to 12. */
  hire(count: number, step: (caller: Caller) => Promise<unknown>, thinkMs = THINK_MS): void {
    for (let left = count; left > 0; left--) {
      const db = this.#context.connection(this.#loops.length)
      const loop = this.#loop(new Caller({ ...this.#context, db }), step, thinkMs)
      // Looked at in stop; a failure before that must not count as unhandled.
      loop.catch(() => {})
      this.#loops.push(loop)
    }
  }

  async #loop(caller: Caller, step: (caller: Caller) => Promise<unknown>, thinkMs: typeof THINK_MS): Promise<void> {
    const { random } = this.#context
    while (!this.#isStopped) {
      await step(caller)
      const waitMs = thinkMs.from + random() * (thinkMs.to - thinkMs.from)
      await new Promise((resolve) => setTimeout(resolve, waitMs))
    }
  }

  /** Resolves when nothing is under way any more; rejects with what a client failed with. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await Promise.all(this.#loops)
  }
}
