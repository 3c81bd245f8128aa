import type { Logger } from '../base/ports.js'
import { takeCleanMark, writeCleanMark } from '../storage/clean-mark.js'
import type { Identity } from '../storage/identity.js'
import type { Files } from '../storage/types.js'

/**
 * Leaves word for the next start that this process put everything away. A process that was killed can say nothing, and one
 * that died of SIGBUS (a state table shorter than its index says) least of all: the missing word is what tells.
 */
export class OrderlyEnd {
  /** The process before this one did not end in order: what is on disk is to be looked at closely. */
  readonly isSuspect: boolean
  readonly #files: Files
  readonly #logger: Logger
  #isInOrder: boolean

  private constructor(files: Files, logger: Logger, isInOrder: boolean) {
    this.#files = files
    this.#logger = logger
    this.isSuspect = !isInOrder
    this.#isInOrder = isInOrder
  }

  /** From here on the directory counts as not in order. Before anything in it is opened. */
  static async begin(files: Files, { cluster, boots }: Identity, logger: Logger): Promise<OrderlyEnd> {
    const isMarked = await takeCleanMark(files)
    // Before it belongs to a cluster a node has nothing that could be out of order.
    const isInOrder = isMarked || cluster === null
    if (!isInOrder) {
      logger.log('warn', NOT_IN_ORDER, { boot: boots.at(-1)?.counter, boots: boots.length })
    }
    return new OrderlyEnd(files, logger, isInOrder)
  }

  /** Once it is open it was checked and replayed; if that fails, the next start begins with the same doubts. */
  async opening<Opened>(open: () => Promise<Opened>): Promise<Opened> {
    this.#isInOrder = false
    const opened = await open()
    this.#isInOrder = true
    return opened
  }

  async closing(close: () => Promise<void>): Promise<void> {
    this.#isInOrder = false
    await close()
    this.#isInOrder = true
  }

  /** Last of all. A mark that can't be written costs the next start some time, nothing else. */
  async mark(): Promise<void> {
    if (!this.#isInOrder) return
    await writeCleanMark(this.#files).catch((error: unknown) => {
      this.#logger.log('warn', `the mark of an orderly end was not written: ${String(error)}`)
    })
  }
}

const NOT_IN_ORDER =
  'the process before this one did not end in order: it was killed, ran out of memory, lost power, or died of SIGBUS over a ' +
  'damaged state table. Its log is replayed, and all tables of its state are checked'
