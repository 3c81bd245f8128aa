/** What takes part in admission: a call, while it waits and while it is open. */
export interface Admitted {
  readonly bytes: number
  /** Over before it was admitted: skipped. */
  readonly isDone: boolean
}

export interface AdmissionBounds {
  readonly requestsMax: number
  readonly bytesMax: number
  readonly waitingMax: number
  readonly waitingBytesMax: number
}

/** Bounds what is in flight, first come first served. */
export class Admission<T extends Admitted> {
  readonly #bounds: AdmissionBounds
  readonly #start: (call: T) => void
  #requests = 0
  #bytes = 0
  #waiting: T[] = []
  #head = 0
  #waitingBytes = 0

  /** `start` runs for every call as soon as it may go. */
  constructor(bounds: AdmissionBounds, start: (call: T) => void) {
    this.#bounds = bounds
    this.#start = start
  }

  get inFlight(): number {
    return this.#requests
  }

  /** True: it was started at once. False: it waits. Null: the queue is full too. */
  enter(call: T): boolean | null {
    if (this.#head === this.#waiting.length && this.#fits(call)) {
      this.#admit(call)
      return true
    }
    const bounds = this.#bounds
    const waiting = this.#waiting.length - this.#head
    if (waiting >= bounds.waitingMax || this.#waitingBytes + call.bytes > bounds.waitingBytesMax) return null
    this.#waiting.push(call)
    this.#waitingBytes += call.bytes
    return false
  }

  /** A started call is over. */
  leave(call: T): void {
    this.#requests--
    this.#bytes -= call.bytes
    this.#drain()
  }

  /** A part of a started call goes on as a call of its own: counted, never made to wait. */
  adopt(call: T): void {
    this.#requests++
    this.#bytes += call.bytes
  }

  #drain(): void {
    while (this.#head < this.#waiting.length) {
      const call = this.#waiting[this.#head]!
      if (!call.isDone && !this.#fits(call)) break
      this.#head++
      this.#waitingBytes -= call.bytes
      if (!call.isDone) this.#admit(call)
    }
    if (this.#head > 1_024 && this.#head * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head)
      this.#head = 0
    }
  }

  #admit(call: T): void {
    this.#requests++
    this.#bytes += call.bytes
    this.#start(call)
  }

  /** One call always fits, however large. */
  #fits(call: T): boolean {
    if (this.#requests === 0) return true
    return this.#requests < this.#bounds.requestsMax && this.#bytes + call.bytes <= this.#bounds.bytesMax
  }
}
