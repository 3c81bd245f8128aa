import { HoldfastError } from '../base/errors.js'
import type { Logger } from '../base/ports.js'

/** How a node ends that finds out by itself that it must not go on. */
export class Ending {
  readonly ended: Promise<HoldfastError>
  readonly #dataDirectory: string
  readonly #logger: Logger
  readonly #stop: () => Promise<void>
  #resolve: (error: HoldfastError) => void = () => {}
  #isEnding = false

  constructor({ dataDirectory, logger }: { dataDirectory: string; logger: Logger }, stop: () => Promise<void>) {
    this.#dataDirectory = dataDirectory
    this.#logger = logger
    this.#stop = stop
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve
    })
  }

  /** `refusal`: what the other node said, with its address. */
  keptOut(refusal: HoldfastError): void {
    if (this.#isEnding) return
    this.#isEnding = true
    const error = new HoldfastError(
      'NOT_PERMITTED',
      `${refusal.message}. This node stops. With \`holdfast node rejoin --data ${this.#dataDirectory}\` it comes back: what it ` +
        'holds is put aside, and the other nodes give it new replicas',
      { cause: refusal },
    )
    this.#logger.log('error', `kept out: ${error.message}`)
    void this.#stop().then(() => this.#resolve(error))
  }
}
