import { HoldfastError } from '../base/errors.js'
import type { Key } from '../base/ids.js'
import type { Call, Ending, RoutesBody } from './call.js'
import type { RouteCache } from './route-cache.js'
import { Timed, type TimerWheel } from './wheel.js'

const ROUTES_PER_REQUEST = 256
const RETRY_PAUSE_MS = 50

export interface RouteFinderPorts {
  readonly cache: RouteCache
  readonly wheel: TimerWheel
  nowMs(): number
  /** Asks any node. The answer's routes are in the cache when `ending` hears of it. */
  ask(body: RoutesBody, ending: Ending): void
  /** The range of this call may be known now. */
  routed(call: Call): void
}

/** Calls whose range is not known, and the one question that is open for them. */
export class RouteFinder extends Timed implements Ending {
  readonly #ports: RouteFinderPorts
  #waiting: { readonly call: Call; readonly key: Key }[] = []
  #state: 'idle' | 'asking' | 'pausing' = 'idle'
  #asked: Key | null = null
  /** Raised when a node could not tell: the next question goes to another. */
  #turn = 0
  lastError: HoldfastError | null = null

  constructor(ports: RouteFinderPorts) {
    super()
    this.#ports = ports
  }

  wait(call: Call, key: Key): void {
    this.#waiting.push({ call, key })
    if (this.#state === 'idle') this.#ask()
  }

  resolve(): void {
    this.#state = 'idle'
    if (this.#asked !== null && this.#ports.cache.find(this.#asked) === null) {
      this.reject(new HoldfastError('UNAVAILABLE', 'the node that was asked knows no range for the key'))
      return
    }
    this.lastError = null
    const waiting = this.#waiting
    this.#waiting = []
    for (const { call } of waiting) if (call.state === 'unrouted') this.#ports.routed(call)
  }

  reject(error: HoldfastError): void {
    this.lastError = error
    this.#state = 'pausing'
    this.#turn++
    this.#ports.wheel.arm(this, this.#ports.nowMs() + RETRY_PAUSE_MS)
  }

  override onDue(): void {
    this.#state = 'idle'
    this.#ask()
  }

  #ask(): void {
    this.#waiting = this.#waiting.filter(({ call }) => call.state === 'unrouted')
    const first = this.#waiting[0]
    if (first === undefined) return
    this.#state = 'asking'
    this.#asked = first.key
    this.#ports.ask({ kind: 'routes', turn: this.#turn, from: first.key, limit: ROUTES_PER_REQUEST }, this)
  }
}
