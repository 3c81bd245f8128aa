import type { Clock, Fatal, Logger } from '../../base/ports.js'
import type { Files, LogFile } from '../types.js'

export const LOG_DIRECTORY = 'log'

export interface Segment {
  readonly sequence: number
  readonly path: string
  readonly file: LogFile
  readonly bytes: number
}

export interface LogOptions {
  readonly files: Files
  /** Size of a segment file; a batch that is larger gets a segment of its own size. */
  readonly segmentBytes: number
  readonly clock: Pick<Clock, 'monotonicMs' | 'setTimer'>
  readonly fatal: Fatal
  readonly logger: Logger
}

export function segmentPath(sequence: number): string {
  return `${LOG_DIRECTORY}/${String(sequence).padStart(10, '0')}.seg`
}

/** null: not the name of a segment. */
export function segmentSequence(name: string): number | null {
  const digits = /^(\d{10,})\.seg$/.exec(name)?.[1]
  return digits === undefined ? null : Number(digits)
}

/** For a person: what failed, and why where the reason has a plain name. */
export function failure(what: string, error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  const why = code === 'ENOSPC' ? 'no space is left on the device (ENOSPC)' : String((error as Error)?.message ?? error)
  return `${what}: ${why}`
}

/** The segment files: the newest is written, the next one is made ahead of need, the oldest are freed. */
export class Segments {
  readonly #options: LogOptions
  /** Oldest first; at least one. */
  readonly #segments: Segment[]
  readonly #bySequence = new Map<number, Segment>()
  #next: Promise<Segment> | null = null
  #nextBytes = 0
  /** Removals, one after another: only a suffix of the files may ever be left. */
  #freeing: Promise<void> = Promise.resolve()

  constructor(options: LogOptions, segments: readonly Segment[]) {
    this.#options = options
    this.#segments = [...segments]
    for (const segment of segments) this.#bySequence.set(segment.sequence, segment)
  }

  get current(): Segment {
    return this.#segments.at(-1)!
  }

  get diskBytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes, this.#nextBytes)
  }

  get isFull(): boolean {
    return false
  }

  whenSpace(action: () => void): void {
    action()
  }

  get(sequence: number): Segment {
    return this.#bySequence.get(sequence)!
  }

  /** Starts to make the next segment, unless that was done. */
  prepareNext(): void {
    this.#next ??= this.#make(this.current.sequence + 1, this.#options.segmentBytes)
  }

  /** Makes the next segment the current one, with room for `bytes`. */
  async advance(bytes: number): Promise<Segment> {
    this.prepareNext()
    let next = await this.#next!
    if (next.bytes < bytes) {
      await this.#remove(next)
      next = await this.#make(next.sequence, bytes)
    }
    this.#next = null
    this.#nextBytes = 0
    this.#segments.push(next)
    this.#bySequence.set(next.sequence, next)
    return next
  }

  /** Frees, in the background and oldest first, the segments before the current one of which nothing is needed. */
  maybeFree(isNeeded: (sequence: number) => boolean): boolean {
    let freed = false
    while (this.#segments.length > 1 && !isNeeded(this.#segments[0]!.sequence)) {
      const segment = this.#segments.shift()!
      this.#bySequence.delete(segment.sequence)
      this.#freeing = this.#freeing.then(() => this.#remove(segment))
      freed = true
    }
    return freed
  }

  async close(): Promise<void> {
    await this.#freeing
    const next = this.#next === null ? [] : [await this.#next]
    for (const segment of [...this.#segments, ...next]) await segment.file.close()
  }

  async #make(sequence: number, bytes: number): Promise<Segment> {
    const path = segmentPath(sequence)
    this.#nextBytes = bytes
    try {
      return { sequence, path, bytes, file: await this.#options.files.createLogFile(path, bytes) }
    } catch (error) {
      return this.#options.fatal(failure(`cannot make the log segment ${path}`, error), error)
    }
  }

  async #remove(segment: Segment): Promise<void> {
    const { files, fatal, logger } = this.#options
    try {
      await segment.file.close()
      await files.remove(segment.path)
      await files.syncDirectory(LOG_DIRECTORY)
      logger.log('debug', 'freed a log segment', { path: segment.path })
    } catch (error) {
      fatal(failure(`cannot free the log segment ${segment.path}`, error), error)
    }
  }
}
