import { z } from 'zod'
import { HoldfastError } from '../base/errors.js'
import type { BootId, NodeId } from '../base/ids.js'
import type { Logger } from '../base/ports.js'
import { parseChecked, printChecked } from './checked-json.js'
import type { Files } from './types.js'

const FILE = 'peers.json'
const FORMAT = 1

const id = z.number().int().min(1).max(Number.MAX_SAFE_INTEGER)
const schema = z.strictObject({
  format: z.literal(FORMAT),
  peers: z.array(z.strictObject({ node: id, boot: id, rejoins: z.array(id) })),
})

/** What a node says of itself: its present boot is the last of its boots. */
export interface Claim {
  readonly node: NodeId
  readonly boot: BootId
  readonly history: { readonly boots: readonly BootId[]; readonly rejoins: readonly BootId[] }
}

interface Seen {
  readonly boot: BootId
  readonly rejoins: readonly BootId[]
}

/**
 * Which boot of each other node this one saw last (peers.json). A node that comes with a history that lacks it is refused: its
 * directory was rolled back, or is another's, so it may have forgotten a vote or an acknowledgement that was counted here. It is
 * taken again once it has a mark that it came back without its replicas, one that was not seen before: under their ids nothing is
 * said any more then.
 */
export class BootsSeen {
  readonly #files: Files
  readonly #seen: Map<NodeId, Seen>
  #writing: Promise<void> = Promise.resolve()
  /** What is known in memory and may not be on disk. */
  #isUnwritten = false

  private constructor(files: Files, seen: Map<NodeId, Seen>) {
    this.#files = files
    this.#seen = seen
  }

  /** A damaged file counts as none: what other nodes forgot can't be noticed then, which is worth no more than a warning. */
  static async open(files: Files, logger: Logger): Promise<BootsSeen> {
    const bytes = await files.read(FILE)
    if (bytes === null) return new BootsSeen(files, new Map())
    const parsed = schema.safeParse(parseChecked(bytes))
    if (!parsed.success) {
      logger.log(
        'warn',
        `${FILE} is damaged and begun anew: until the other nodes have been seen, one whose disk was rolled back goes unnoticed`,
      )
      return new BootsSeen(files, new Map())
    }
    const peers = parsed.data.peers as unknown as ({ node: NodeId } & Seen)[]
    return new BootsSeen(files, new Map(peers.map(({ node, boot, rejoins }) => [node, { boot, rejoins }])))
  }

  /** Resolves once the boot is durably known. Rejects with NOT_PERMITTED where the node must be kept out. */
  async admit({ node, boot, history }: Claim): Promise<void> {
    const known = this.#seen.get(node)
    if (known !== undefined && !followsOn(known, history)) throw keptOut(node)
    const isNews = known?.boot !== boot || history.rejoins.some((mark) => !known.rejoins.includes(mark))
    if (isNews) {
      this.#seen.set(node, { boot, rejoins: [...new Set([...(known?.rejoins ?? []), ...history.rejoins])] })
      this.#isUnwritten = true
    }
    // One after the other: an older picture must not be the last to be written.
    this.#writing = this.#writing.catch(() => {}).then(() => this.#write())
    await this.#writing
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

function followsOn(known: Seen, { boots, rejoins }: Claim['history']): boolean {
  if (boots.includes(known.boot)) return true
  const latest = rejoins.at(-1)
  return latest !== undefined && !known.rejoins.includes(latest)
}

function keptOut(node: NodeId): HoldfastError {
  return new HoldfastError(
    'NOT_PERMITTED',
    `node ${node} was seen here in a start that its data directory knows nothing of: the directory was rolled back to an older ` +
      'copy, or is another one. It may have forgotten what it promised and is kept out until it rejoins',
  )
}
