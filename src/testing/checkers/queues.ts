import type { NodeId } from '../../base/ids.js'
import type { Queue } from '../../store/queues.js'
import type { Violations } from './violations.js'

/** Everything that waits stays within its bound. */
export class QueueChecker {
  readonly #violations: Violations
  readonly #longest = new Map<string, number>()

  constructor(violations: Violations) {
    this.#violations = violations
  }

  /** The longest that each queue was seen, on any node. */
  get longest(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#longest)
  }

  saw(node: NodeId, queues: readonly Queue[]): void {
    for (const { name, length, bound } of queues) {
      this.#violations.require(
        length >= 0 && length <= bound,
        () => `node ${node}: ${name} at ${length}, beyond the bound of ${bound}`,
      )
      if (length > (this.#longest.get(name) ?? -1)) this.#longest.set(name, length)
    }
  }
}
