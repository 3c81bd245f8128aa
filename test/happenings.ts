/** Wakes whoever waits for a condition each time something happened that may have made it true. */
export class Happenings {
  #waiting: (() => void)[] = []

  happened(): void {
    for (const wake of this.#waiting.splice(0)) wake()
  }

  /** Resolves with the first of its answers that is neither null nor false. */
  async until<Value>(look: () => Value | null): Promise<Value> {
    for (;;) {
      const value = look()
      if (value !== null && value !== false) return value
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }
}
