/** What a room may know of the world. Real ones live in server, simulated ones in testing. */

export interface Clock {
  /** Milliseconds since the Unix epoch; may jump. */
  wallMs(): number
  /** Milliseconds from an arbitrary start; never goes back. */
  monotonicMs(): number
  /** Calls `action` once, after at least `delayMs`. Returns a function that cancels it. */
  setTimer(delayMs: number, action: () => void): () => void
  /** Calls `action` soon, after what is already queued (setImmediate). */
  defer(action: () => void): void
}

export interface Random {
  /** Uniform in [0, 1). */
  next(): number
}

/** Uniform integer in [0, bound). */
export function randomBelow(random: Random, bound: number): number {
  return Math.floor(random.next() * bound)
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export interface Logger {
  log(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void
}

export const silentLogger: Logger = { log() {} }

/** Distributions that a node keeps. Seconds or bytes, as the name says; src/server/metrics.ts gives each its buckets. */
export type Observed = 'turn_seconds' | 'event_loop_delay_seconds' | 'log_sync_seconds' | 'log_batch_bytes'

/**
 * Sums that only grow. `requests_total` has the labels kind and code, `snapshots_total` direction (in, out) and outcome (done, refused,
 * failed), `snapshot_bytes_total` direction.
 */
export type Counted = 'requests_total' | 'snapshots_total' | 'snapshot_bytes_total'

/** What a room tells of its work for whoever watches the node. Nothing in a node depends on it. */
export interface Metrics {
  observe(name: Observed, value: number): void
  /** `label`: one word per label that the sum has, separated by spaces. */
  count(name: Counted, by: number, label?: string): void
}

export const silentMetrics: Metrics = { observe() {}, count() {} }

/**
 * Paths that are taken rarely, each where it says: an entry of one command ('short entry'), full queues of proposals and reads, a read
 * round that leaves a turn later ('late round'), a scan page of one row ('short page'), a state sync before it is due ('early sync'),
 * a log cut to what is applied, so that who is behind needs a snapshot ('log let go'), a spare segment that is made anew ('spare
 * lost'), a lead handed on ('lead handed on'), a split's child that is left without a checkpoint for a while ('late checkpoint').
 */
export const RARE_PATHS = [
  'short entry',
  'proposals full',
  'reads full',
  'late round',
  'short page',
  'early sync',
  'log let go',
  'spare lost',
  'lead handed on',
  'late checkpoint',
] as const

export type RarePath = (typeof RARE_PATHS)[number]

/** Whether to take a rare path that is right, now, without need: a simulation says so at times, to make it common. */
export type Buggify = (path: RarePath) => boolean

export const neverBuggify: Buggify = () => false

/** Ends the process at once: sends nothing, runs no handlers. In the simulator, crashes the node. Never returns normally. */
export type Fatal = (reason: string, cause?: unknown) => never
