import type { Row } from '../kv/requests.js'
import type { Stored } from '../kv/types.js'
import type { Lookup, PreparedFetch, StateStore } from '../storage/types.js'
import type { Queue } from './queues.js'

/** Each key or page under way may bring a value of the largest size (1 MiB): so many at once are 64 MiB. */
export const COLD_READS_OPEN_MAX = 64
/** Keys of the requests that are not answered yet, and about what each costs beside it while it waits. */
export const COLD_READS_KEY_BYTES_MAX = 32 * 1024 * 1024
const KEY_OVERHEAD_BYTES = 256
/** Of one request: so that one for many keys leaves room for others. */
const KEYS_PER_PIECE = 32

type Page = Parameters<StateStore['scan']>[0]

/** The values are larger together than a message holds; or one of them is damaged on this node's disk. */
export type Unread = 'too large' | 'damaged'

interface Piece {
  readonly weight: number
  start(): void
}

/** A request's keys, as of when it came: writes until they are read must not be covered up by what is found. */
interface Prepared {
  readonly weight: number
  readonly fetch: PreparedFetch
}

/**
 * Client reads that memory can't answer, on their way to the state database. Requests are small and their results may be large,
 * so the results under way are bounded, and apart from them the requests that wait.
 */
export class ColdReads {
  readonly #state: Pick<StateStore, 'prepareFetch' | 'scan'>
  readonly #bytesMax: number
  readonly #waiting: Piece[] = []
  #keyBytes = 0
  #open = 0

  /** `bytesMax`: a request whose values exceed it together is given up: no message could carry them. */
  constructor(state: Pick<StateStore, 'prepareFetch' | 'scan'>, bytesMax: number) {
    this.#state = state
    this.#bytesMax = bytesMax
  }

  get waiting(): number {
    return this.#waiting.length
  }

  get queues(): readonly Queue[] {
    return [
      { name: 'cold read key bytes', length: this.#keyBytes, bound: COLD_READS_KEY_BYTES_MAX },
      { name: 'cold reads open', length: this.#open, bound: COLD_READS_OPEN_MAX },
    ]
  }

  /** False: as much waits as may, nothing was taken. */
  fetch(lookups: readonly Lookup[], done: (found: readonly (Stored | null)[] | Unread) => void): boolean {
    const keyBytes = lookups.reduce((sum, { key }) => sum + key.length + KEY_OVERHEAD_BYTES, 0)
    if (!this.#maybeHold(keyBytes)) return false
    const pieces: Prepared[] = []
    for (let from = 0; from < lookups.length; from += KEYS_PER_PIECE) {
      const keys = lookups.slice(from, from + KEYS_PER_PIECE)
      pieces.push({ weight: keys.length, fetch: this.#state.prepareFetch(keys) })
    }
    this.#fetchNext([], pieces, 0, (found) => {
      this.#keyBytes -= keyBytes
      done(found)
    })
    return true
  }

  /** False: as much waits as may, nothing was taken. Rows null: one of them is damaged. */
  scan(page: Page, done: (rows: readonly Row[] | null, more: boolean) => void): boolean {
    const keyBytes = page.span.start.length + (page.span.end?.length ?? 0) + KEY_OVERHEAD_BYTES
    if (!this.#maybeHold(keyBytes)) return false
    const start = (): void =>
      this.#state.scan(page, (rows, more) => {
        this.#keyBytes -= keyBytes
        done(rows, more)
        this.#ended(1)
      })
    this.#enter({ weight: 1, start })
    return true
  }

  #maybeHold(keyBytes: number): boolean {
    if (this.#keyBytes + keyBytes > COLD_READS_KEY_BYTES_MAX) return false
    this.#keyBytes += keyBytes
    return true
  }

  /** One piece after the other, behind what others ask meanwhile. */
  #fetchNext(
    found: readonly (Stored | null)[],
    [piece, ...rest]: readonly Prepared[],
    bytes: number,
    done: (found: readonly (Stored | null)[] | Unread) => void,
  ): void {
    if (piece === undefined) return done(found)
    const { weight, fetch } = piece
    const start = (): void =>
      fetch.start((more) => {
        const bytesNow = (more ?? []).reduce((sum, each) => sum + (each?.value?.length ?? 0), bytes)
        if (more !== null && bytesNow <= this.#bytesMax) this.#fetchNext([...found, ...more], rest, bytesNow, done)
        else {
          for (const each of rest) each.fetch.drop()
          done(more === null ? 'damaged' : 'too large')
        }
        this.#ended(weight)
      })
    this.#enter({ weight, start })
  }

  #enter(piece: Piece): void {
    this.#waiting.push(piece)
    this.#maybeStart()
  }

  #ended(weight: number): void {
    this.#open -= weight
    this.#maybeStart()
  }

  #maybeStart(): void {
    for (let piece = this.#waiting[0]; piece !== undefined; piece = this.#waiting[0]) {
      if (this.#open + piece.weight > COLD_READS_OPEN_MAX) return
      this.#waiting.shift()
      this.#open += piece.weight
      piece.start()
    }
  }
}
