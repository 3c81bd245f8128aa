import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import { syncBuiltinESMExports } from 'node:module'
import timers from 'node:timers'
import promised from 'node:timers/promises'
import { promisify } from 'node:util'

/** Something inside `run` would have waited for real time, which stands still there. */
export class RealTimeError extends Error {
  override readonly name = 'RealTimeError'

  constructor(what: string) {
    super(
      `${what} waits for real time, which stands still while a simulated cluster runs: ` +
        'use cluster.clock.sleep(ms) or cluster.clock.setTimer(ms, action), and hand cluster.clock to code that keeps time of its own',
    )
  }
}

type AnyFunction = (...args: never[]) => unknown

const NAMES = ['setTimeout', 'setInterval', 'setImmediate'] as const
const inside = new AsyncLocalStorage<true>()
let guards = 0
let restore: () => void = () => {}

/** While `drive` is under way, starting a real timer in virtual time throws a RealTimeError. All other code in the process keeps its timers. */
export async function withoutRealTimers<T>(drive: () => Promise<T>): Promise<T> {
  if (guards++ === 0) restore = replaceTimers()
  try {
    return await drive()
  } finally {
    if (--guards === 0) restore()
  }
}

/** Runs `body`, and whatever it awaits, in virtual time: who calls is what tells it apart. */
export function inVirtualTime<T>(body: () => T): T {
  return inside.run(true, body)
}

/** The action, to be run in virtual time, and with what is kept for the caller in AsyncLocalStorages, as real timers do. */
export function boundToVirtualTime(action: () => void): () => void {
  return inside.run(true, () => AsyncResource.bind(action))
}

export function isInVirtualTime(): boolean {
  return guards > 0 && inside.getStore() === true
}

/** Returns how to put everything back. */
function replaceTimers(): () => void {
  const undo: (() => void)[] = []
  const replace = (holder: object, name: string, what: string) => {
    const original = Reflect.get(holder, name) as AnyFunction
    Reflect.set(holder, name, guarded(original, what))
    undo.push(() => Reflect.set(holder, name, original))
  }
  for (const name of NAMES) {
    replace(globalThis, name, name)
    replace(timers, name, name)
    replace(promised, name, `${name} of node:timers/promises`)
  }
  replace(promised.scheduler, 'wait', 'scheduler.wait')
  replace(Atomics, 'wait', 'Atomics.wait')
  replace(AbortSignal, 'timeout', 'AbortSignal.timeout')
  syncBuiltinESMExports()
  return () => {
    for (const each of undo) each()
    syncBuiltinESMExports()
  }
}

function guarded(original: AnyFunction, what: string): AnyFunction {
  const replacement = function (this: unknown, ...args: never[]): unknown {
    if (inside.getStore() === true) throw new RealTimeError(what)
    return Reflect.apply(original, this, args)
  }
  const custom: unknown = Reflect.get(original, promisify.custom)
  if (typeof custom === 'function') {
    Object.defineProperty(replacement, promisify.custom, { value: guarded(custom as AnyFunction, what) })
  }
  return replacement
}
