/** A small wait between two calls of a client: what is tested is faults, not load. */
const THINK_MS = { from: 2, to: 12 }

/** Clients that go on one step after the other until they are told to stop. */
export class Crew {
  #isStopped = false
  #running: Promise<unknown> = Promise.resolve()

  /** `random` only paces them. */
  start(steps: readonly (() => Promise<unknown>)[], random: () => number): void {
    const loop = async (step: () => Promise<unknown>): Promise<void> => {
      while (!this.#isStopped) {
        await step()
        const waitMs = THINK_MS.from + random() * (THINK_MS.to - THINK_MS.from)
        await new Promise((resolve) => setTimeout(resolve, waitMs))
      }
    }
    this.#running = Promise.all(steps.map(loop))
    // Looked at in stop; a failure before that must not count as unhandled.
    this.#running.catch(() => {})
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#running
  }
}
