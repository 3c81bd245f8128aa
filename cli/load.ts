import { type ErrorCode, HoldfastError } from '../src/base/errors.js'
import type { Holdfast } from '../src/client/index.js'
import { Histogram } from './histogram.js'

export interface LoadOptions {
  readonly op: 'put' | 'get'
  readonly callers: number
  /** Ends when either is reached. */
  readonly seconds: number
  readonly count: number
  readonly keys: number
  readonly valueBytes: number
  readonly prefix: string
}

export interface LoadResult {
  readonly op: 'put' | 'get'
  readonly callers: number
  readonly done: number
  readonly failed: number
  readonly errors: Readonly<Partial<Record<ErrorCode, number>>>
  readonly seconds: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
}

/** `callers` loops, each with one call under way; keys in turn, so that every run does the same. */
export async function generateLoad(db: Pick<Holdfast, 'put' | 'get'>, options: LoadOptions): Promise<LoadResult> {
  const value = new Uint8Array(options.valueBytes).fill(0x61)
  const keyAt = (index: number) => `${options.prefix}${String(index % options.keys).padStart(10, '0')}`
  if (options.op === 'get') await fill(options, (index) => db.put(keyAt(index), value, { codec: 'bytes' }))

  const latencies = new Histogram()
  const errors: Partial<Record<ErrorCode, number>> = {}
  const started = performance.now()
  const until = started + options.seconds * 1000
  let next = 0
  const caller = async (): Promise<void> => {
    while (next < options.count && performance.now() < until) {
      const key = keyAt(next++)
      const begin = performance.now()
      try {
        if (options.op === 'put') await db.put(key, value, { codec: 'bytes' })
        else await db.get(key)
        latencies.record((performance.now() - begin) * 1000)
      } catch (error) {
        if (!(error instanceof HoldfastError)) throw error
        errors[error.code] = (errors[error.code] ?? 0) + 1
      }
    }
  }
  await Promise.all(Array.from({ length: options.callers }, caller))
  const seconds = (performance.now() - started) / 1000
  return {
    op: options.op,
    callers: options.callers,
    done: latencies.total,
    failed: Object.values(errors).reduce((sum, count) => sum + count, 0),
    errors,
    seconds,
    perSecond: Math.round(latencies.total / Math.max(seconds, 0.001)),
    p50Ms: latencies.percentileMs(50),
    p99Ms: latencies.percentileMs(99),
    p999Ms: latencies.percentileMs(99.9),
    maxMs: latencies.maxMs,
  }
}

/** Before reads are measured there has to be something to read. */
async function fill({ keys, callers }: LoadOptions, put: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const filler = async (): Promise<void> => {
    while (next < keys) await put(next++)
  }
  await Promise.all(Array.from({ length: callers }, filler))
}
