import type { Clock, Fatal } from '../base/ports.js'
import type { Scheduler } from './scheduler.js'

/** Thrown by a simulated process's `fatal`: unwinds to the process's boundary, which ends it. */
export class ProcessEnded extends Error {
  override readonly name = 'ProcessEnded'
}

/** Milliseconds since the Unix epoch at virtual time zero. */
const EPOCH_MS = 1_800_000_000_000

/**
 * One simulated operating-system process. Everything that it waits for (timers, disk, network) enters through `enter`,
 * so a dead one gets nothing and a paused one gets it when it goes on.
 */
export class SimProcess {
  readonly clock: Clock
  readonly fatal: Fatal
  /** Added to the wall clock; the monotonic one never notices. */
  wallOffsetMs = 0
  /** What it defers comes this many times later. */
  slowness = 1
  readonly #scheduler: Scheduler
  readonly #deferMs: number
  readonly #onFatal: (reason: string) => void
  readonly #onBug: (error: unknown) => void
  #alive = true
  #waiting: (() => void)[] | null = null
  /** Where the monotonic clock stands still; null: it does not. */
  #suspendedAtMs: number | null = null
  /** What the monotonic clock has missed. */
  #suspendedMs = 0
  /** Both clocks run faster by this part since then; before that they have gained so much. */
  #rate = 0
  #rateSinceMs = 0
  #gainedMs = 0
  #correctedMs = 0

  /**
   * `settles`: its timers are waited for by promise-based code (clients).
   * `deferMs`: what it defers comes after this time, as behind what a busy event loop has to do before. Default 0.
   */
  constructor(options: {
    scheduler: Scheduler
    settles: boolean
    deferMs?: number
    onFatal(reason: string): void
    onBug(error: unknown): void
  }) {
    this.#scheduler = options.scheduler
    this.#deferMs = options.deferMs ?? 0
    this.#onFatal = options.onFatal
    this.#onBug = options.onBug
    this.fatal = (reason, cause) => {
      // Thrown through code that ends itself for whatever it catches: the first reason counts.
      if (cause instanceof ProcessEnded) throw cause
      throw new ProcessEnded(cause === undefined ? reason : `${reason}: ${describeBug(cause)}`)
    }
    this.clock = this.#makeClock(options.settles)
  }

  get isAlive(): boolean {
    return this.#alive
  }

  get isPaused(): boolean {
    return this.#waiting !== null
  }

  /** Both clocks run faster by this part from now on. What they gained until now they keep. */
  set rate(rate: number) {
    this.#gainedMs = this.#gainMs
    this.#rateSinceMs = this.#scheduler.nowMs
    this.#rate = rate
  }

  /** The wall clock forgets what it gained by its rate. */
  correctWallClock(): void {
    this.wallOffsetMs -= this.#gainMs - this.#correctedMs
    this.#correctedMs = this.#gainMs
  }

  get #gainMs(): number {
    return this.#gainedMs + (this.#scheduler.nowMs - this.#rateSinceMs) * this.#rate
  }

  /** Runs `action` inside the process: now, when it is resumed, or never. */
  enter(action: () => void): void {
    if (!this.#alive) return
    if (this.#waiting !== null) {
      this.#waiting.push(action)
      return
    }
    try {
      action()
    } catch (error) {
      if (error instanceof ProcessEnded) this.#onFatal(error.message)
      else this.#onBug(error)
    }
  }

  /** Like kill -9: nothing enters any more. */
  end(): void {
    this.#alive = false
    this.#waiting = null
  }

  /** Like SIGSTOP; `suspended`: like a virtual machine that is, whose monotonic clock stands still meanwhile. */
  pause({ suspended = false } = {}): void {
    this.#waiting ??= []
    if (suspended) this.#suspendedAtMs ??= this.clock.monotonicMs()
  }

  /** Like SIGCONT: what waited comes at once, in its order. */
  resume(): void {
    const waiting = this.#waiting ?? []
    this.#waiting = null
    // Whatever its rate has been meanwhile.
    if (this.#suspendedAtMs !== null) this.#suspendedMs += this.clock.monotonicMs() - this.#suspendedAtMs
    this.#suspendedAtMs = null
    if (waiting.length > 0) this.#scheduler.settle()
    for (const action of waiting) this.enter(action)
  }

  #makeClock(settles: boolean): Clock {
    const scheduler = this.#scheduler
    return {
      wallMs: () => EPOCH_MS + Math.floor(scheduler.nowMs + this.#gainMs + this.wallOffsetMs),
      monotonicMs: () => scheduler.nowMs + this.#gainMs - this.#suspendedMs,
      setTimer: (delayMs, action) => this.#cancellable(Math.max(0, delayMs) / (1 + this.#rate), action, settles),
      defer: (action) => {
        scheduler.schedule(this.#deferMs * this.slowness, () => this.enter(action), settles)
      },
    }
  }

  #cancellable(delayMs: number, action: () => void, settles: boolean): () => void {
    let cancelled = false
    const enter = () =>
      this.enter(() => {
        // Cancelled while the process was paused and the timer had already fired.
        if (!cancelled) action()
      })
    const cancel = this.#scheduler.schedule(delayMs, enter, settles)
    return () => {
      cancelled = true
      cancel()
    }
  }
}

/** What a failed assertion or an unexpected error of simulated code says. */
export function describeBug(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
