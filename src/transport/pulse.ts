/**
 * Tells a dead other end from a busy one, in beats and not in time: while this process itself stood still, the other is not to
 * blame. A beat is silent when nothing was heard in it; but as long as the last ping still waits behind other bytes, those
 * bytes getting away counts as life: the other end can't answer what it has not been sent.
 */
export class Pulse {
  #heard = false
  #progressed = false
  #pingWaits = false
  #silentBeats = 0

  /** Anything came from the other end. */
  hear(): void {
    this.#heard = true
  }

  /** Some bytes have left. */
  progress(): void {
    this.#progressed = true
  }

  /** Give the result as the callback of the ping's write. */
  pinging(): () => void {
    this.#pingWaits = true
    return () => {
      this.#pingWaits = false
      this.#progressed = true
    }
  }

  /** A ping that waits is enough: more behind it would say nothing more. */
  get wantsPing(): boolean {
    return !this.#pingWaits
  }

  /** One beat is over. Silent beats in a row, this one included. */
  beat(): number {
    const isAlive = this.#heard || (this.#pingWaits && this.#progressed)
    this.#silentBeats = isAlive ? 0 : this.#silentBeats + 1
    this.#heard = false
    this.#progressed = false
    return this.#silentBeats
  }
}
