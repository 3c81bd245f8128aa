import { writeSync } from 'node:fs'
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
  const options: pino.LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { error: pino.stdSerializers.err },
    formatters: { level: (label) => ({ level: label }) },
  }
  const logger = pino(options, destination)
  // The process may be killed right behind such a line, with writes off the event loop still under way.
  const urgent = pino(options, { write: (line) => writeNow(line, (rest) => destination.write(rest)) })
  const flush = () => {
    try {
      destination.flushSync()
    } catch {
      // Nobody reads any more; there is nothing left to tell.
    }
  }
  return {
    log(at, message, fields) {
      if (at === 'error') flush()
      const to = at === 'error' ? urgent : logger
      to[at](fields ?? {}, message)
    },
    flush,
  }
}

/** Writes before it returns, as far as the reader takes it. */
function writeNow(line: string, later: (rest: string) => void): void {
  const bytes = Buffer.from(line)
  let written = 0
  try {
    while (written < bytes.length) written += writeSync(1, bytes, written)
  } catch {
    later(bytes.toString('utf8', written))
  }
}
