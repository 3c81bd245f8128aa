import type { NodeId } from '../base/ids.js'
import type { Clock, Logger, LogLevel } from '../base/ports.js'

/** Of one kind of message, so many within a window are written; the rest is counted. */
const BURST = 10
const WINDOW_MS = 10_000
const KINDS_MAX = 512

type Fields = Readonly<Record<string, unknown>>

interface Kind {
  readonly level: LogLevel
  readonly message: string
  windowEndsMs: number
  written: number
  suppressed: number
}

/** A node's log: every line names the node, and a problem that repeats by the thousand is written a few times and then counted. */
export class NodeLogger implements Logger {
  readonly #to: Logger
  readonly #node: () => NodeId | null
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #kinds = new Map<string, Kind>()
  readonly #suppressing = new Set<Kind>()

  /** `node` null: it has no id yet, and lines leave the field out. */
  constructor(to: Logger, node: () => NodeId | null, clock: Pick<Clock, 'monotonicMs'>) {
    this.#to = to
    this.#node = node
    this.#clock = clock
  }

  log(level: LogLevel, message: string, fields?: Fields): void {
    const nowMs = this.#clock.monotonicMs()
    this.#tellSuppressed(nowMs)
    const kind = this.#kindOf(level, message, nowMs)
    kind.written++
    if (kind.written <= BURST) return this.#write(level, message, fields)
    kind.suppressed++
    this.#suppressing.add(kind)
  }

  /** Tells what was left out so far. Before the process ends. */
  flush(): void {
    this.#tellSuppressed(Number.POSITIVE_INFINITY)
  }

  #tellSuppressed(nowMs: number): void {
    for (const kind of this.#suppressing) {
      if (nowMs < kind.windowEndsMs) continue
      this.#suppressing.delete(kind)
      const { level, message, suppressed } = kind
      kind.suppressed = 0
      this.#write(level, `${suppressed} more like: ${message}`, { suppressed })
    }
  }

  /** Messages that differ only in numbers, addresses and the like are of one kind. */
  #kindOf(level: LogLevel, message: string, nowMs: number): Kind {
    const shape = `${level} ${message.replaceAll(/[0-9a-f]*\d[0-9a-f]*/g, '#')}`
    const known = this.#kinds.get(shape)
    if (known !== undefined && nowMs < known.windowEndsMs) return known
    const kind = { level, message, windowEndsMs: nowMs + WINDOW_MS, written: 0, suppressed: 0 }
    // In the order in which their windows end: the first is the one to forget.
    this.#kinds.delete(shape)
    if (this.#kinds.size >= KINDS_MAX) this.#kinds.delete(this.#kinds.keys().next().value ?? shape)
    this.#kinds.set(shape, kind)
    return kind
  }

  #write(level: LogLevel, message: string, fields: Fields = {}): void {
    const node = this.#node()
    this.#to.log(level, message, node === null ? fields : { node, ...fields })
  }
}
