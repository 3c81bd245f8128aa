import type { RangeId } from '../base/ids.js'
import { type Random, randomBelow } from '../base/ports.js'
import type { ReplyError } from '../kv/requests.js'
import { failure } from './replies.js'

/** Ids fetched ahead in one go; those that a stopped node did not use are never used again. */
const IDS_PER_REQUEST = 4
/** Ticks after which an unanswered request is repeated. */
const REPEAT_TICKS = 25
/** Answers to requests older than this many are not waited for. */
const UNANSWERED_MAX = 64
const WAITING_MAX = 1_000

/** One of the two is called, once. */
export interface IdWaiter {
  use(id: RangeId): void
  refuse(error: ReplyError): void
  /** Monotonic milliseconds. */
  readonly expiresAt: number
}

/** Fresh range ids from the meta range's counter, for the splits this node leads. */
export class IdPool {
  #ids: RangeId[] = []
  #waiting: IdWaiter[] = []
  /** Starts elsewhere at each start of the node: an answer to its past life is not taken for ours. */
  #request: number
  /** Requests not answered yet: a doubled answer must not give its ids twice. */
  readonly #unanswered = new Set<number>()
  #ticksUntilRepeat = 0
  readonly #ask: (request: number, count: number) => void

  constructor(random: Random, ask: (request: number, count: number) => void) {
    this.#request = randomBelow(random, 2 ** 32) * 2 ** 16
    this.#ask = ask
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0
  }

  /** False: as many wait as may, this one was not taken. */
  take(waiter: IdWaiter): boolean {
    if (this.#waiting.length >= WAITING_MAX) return false
    const id = this.#ids.shift()
    if (id !== undefined) waiter.use(id)
    else if (this.#waiting.push(waiter) === 1) this.#send()
    return true
  }

  #send(): void {
    this.#ticksUntilRepeat = REPEAT_TICKS
    this.#request++
    this.#unanswered.add(this.#request)
    if (this.#unanswered.size > UNANSWERED_MAX) this.#unanswered.delete(this.#unanswered.values().next().value!)
    this.#ask(this.#request, IDS_PER_REQUEST)
  }

  /** An answer to an older request is used too: whatever the counter gave is ours. A node that can't may speak before the one that can. */
  allocated(request: number, first: number | null): void {
    if (first === null || !this.#unanswered.delete(request)) return
    for (let at = 0; at < IDS_PER_REQUEST; at++) this.#ids.push((first + at) as RangeId)
    while (this.#waiting.length > 0 && this.#ids.length > 0) this.#waiting.shift()!.use(this.#ids.shift()!)
  }

  refuseAll(error: ReplyError): void {
    for (const waiter of this.#waiting.splice(0)) waiter.refuse(error)
  }

  tick(monotonicMs: number): void {
    const expired = this.#waiting.filter(({ expiresAt }) => expiresAt <= monotonicMs)
    if (expired.length > 0) {
      this.#waiting = this.#waiting.filter(({ expiresAt }) => expiresAt > monotonicMs)
      const error = failure('DEADLINE', 'the deadline passed while the split waited for a range id')
      for (const waiter of expired) waiter.refuse(error)
    }
    if (this.#waiting.length > 0 && --this.#ticksUntilRepeat <= 0) this.#send()
  }
}
