import type { RangeId } from '../base/ids.js'
import { type Random, randomBelow } from '../base/ports.js'

/** Ids fetched ahead in one go; those that a stopped node did not use are never used again. */
const IDS_PER_REQUEST = 4
/** Ticks after which an unanswered request is repeated. */
const REPEAT_TICKS = 25
/** Answers to requests older than this many are not waited for. */
const UNANSWERED_MAX = 64

/** Fresh range ids from the meta range's counter, for the splits this node leads. */
export class IdPool {
  #ids: RangeId[] = []
  #waiting: ((id: RangeId) => void)[] = []
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

  take(use: (id: RangeId) => void): void {
    const id = this.#ids.shift()
    if (id !== undefined) use(id)
    else if (this.#waiting.push(use) === 1) this.#send()
  }

  #send(): void {
    this.#ticksUntilRepeat = REPEAT_TICKS
    this.#request++
    this.#unanswered.add(this.#request)
    if (this.#unanswered.size > UNANSWERED_MAX) this.#unanswered.delete(this.#unanswered.values().next().value!)
    this.#ask(this.#request, IDS_PER_REQUEST)
  }

  /** An answer to an older request is used too: whatever the counter gave is ours. */
  allocated(request: number, first: number | null): void {
    if (!this.#unanswered.delete(request) || first === null) return
    for (let at = 0; at < IDS_PER_REQUEST; at++) this.#ids.push((first + at) as RangeId)
    while (this.#waiting.length > 0 && this.#ids.length > 0) this.#waiting.shift()!(this.#ids.shift()!)
  }

  tick(): void {
    if (this.#waiting.length > 0 && --this.#ticksUntilRepeat <= 0) this.#send()
  }
}
