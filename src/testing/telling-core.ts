import { ClientCore, type ClientCoreOptions, type WriteResult } from '../client/core.js'
import type { Write } from '../kv/types.js'

export type Told = (writes: readonly Write[], result: WriteResult) => void

/** A client that tells of each write for which it is given an answer. One that failed, or whose outcome is unknown, is none. */
export class TellingCore extends ClientCore {
  readonly #told: Told

  constructor(options: ClientCoreOptions, told: Told) {
    super(options)
    this.#told = told
  }

  override async write(...args: Parameters<ClientCore['write']>): Promise<WriteResult> {
    const result = await super.write(...args)
    this.#told(args[0].writes, result)
    return result
  }
}
