/** A small wait between two calls of a client: what is tested is faults, not load. */
const THINK_MS = { from: 2, to: 12 }

/** What a client does again and again. */
export interface Task {
  readonly step: () => Promise<unknown>
  /** It waits between the two after each. Default: 2 to 12. */
  readonly thinkMs?: { readonly from: number; readonly to: number }
}

/** Clients that go on one step after the other until they are told to stop. */
export class Crew {
  #isStopped = false
  #running: Promise<unknown> = Promise.resolve()

  /** `random` only paces them. */
  start(tasks: readonly Task[], random: () => number): void {
    const loop = async ({ step, thinkMs = THINK_MS }: Task): Promise<void> => {
      while (!this.#isStopped) {
        await step()
        const waitMs = thinkMs.from + random() * (thinkMs.to - thinkMs.from)
        await new Promise((resolve) => setTimeout(resolve, waitMs))
      }
    }
    this.#running = Promise.all(tasks.map(loop))
    // Looked at in stop; a failure before that must not count as unhandled.
    this.#running.catch(() => {})
  }

  /** Resolves when nothing is under way any more; rejects with what a client failed with. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#running
  }
}
