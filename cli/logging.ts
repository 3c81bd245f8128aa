import pino from 'pino'
import type { Logger, LogLevel } from '../src/base/ports.js'
import { type Dropped, LogOutput } from './log-output.js'

export interface ProcessLogger extends Logger {
  /** Writes what is still in memory, as far as it is taken. Before the process ends. */
  flush(): void
}

/**
 * One JSON object per line on standard output. Lines are written off the event loop, so that a reader that stands still
 * doesn't hold the node up; beyond a bound they are dropped.
 */
export function processLogger(level: LogLevel): ProcessLogger {
  const tell = ({ lines, why }: Dropped) => logger.warn({ lines }, `${lines} lines of the log are missing here: ${why}`)
  const output = new LogOutput(tell)
  const options: pino.LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { error: pino.stdSerializers.err },
    formatters: { level: (label) => ({ level: label }) },
  }
  const logger = pino(options, output)
  // The process may be killed right behind such a line, with writes off the event loop still under way.
  const urgent = pino(options, { write: (line) => output.writeNow(line) })
  return {
    log(at, message, fields) {
      const to = at === 'error' ? urgent : logger
      to[at](fields ?? {}, message)
    },
    flush: () => output.flush(),
  }
}
