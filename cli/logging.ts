import pino from 'pino'
import type { Logger, LogLevel } from '../src/base/ports.js'

const BUFFER_BYTES_MAX = 4 * 1024 * 1024

export interface ProcessLogger extends Logger {
  /** Writes what is still in memory. Before the process ends. */
  flush(): void
}

/**
 * One JSON object per line on standard output. Lines are written off the event loop, so that a reader that stands still
 * doesn't hold the node up; beyond a bound they are dropped.
 */
export function processLogger(level: LogLevel): ProcessLogger {
  const destination = pino.destination({ fd: 1, sync: false, maxLength: BUFFER_BYTES_MAX })
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { error: pino.stdSerializers.err },
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  )
  const flush = () => {
    try {
      destination.flushSync()
    } catch {
      // Nobody reads any more; there is nothing left to tell.
    }
  }
  return {
    log(at, message, fields) {
      logger[at](fields ?? {}, message)
      if (at === 'error') flush()
    },
    flush,
  }
}
