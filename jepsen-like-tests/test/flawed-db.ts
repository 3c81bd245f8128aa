import {
  type BatchOperation,
  ConditionFailed,
  type Holdfast,
  HoldfastError,
  type PutOptions,
  type ReadOptions,
} from '../../src/client/index.js'

/** What a store can do wrong. */
export type Flaw = 'none' | 'loses' | 'doubles' | 'invents' | 'tears' | 'disorders' | 'forgets' | 'hides' | 'lags'

interface Row {
  readonly value: string
  readonly version: number
}

/** How often it goes wrong: of single calls, and of those on many keys, which are few. */
const SHARE = { one: 0.05, many: 0.5 }

/**
 * A store in memory that does everything at once and right, but for one flaw:
 * loses: a put is acknowledged and not done. doubles: an increment or an append is done twice. invents: a key appears that nobody wrote.
 * tears: a batch is done in part. disorders: a scan tells two entries in the wrong order. forgets: a read tells an older value.
 * hides: a scan leaves an entry out. lags: a follower has not applied the last write yet.
 */
export class FlawedDb {
  readonly #rows = new Map<string, Row>()
  readonly #older = new Map<string, Row>()
  readonly #flaw: Flaw
  readonly #random: () => number
  #version = 0

  constructor(flaw: Flaw, random: () => number) {
    this.#flaw = flaw
    this.#random = random
  }

  /** The part of the SDK that workloads use. */
  asHoldfast(): Holdfast {
    return this as unknown as Holdfast
  }

  async get(key: string): Promise<string | undefined> {
    await nextTurn()
    if (this.#isWrong('forgets') && this.#older.has(key)) return this.#older.get(key)!.value
    return this.#rows.get(key)?.value
  }

  async getEntry(key: string, { consistency }: ReadOptions = {}): Promise<Row | undefined> {
    await nextTurn()
    return (consistency === 'follower' && this.#isWrong('lags') ? this.#older : this.#rows).get(key)
  }

  async put(key: string, value: string, { ifAbsent, ifValue, signal }: PutOptions = {}): Promise<{ version: number }> {
    await nextTurn()
    if (signal?.aborted) throw new HoldfastError('OUTCOME_UNKNOWN', 'given up')
    const row = this.#rows.get(key)
    if ((ifAbsent === true && row !== undefined) || (ifValue !== undefined && row?.value !== ifValue)) {
      const failed = { key: key as never, version: (row?.version ?? 0) as never, value: null, codec: 'utf8' as const }
      throw new ConditionFailed({ message: 'a condition did not hold', failed: [failed] } as never)
    }
    if (this.#isWrong('invents')) this.#set(`${key.slice(0, key.indexOf('/'))}/zzz`, 'nobody')
    if (this.#isWrong('loses')) return { version: this.#version }
    this.#set(key, this.#isWrong('doubles') ? again(key, value) : value)
    return { version: this.#version }
  }

  async delete(key: string): Promise<{ deleted: boolean; version: number }> {
    await nextTurn()
    return { deleted: this.#rows.delete(key), version: ++this.#version }
  }

  async batch(operations: readonly BatchOperation[]): Promise<{ version: number }> {
    await nextTurn()
    const isTorn = this.#isWrong('tears')
    for (const [at, operation] of operations.entries()) {
      if ('put' in operation && !(isTorn && at === 0)) this.#set(operation.put as string, operation.value as string)
    }
    return { version: this.#version }
  }

  async *scan({ prefix }: { prefix: string }): AsyncGenerator<{ key: string; value: string }> {
    await nextTurn()
    const entries = [...this.#rows]
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, { value }]) => ({ key, value }))
      .sort((a, b) => (a.key < b.key ? -1 : 1))
    if (entries.length > 1 && this.#isWrong('disorders')) entries.reverse()
    if (entries.length > 1 && this.#isWrong('hides')) entries.shift()
    yield* entries
  }

  #isWrong(flaw: Flaw): boolean {
    const share =
      flaw === 'tears' || flaw === 'hides' || flaw === 'lags' || flaw === 'disorders' ? SHARE.many : SHARE.one
    return this.#flaw === flaw && this.#random() < share
  }

  #set(key: string, value: string): void {
    const before = this.#rows.get(key)
    if (before !== undefined) this.#older.set(key, before)
    this.#rows.set(key, { value, version: ++this.#version })
  }
}

function again(key: string, value: string): string {
  if (key.startsWith('counter/')) return String(Number(value) + 1)
  return key.startsWith('append/') ? `${value},${value.split(',').at(-1)}` : value
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
