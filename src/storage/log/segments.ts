import type { Buggify, Clock, Fatal, Logger } from '../../base/ports.js'
import { isDiskFull } from '../disk-full.js'
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
  /** Default: never. */
  readonly buggify?: Buggify
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
  const why =
    code === 'ENOSPC' || code === 'EDQUOT'
      ? `no space is left on the device (${code})`
      : String((error as Error)?.message ?? error)
  return `${what}: ${why}`
}

const RETRY_MS = 1_000

/**
 * The segment files: the newest is written, one spare is always made ahead of need, the oldest are freed.
 *
 * Only making a segment takes room on the disk. What is appended goes into blocks that were written with zeros and synced before,
 * so it cannot fail for want of room (on a file system that writes in place, as ext4 and xfs do; on one that copies, ENOSPC there is
 * as fatal as EIO).
 */
export class Segments {
  readonly #options: LogOptions
  /** Oldest first; at least one. */
  readonly #segments: Segment[]
  readonly #bySequence = new Map<number, Segment>()
  #spare: Segment | null
  #making: Promise<void> | null = null
  #cancelRetry: (() => void) | null = null
  #waiting: { readonly bytes: number; readonly done: (segment: Segment) => void } | null = null
  #isFull = false
  #spaceActions: (() => void)[] = []
  /** Removals, one after another: only a suffix of the files may ever be left. */
  #freeing: Promise<void> = Promise.resolve()

  constructor(options: LogOptions, segments: readonly Segment[], spare: Segment | null) {
    this.#options = options
    this.#segments = [...segments]
    this.#spare = spare
    for (const segment of segments) this.#bySequence.set(segment.sequence, segment)
  }

  get current(): Segment {
    return this.#segments.at(-1)!
  }

  get oldest(): Segment {
    return this.#segments[0]!
  }

  get diskBytes(): number {
    return this.writtenBytes + (this.#spare?.bytes ?? 0)
  }

  /** Without the spare one. */
  get writtenBytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes, 0)
  }

  get isFull(): boolean {
    return this.#isFull
  }

  whenSpace(action: () => void): void {
    if (this.#isFull) this.#spaceActions.push(action)
    else action()
  }

  get(sequence: number): Segment {
    return this.#bySequence.get(sequence)!
  }

  /** Starts to make the spare segment, unless it is there. */
  prepareNext(bytes: number): void {
    if (this.#spare === null && this.#making === null && this.#cancelRetry === null) this.#make(bytes)
  }

  /** Makes the next segment the current one, with room for `bytes`, as soon as it is there. */
  advance(bytes: number, done: (segment: Segment) => void): void {
    const spare = this.#spare
    if (spare !== null && spare.bytes >= bytes && this.#options.buggify?.('spare lost') !== true) {
      this.#spare = null
      this.#segments.push(spare)
      this.#bySequence.set(spare.sequence, spare)
      return done(spare)
    }
    this.#waiting = { bytes, done }
    if (spare === null) return this.prepareNext(Math.max(bytes, this.#options.segmentBytes))
    this.#spare = null
    this.#making = this.#remove(spare).then(() => this.#make(bytes))
  }

  /** Frees, in the background and oldest first, the segments before the current one of which nothing is needed. */
  maybeFree(isNeeded: (sequence: number) => boolean): boolean {
    let freed = false
    while (this.#segments.length > 1 && !isNeeded(this.oldest.sequence)) {
      const segment = this.#segments.shift()!
      this.#bySequence.delete(segment.sequence)
      this.#freeing = this.#freeing.then(() => this.#remove(segment))
      freed = true
    }
    return freed
  }

  async close(): Promise<void> {
    await this.#freeing
    this.#cancelRetry?.()
    while (this.#making !== null) await this.#making
    this.#cancelRetry?.()
    const spare = this.#spare === null ? [] : [this.#spare]
    for (const segment of [...this.#segments, ...spare]) await segment.file.close()
  }

  #make(bytes: number): void {
    const sequence = this.current.sequence + 1
    const path = segmentPath(sequence)
    this.#cancelRetry = null
    this.#making = this.#options.files.createLogFile(path, bytes).then(
      (file) => this.#made({ sequence, path, bytes, file }),
      (error: unknown) => this.#failed({ path, bytes, error }),
    )
  }

  #made(segment: Segment): void {
    this.#making = null
    this.#spare = segment
    if (this.#isFull) this.#options.logger.log('info', 'there is room for the log again')
    this.#isFull = false
    for (const action of this.#spaceActions.splice(0)) action()
    const waiting = this.#waiting
    this.#waiting = null
    if (waiting !== null) this.advance(waiting.bytes, waiting.done)
  }

  #failed({ path, bytes, error }: { path: string; bytes: number; error: unknown }): void {
    this.#making = null
    const reason = failure(`cannot make the log segment ${path}`, error)
    if (!(error instanceof Error && isDiskFull(error))) this.#options.fatal(reason, error)
    if (!this.#isFull) this.#options.logger.log('warn', reason)
    this.#isFull = true
    this.#cancelRetry = this.#options.clock.setTimer(RETRY_MS, () => this.#make(bytes))
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
