import type { Logger, LogLevel } from '../base/ports.js'

/** Counts what nodes log, by what it says up to the first colon, leaving out what says nothing by its number. */
export class Happenings implements Logger {
  readonly #counts = new Map<string, number>()

  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  log(level: LogLevel, message: string): void {
    if (level === 'debug') return
    const name = message.split(':', 1)[0]!
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1)
  }
}
