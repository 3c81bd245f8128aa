import type { Clock } from '../base/ports.js'
import { boundToVirtualTime } from './timer-guard.js'

/** Virtual time. It passes only inside `run` and `verify`, and then as fast as the machine can. */
export interface VirtualClock {
  /** Milliseconds since the Unix epoch, as the client's process sees it. */
  now(): number
  sleep(ms: number): Promise<void>
  /** Calls `action` after `ms`. Returns how to cancel it. What it throws, `run` throws. */
  setTimer(ms: number, action: () => void): () => void
}

/** `threw`: told what an action threw. */
export function virtualClockOf({ wallMs, setTimer }: Clock, threw: (error: unknown) => void): VirtualClock {
  return {
    now: wallMs,
    setTimer: (ms, action) => {
      const bound = boundToVirtualTime(action)
      return setTimer(ms, () => {
        try {
          bound()
        } catch (error) {
          threw(error)
        }
      })
    },
    sleep: (ms) => new Promise((resolve) => void setTimer(ms, resolve)),
  }
}
