import type { Generation, NodeId, RangeId, SessionId, Version } from '../../src/base/ids.js'
import { KEYSPACES, storedKey } from '../../src/base/keyspace.js'
import type {
  GetRequest,
  Reply,
  ReplySink,
  Request,
  ScanRequest,
  SplitRequest,
  TransferRequest,
  WriteRequest,
} from '../../src/kv/requests.js'
import type { Condition, Origin, Write } from '../../src/kv/types.js'

export const k = (text: string) => storedKey(KEYSPACES.raw, text)
export const bytes = (text: string) => Uint8Array.from(Buffer.from(text))
export const text = (value: Uint8Array | undefined) => (value === undefined ? null : Buffer.from(value).toString())
export const v = (version: number) => version as Version
/** The first data range of a cluster. */
export const DATA = 2 as RangeId

interface Where {
  readonly range?: RangeId
  readonly generation?: number
  readonly seen?: Version
  readonly deadlineMs?: number
}

let lastId = 0

function head({ range = DATA, generation = 1, seen = v(0), deadlineMs = 5_000 }: Where) {
  lastId += 1
  return { id: lastId, range, generation: generation as Generation, seen, deadlineMs }
}

export const putWrite = (key: string, value: string): Write => ({
  kind: 'put',
  key: k(key),
  codec: 'utf8',
  value: bytes(value),
})

export function origin(session: string, sequence: number, parts: Partial<Origin> = {}): Origin {
  return { session: session.padEnd(22, '-') as SessionId, sequence, firstSent: v(0), lowest: 1, ...parts }
}

export function write(
  writes: readonly Write[],
  parts: Where & { origin?: Origin; conditions?: readonly Condition[] } = {},
): WriteRequest {
  const { conditions = [] } = parts
  return { kind: 'write', ...head(parts), origin: parts.origin ?? null, conditions, writes, wantValue: false }
}

export const put = (key: string, value: string, parts: Parameters<typeof write>[1] = {}) =>
  write([putWrite(key, value)], parts)

export const get = (keys: readonly string[], parts: Where = {}): GetRequest => ({
  kind: 'get',
  ...head(parts),
  keys: keys.map(k),
})

export const scan = (start: string, end: string | null, parts: Where & { at?: Version } = {}): ScanRequest => ({
  kind: 'scan',
  ...head(parts),
  start: k(start),
  end: end === null ? null : k(end),
  reverse: false,
  limit: 1_000,
  bytesMax: 1_000_000,
  at: parts.at ?? null,
  keysOnly: false,
})

export const split = (at: string, parts: Where & { origin?: Origin } = {}): SplitRequest => ({
  kind: 'split',
  ...head(parts),
  origin: parts.origin ?? null,
  at: k(at),
})

/** `to`: the node that is to lead. */
export const transfer = (to: number, parts: Where = {}): TransferRequest => ({
  kind: 'transfer',
  ...head(parts),
  to: to as NodeId,
})

/** One client connection that keeps all it gets. */
export class Client implements ReplySink {
  readonly #replies = new Map<number, Reply>()
  /** How many replies came with each message. */
  readonly messages: number[] = []

  replies(replies: readonly Reply[]): void {
    this.messages.push(replies.length)
    for (const reply of replies) {
      if (this.#replies.has(reply.id)) throw new Error(`request ${reply.id} was answered twice`)
      this.#replies.set(reply.id, reply)
    }
  }

  reply(request: Request): Reply | undefined {
    return this.#replies.get(request.id)
  }

  /** What came of a request, in a word: the error's code, or the reply's kind. */
  said(request: Request): string {
    const reply = this.reply(request)
    if (reply === undefined) return 'nothing'
    return reply.kind === 'error' ? reply.error.code : reply.kind
  }

  version(request: Request): Version {
    return this.reply(request)?.version ?? v(-1)
  }

  /** Of a get: the values, null where nothing is. */
  values(request: GetRequest): (string | null)[] {
    const reply = this.reply(request)
    if (reply?.kind !== 'rows') throw new Error(`the get was answered by ${this.said(request)}`)
    return reply.rows.map((row) => (row === null ? null : text(row.value)))
  }
}
