import { ConditionFailed, type Holdfast, HoldfastError } from '../../src/client/index.js'
import type { Scope } from '../command.js'
import { ReplyProxy } from '../faults/reply-proxy.js'
import { Callers, Ledger, valueFor } from '../ledger.js'
import { ProcessCluster } from '../processes.js'

const DEADLINE_MS = 60_000
const VALUE_BYTES = 64

/** Callers of each kind. */
export const KINDS = ['counter', 'append', 'register', 'remove'] as const
type Kind = (typeof KINDS)[number]

export interface RetryStormOptions {
  readonly scope: Scope
  readonly random: () => number
  readonly callers: number
  /** Of a hundred reply messages, how many are lost. */
  readonly percent: number
}

/**
 * Clients behind proxies that lose replies: every lost one makes the SDK send the request again, and a request that is applied
 * twice shows, in each kind of caller differently:
 * counter: reads, and puts the next number under the version read; the sum must be exact.
 * append: puts a key that never was, under the condition that it is absent; a second application would be refused.
 * register: puts 1, 2, 3, … without a condition under a key of its own and reads it back; an older one must not come back. (After
 * an unknown outcome, which may still be applied, under another key.)
 * remove: puts and deletes a key of its own; a second application of the delete would find nothing.
 */
export class RetryStorm {
  readonly violations: string[] = []
  readonly #options: RetryStormOptions
  readonly #cluster: ProcessCluster
  readonly #db: Holdfast
  readonly #proxies: readonly ReplyProxy[]
  readonly #ledger = new Ledger(VALUE_BYTES)
  readonly #callers = new Callers()
  readonly #done: Record<Kind, number> = { counter: 0, append: 0, register: 0, remove: 0 }
  #unknown = 0
  #calls = 0

  private constructor(
    options: RetryStormOptions,
    parts: { cluster: ProcessCluster; db: Holdfast; proxies: ReplyProxy[] },
  ) {
    this.#options = options
    this.#cluster = parts.cluster
    this.#db = parts.db
    this.#proxies = parts.proxies
  }

  static async begin(options: RetryStormOptions): Promise<RetryStorm> {
    const { scope, random, percent } = options
    const proxies: ReplyProxy[] = []
    const isOn = { now: false }
    const cluster = await ProcessCluster.start({
      splitAt: ['c', 'm'],
      onMade: (made) => scope.defer('processes', () => made.stop()),
      advertise: async (target) => {
        const proxy = await ReplyProxy.start({ target, drops: () => isOn.now && random() * 100 < percent })
        scope.defer('proxy', () => proxy.close())
        proxies.push(proxy)
        return proxy.address
      },
    })
    const db = await cluster.connect({ deadlineMs: DEADLINE_MS })
    isOn.now = true
    return new RetryStorm(options, { cluster, db, proxies })
  }

  get dropped(): number {
    return this.#proxies.reduce((sum, proxy) => sum + proxy.dropped, 0)
  }

  start(): void {
    this.#callers.start(this.#options.callers, (caller, n) => this.#call(KINDS[caller % KINDS.length]!, caller, n))
  }

  /** Ends the load, and compares what stands, asking the nodes themselves. */
  async finish(): Promise<void> {
    await this.#callers.stop()
    await this.#db.close()
    const db = await this.#cluster.connect({ deadlineMs: DEADLINE_MS })
    this.violations.push(...(await this.#ledger.check(db.scan({ prefix: 'append/' }), 'append/')))
    this.violations.push(...(await this.#ledger.checkCounters(db)))
    await db.close()
    if (this.#ledger.refused > 0) this.violations.push(`${this.#ledger.refused} increments were refused`)
    if (this.dropped === 0) this.violations.push('no reply was lost: this proves nothing')
    if (this.#unknown > this.#calls / 20)
      this.violations.push(`${this.#unknown} of ${this.#calls} outcomes unknown: this proves little`)
  }

  describe(): string {
    const replies = this.#proxies.reduce((sum, proxy) => sum + proxy.replies, 0)
    const { counter, append, register, remove } = this.#done
    return (
      `${this.dropped} of ${replies} reply messages lost (${((100 * this.dropped) / replies).toFixed(1)} %), each by cutting its connection ` +
      `before it is delivered; ${counter} increments, ${append} appends, ${register} blind puts, ${remove} deletes acknowledged, ` +
      `${this.#unknown} outcomes unknown, ${this.violations.length} lost or doubled`
    )
  }

  async #call(kind: Kind, caller: number, n: number): Promise<void> {
    this.#calls++
    try {
      if (kind === 'counter') await this.#increment(caller)
      else if (kind === 'append') await this.#append(`append/${caller}/${n}`)
      else if (kind === 'register') await this.#overwrite(`register-${caller}-${this.#unknown}`, n)
      else await this.#remove(`remove-${caller}-${n}`)
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error
      if (!error.mayHaveBeenApplied) this.violations.push(`${kind} ${caller}, call ${n}: ${error.message}`)
      else this.#unknown++
    }
  }

  async #increment(caller: number): Promise<void> {
    const before = this.#ledger.acknowledgedIncrements
    // Two callers to a counter: some of their conditions fail in earnest.
    await this.#ledger.increment(this.#db, `counter-${caller >> 3}`)
    this.#done.counter += this.#ledger.acknowledgedIncrements > before ? 1 : 0
  }

  async #append(key: string): Promise<void> {
    try {
      await this.#db.put(key, valueFor(key, VALUE_BYTES), { ifAbsent: true })
      this.#ledger.acknowledged.add(key)
      this.#done.append++
    } catch (error) {
      if (error instanceof ConditionFailed) this.violations.push(`${key} was there already: the put was applied twice`)
      else {
        if (error instanceof HoldfastError && error.mayHaveBeenApplied) this.#ledger.unknown.add(key)
        throw error
      }
    }
  }

  async #overwrite(key: string, n: number): Promise<void> {
    await this.#db.put(key, n)
    this.#done.register++
    const stands = await this.#db.get<number>(key)
    if (stands !== n) this.violations.push(`${key} stands at ${stands} after ${n} was acknowledged`)
  }

  async #remove(key: string): Promise<void> {
    await this.#db.put(key, true)
    const { deleted } = await this.#db.delete(key)
    if (deleted) this.#done.remove++
    else this.violations.push(`${key}: its delete found nothing: it was applied twice`)
  }
}
