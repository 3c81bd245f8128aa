import type { Logger } from '../base/ports.js'

const SUBJECTS_MAX = 256

/** Logs a lasting problem once per change, not once per retry. */
export class ProblemLog {
  readonly #logger: Logger
  readonly #last = new Map<string, string>()

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** `problem` null: all is well with the subject. Says whether anything was logged. */
  maybeLog(subject: string, problem: string | null): boolean {
    const last = this.#last.get(subject)
    if (last === (problem ?? undefined)) return false
    this.#last.delete(subject)
    if (problem === null) {
      this.#logger.log('info', `${subject}: well again`, { subject })
      return true
    }
    const [oldest] = this.#last.keys()
    if (oldest !== undefined && this.#last.size >= SUBJECTS_MAX) this.#last.delete(oldest)
    this.#last.set(subject, problem)
    this.#logger.log('warn', `${subject}: ${problem}`, { subject })
    return true
  }

  forget(subject: string): void {
    this.#last.delete(subject)
  }
}
