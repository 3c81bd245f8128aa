import { randomBytes } from 'node:crypto'
import type { SessionId } from '../base/ids.js'
import type { Clock, Random } from '../base/ports.js'

/** The process's own clocks and timers. */
export const realClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer(delayMs, action) {
    const timer = setTimeout(action, delayMs)
    return () => clearTimeout(timer)
  },
  defer: (action) => {
    setImmediate(action)
  },
}

/** For jitter and the choice among equals. */
export const realRandom: Random = { next: () => Math.random() }

/** 128 random bits: no two clients ever share a session. */
export function newSessionId(): SessionId {
  return randomBytes(16).toString('base64url') as SessionId
}
