import { randomBytes } from 'node:crypto'
import type { BootId, ClusterId } from '../base/ids.js'
import type { Clock, Fatal, Logger, Random } from '../base/ports.js'

export const realClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer(delayMs, action) {
    const timer = setTimeout(action, delayMs)
    return () => clearTimeout(timer)
  },
  defer: (action) => void setImmediate(action),
}

export const realRandom: Random = { next: () => Math.random() }

/** Ends the process without running another line of it: after a failed fsync nothing it says can be trusted. */
export function killingFatal(logger: Logger): Fatal {
  return (reason, cause) => {
    logger.log('error', `fatal: ${reason}`, { cause: cause instanceof Error ? (cause.stack ?? cause.message) : cause })
    process.kill(process.pid, 'SIGKILL')
    throw new Error(reason)
  }
}

/** A random safe integer: which start of a node a message comes from. */
export function newBootId(): BootId {
  return (randomBytes(6).readUIntBE(0, 6) + 1) as BootId
}

export function newClusterId(): ClusterId {
  return randomBytes(16).toString('hex') as ClusterId
}

export function newToken(): string {
  return randomBytes(16).toString('hex')
}
