import { z } from 'zod'
import { HoldfastError } from '../base/errors.js'
import type { BootId, NodeId } from '../base/ids.js'
import type { Clock, Logger } from '../base/ports.js'
import { parseChecked, printChecked } from './checked-json.js'
import type { Files } from './types.js'

const FILE = 'peers.json'
const FORMAT = 1
/** How far the logs of others reach is known to others, too, and grows with every write: a restart here may forget this much of it. */
const WRITE_EVERY_MS = 10_000

const id = z.number().int().min(1).max(Number.MAX_SAFE_INTEGER)
const schema = z.strictObject({
  format: z.literal(FORMAT),
  peers: z.array(z.strictObject({ node: id, boot: id, rejoins: z.array(id), batch: z.number().int().min(0) })),
})

/** What a node says of itself: its present boot is the last of its boots. */
export interface Claim {
  readonly node: NodeId
  readonly boot: BootId
  readonly history: {
    readonly boots: readonly BootId[]
    /** Of each boot: the batch of its log in which it was written down. */
    readonly batches: readonly number[]
    readonly rejoins: readonly BootId[]
  }
}

interface Seen {
  readonly boot: BootId
  readonly rejoins: readonly BootId[]
  /** The highest of its log that it told of: all that it said until then stands in it or in earlier ones. */
  batch: number
}

export interface BootsSeenOptions {
  readonly clock: Clock
  readonly logger: Logger
  /** Default 10 s. */
  readonly writeEveryMs?: number
}

/**
 * Which boot of each other node this one saw last, and how far its log reached (peers.json). A node that comes with a history that
 * lacks that boot, or with a log that ends before, is refused: its directory was rolled back, or is another's, so it may have
 * forgotten a vote or an acknowledgement that was counted here. It is taken again once it has a mark that it came back without its
 * replicas, one that was not seen before: under their ids nothing is said any more then.
 */
export class BootsSeen {
  readonly #files: Files
  readonly #clock: Clock
  readonly #writeEveryMs: number
  readonly #seen: Map<NodeId, Seen>
  #writing: Promise<void> = Promise.resolve()
  /** What is known in memory and may not be on disk. */
  #isUnwritten = false
  /** Null: no write is due. */
  #cancelWrite: (() => void) | null = null
  #isClosed = false

  private constructor(
    files: Files,
    { clock, writeEveryMs = WRITE_EVERY_MS }: BootsSeenOptions,
    seen: Map<NodeId, Seen>,
  ) {
    this.#files = files
    this.#clock = clock
    this.#writeEveryMs = writeEveryMs
    this.#seen = seen
  }

  /** A damaged file counts as none: what other nodes forgot can't be noticed then, which is worth no more than a warning. */
  static async open(files: Files, options: BootsSeenOptions): Promise<BootsSeen> {
    const bytes = await files.read(FILE)
    if (bytes === null) return new BootsSeen(files, options, new Map())
    const parsed = schema.safeParse(parseChecked(bytes))
    if (!parsed.success) {
      options.logger.log(
        'warn',
        `${FILE} is damaged and begun anew: until the other nodes have been seen, one whose disk was rolled back goes unnoticed`,
      )
      return new BootsSeen(files, options, new Map())
    }
    const peers = parsed.data.peers as unknown as ({ node: NodeId } & Seen)[]
    return new BootsSeen(files, options, new Map(peers.map(({ node, ...seen }) => [node, seen])))
  }

  /** Resolves once the boot is durably known. Rejects with NOT_PERMITTED where the node must be kept out. */
  async admit({ node, boot, history }: Claim): Promise<void> {
    const known = this.#seen.get(node)
    if (known !== undefined) refuseOlder(known, { node, boot, history })
    const isNews = known?.boot !== boot || history.rejoins.some((mark) => !known.rejoins.includes(mark))
    if (isNews) {
      const rejoins = [...new Set([...(known?.rejoins ?? []), ...history.rejoins])]
      this.#seen.set(node, { boot, rejoins, batch: history.batches.at(-1)! })
      this.#isUnwritten = true
    }
    await this.#written()
  }

  /** A frame of an admitted boot says up to which batch its log is synced. Kept here at once, and written down before long. */
  heard({ node, boot, batch }: { node: NodeId; boot: BootId; batch: number }): void {
    const seen = this.#seen.get(node)
    if (seen === undefined || seen.boot !== boot || batch <= seen.batch) return
    seen.batch = batch
    this.#isUnwritten = true
    if (this.#isClosed) return
    this.#cancelWrite ??= this.#clock.setTimer(this.#writeEveryMs, () => {
      this.#cancelWrite = null
      // What could not be written is written with the next that comes.
      this.#written().catch(() => {})
    })
  }

  /** Writes what is not written yet, if it can. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#cancelWrite?.()
    await this.#written().catch(() => {})
  }

  /** One after the other: an older picture must not be the last to be written. */
  #written(): Promise<void> {
    this.#writing = this.#writing.catch(() => {}).then(() => this.#write())
    return this.#writing
  }

  async #write(): Promise<void> {
    if (!this.#isUnwritten) return
    this.#isUnwritten = false
    const peers = [...this.#seen].map(([node, seen]) => ({ node, ...seen }))
    try {
      await this.#files.replace(FILE, printChecked({ format: FORMAT, peers }))
    } catch (error) {
      this.#isUnwritten = true
      throw new HoldfastError('UNAVAILABLE', `the boot of a node can't be written down: ${String(error)}`, {
        cause: error,
      })
    }
  }
}

/** Throws NOT_PERMITTED. */
function refuseOlder(known: Seen, { node, history: { boots, batches, rejoins } }: Claim): void {
  const latest = rejoins.at(-1)
  if (latest !== undefined && !known.rejoins.includes(latest)) return
  const at = boots.indexOf(known.boot)
  if (at < 0) throw keptOut(node, 'in a start that its data directory knows nothing of')
  // The start that followed the known one, and not the present: an old copy that is started often enough has many batches, too.
  const next = batches[at + 1]
  if (next === undefined || next > known.batch) return
  throw keptOut(
    node,
    `with a log that reached batch ${known.batch}, and its next start is in batch ${next} of this one`,
  )
}

function keptOut(node: NodeId, how: string): HoldfastError {
  return new HoldfastError(
    'NOT_PERMITTED',
    `node ${node} was seen here ${how}: the directory was rolled back to an older ` +
      'copy, or is another one. It may have forgotten what it promised and is kept out until it rejoins',
  )
}
