/** Where checkers put what must not be. The first one ends the run: what follows it proves nothing. */
export class Violations {
  readonly #found: string[] = []
  readonly #onFirst: () => void

  constructor(onFirst: () => void) {
    this.#onFirst = onFirst
  }

  get found(): readonly string[] {
    return this.#found
  }

  /** Reports `message` unless `holds`. Returns `holds`. */
  require(holds: boolean, message: () => string): boolean {
    if (!holds) this.report(message())
    return holds
  }

  report(message: string): void {
    this.#found.push(message)
    if (this.#found.length === 1) this.#onFirst()
  }
}
