import type { ClusterPlan } from './types.js'

/** What strikes have done to the machine and not undone yet: undone at the latest when the run ends. */
export class InForce {
  readonly #undos = new Set<() => Promise<void>>()

  prepare({ scope }: ClusterPlan, what: string): void {
    scope.defer(what, () => this.#end())
  }

  /** Returns `undo`, to be called in its time. It is done once. */
  add(undo: () => Promise<void>): () => Promise<void> {
    const once = async (): Promise<void> => {
      if (this.#undos.delete(once)) await undo()
    }
    this.#undos.add(once)
    return once
  }

  async #end(): Promise<void> {
    for (const undo of [...this.#undos]) await undo()
  }
}
