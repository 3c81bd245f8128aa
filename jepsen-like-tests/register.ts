import { ConditionFailed, type Holdfast, HoldfastError } from '../src/client/index.js'
import type { Operation } from '../src/testing/index.js'

export const KEYS = ['a1', 'a2', 'h1', 'h2', 'q1', 'q2']
export const SPLIT_AT = ['f', 'm']

/** A small generator of our own: the same seed gives the same choices on every machine. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/**
 * Clients that put, get and conditionally put a few registers, and write down what they did. All of them live in this process,
 * so the order of their moments is real time.
 */
export class RegisterWorkload {
  readonly history: Operation[] = []
  acknowledged = 0
  #moment = 0
  #nextClient = 0
  #stopped = false
  readonly #running: Promise<void>[] = []

  start(db: Holdfast, options: { clients: number; seed: number }): void {
    for (let client = 0; client < options.clients; client++) {
      this.#running.push(this.#run(db, seeded(options.seed * 1_000 + client)))
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#running)
  }

  async #run(db: Holdfast, random: () => number): Promise<void> {
    let client = ++this.#nextClient
    for (let n = 0; !this.#stopped; n++) {
      const key = KEYS[Math.floor(random() * KEYS.length)]!
      const isKnown = await this.#operate(db, { client, key, value: `${client}.${n}`, dice: random() })
      // Whoever does not know how its last operation ended may overlap itself: it goes on under a new name.
      if (!isKnown) client = ++this.#nextClient
    }
  }

  async #operate(db: Holdfast, what: { client: number; key: string; value: string; dice: number }): Promise<boolean> {
    const { client, key, value, dice } = what
    const invoke = ++this.#moment
    const timed = (status: Operation['status']) => ({ client, key, invoke, complete: ++this.#moment, status })
    const done = (operation: Operation): boolean => {
      if (operation.status === 'ok') this.acknowledged++
      this.history.push(operation)
      return operation.status !== 'info'
    }
    try {
      if (dice < 0.5) {
        const result = (await db.get(key)) as string | undefined
        return done({ op: 'get', result: result ?? null, ...timed('ok') })
      }
      if (dice < 0.8) {
        await db.put(key, value)
        return done({ op: 'put', value, ...timed('ok') })
      }
      const expect = lastSeen(this.history, key)
      return done(await conditionalPut(db, { key, expect, value }, timed))
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error
      if (dice < 0.5) return done({ op: 'get', result: null, ...timed('fail') })
      return done({ op: 'put', value, ...timed(error.mayHaveBeenApplied ? 'info' : 'fail') })
    }
  }
}

function lastSeen(history: readonly Operation[], key: string): string | null {
  for (let at = history.length - 1; at >= 0; at--) {
    const operation = history[at]!
    if (operation.key !== key || operation.status !== 'ok') continue
    if (operation.op === 'put') return operation.value
    if (operation.op === 'get') return operation.result
  }
  return null
}

async function conditionalPut(
  db: Holdfast,
  what: { key: string; expect: string | null; value: string },
  timed: (status: Operation['status']) => Pick<Operation, 'client' | 'key' | 'invoke' | 'complete' | 'status'>,
): Promise<Operation> {
  const { key, expect, value } = what
  try {
    await db.put(key, value, expect === null ? { ifAbsent: true } : { ifValue: expect })
    return { op: 'cas', expect, value, result: true, ...timed('ok') }
  } catch (error) {
    if (error instanceof ConditionFailed) return { op: 'cas', expect, value, result: false, ...timed('ok') }
    if (!(error instanceof HoldfastError)) throw error
    return { op: 'cas', expect, value, result: true, ...timed(error.mayHaveBeenApplied ? 'info' : 'fail') }
  }
}
