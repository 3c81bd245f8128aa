import type { HoldfastError } from '../base/errors.js'
import type { Row } from '../kv/requests.js'
import type { Answer, Call, Ending } from './call.js'
import { unexpected } from './errors.js'

/** One get as its caller sees it, over all the calls it goes on as. */
export class GetJob implements Ending {
  readonly #rows: (Row | null)[]
  readonly #done: (rows: readonly (Row | null)[]) => void
  readonly #failed: (error: HoldfastError) => void
  #open = 1

  constructor(count: number, done: (rows: readonly (Row | null)[]) => void, failed: (error: HoldfastError) => void) {
    this.#rows = new Array<Row | null>(count).fill(null)
    this.#done = done
    this.#failed = failed
  }

  parted(more: number): void {
    this.#open += more
  }

  resolve(answer: Answer, call: Call): void {
    const { body } = call
    if (answer.kind !== 'rows' || body.kind !== 'get' || answer.rows.length !== body.keys.length) {
      this.reject(unexpected(answer, 'rows'))
      return
    }
    for (const [index, row] of answer.rows.entries())
      this.#rows[body.places === null ? index : body.places[index]!] = row
    this.#open--
    if (this.#open === 0) this.#done(this.#rows)
  }

  /** The first failure is the get's; what its other parts bring is of no use to anybody. */
  reject(error: HoldfastError): void {
    this.#failed(error)
  }
}
