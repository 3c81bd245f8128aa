import { HoldfastError } from '../base/errors.js'
import type { Key, SessionId, Version } from '../base/ids.js'
import { KEYSPACES, keyspaceSpan, splitStoredKey, storedKey } from '../base/keyspace.js'
import { limits } from '../base/limits.js'
import { ClientCore } from '../client/core.js'
import { newSessionId } from '../client/real-ports.js'
import type { NodeStatus, Row } from '../kv/requests.js'
import type { Condition, Write } from '../kv/types.js'
import { GrpcConnector } from '../transport/connector.js'
import type {
  Namespace,
  UnaryCall,
  UnaryCondition,
  UnaryDelete,
  UnaryEntry,
  UnaryGet,
  UnaryGetMany,
  UnaryHandler,
  UnaryKey,
  UnaryOperation,
  UnaryPut,
  UnaryScan,
  UnaryTransfer,
} from '../transport/unary.js'
import { realClock, realRandom } from './real-ports.js'

/**
 * The unary services: a call may go to any node, which passes it on to the leader. The node uses the SDK's core for it, so
 * routing, retries and at-most-once are the same code as everywhere; each unary write is one request of the node's own session.
 */
export class UnaryService implements UnaryHandler {
  readonly #endpoint: () => string
  readonly #status: () => NodeStatus | null
  #core: ClientCore | null = null

  constructor(options: { endpoint: () => string; status: () => NodeStatus | null }) {
    this.#endpoint = options.endpoint
    this.#status = options.status
  }

  async get({ namespace, key, weak }: UnaryGet, call: UnaryCall): Promise<UnaryEntry | null> {
    const [row] = await this.#client.get([stored(namespace, key)], { ...call, weak })
    return row === null || row === undefined ? null : entry(row)
  }

  async getMany(request: UnaryGetMany, call: UnaryCall): Promise<readonly (UnaryEntry | null)[]> {
    const keys = request.keys.map((key) => stored(request.namespace, key))
    return (await this.#client.get(keys, { ...call, weak: request.weak })).map((row) =>
      row === null ? null : entry(row),
    )
  }

  async put(request: UnaryPut, call: UnaryCall): Promise<{ readonly version: Version }> {
    const key = stored(request.namespace, request.key)
    const { codec, value } = request
    return this.#write(conditionsOf(key, request.condition), [{ kind: 'put', key, codec, value }], call)
  }

  async delete(
    request: UnaryDelete,
    call: UnaryCall,
  ): Promise<{ readonly version: Version; readonly deleted: boolean }> {
    const key = stored(request.namespace, request.key)
    const { version, deleted } = await this.#write(
      conditionsOf(key, request.condition),
      [{ kind: 'delete', key }],
      call,
    )
    return { version, deleted: deleted[0] ?? false }
  }

  async batch(
    request: { readonly namespace: Namespace; readonly operations: readonly UnaryOperation[] },
    call: UnaryCall,
  ): Promise<{ readonly version: Version }> {
    const conditions: Condition[] = []
    const writes: Write[] = []
    for (const operation of request.operations) {
      const key = stored(request.namespace, operation.key)
      if (operation.kind === 'check') conditions.push(...conditionsOf(key, operation.condition))
      else if (operation.kind === 'delete') writes.push({ kind: 'delete', key })
      else writes.push({ kind: 'put', key, codec: operation.codec, value: operation.value })
    }
    return this.#write(conditions, writes, call)
  }

  async scan(
    request: UnaryScan,
    call: UnaryCall,
  ): Promise<{ readonly entries: readonly UnaryEntry[]; readonly next: Uint8Array | null }> {
    const { namespace, reverse, limit, keysOnly, weak } = request
    const whole = keyspaceSpan(KEYSPACES[namespace])
    const start = stored(namespace, request.start)
    const end = request.end === null ? whole.end : stored(namespace, request.end)
    const page = await this.#client.scanPage({ start, end, reverse, limit, keysOnly, at: null }, { ...call, weak })
    return { entries: page.rows.map(entry), next: page.resume === null ? null : userBytes(page.resume) }
  }

  async split({ namespace, key }: UnaryKey, call: UnaryCall) {
    return { range: await this.#client.split(stored(namespace, key), call) }
  }

  transfer(request: UnaryTransfer, call: UnaryCall): Promise<void> {
    return this.#client.transfer(request, call)
  }

  async status(): Promise<NodeStatus> {
    return this.#statusOfMember()
  }

  close(): void {
    this.#core?.close()
    this.#core = null
  }

  #write(conditions: readonly Condition[], writes: readonly Write[], call: UnaryCall) {
    return this.#client.write({ conditions, writes, wantValue: false }, call)
  }

  /** @throws HoldfastError UNAVAILABLE before this node belongs to a cluster; from then on it does for good. */
  #statusOfMember(): NodeStatus {
    const status = this.#status()
    if (status !== null) return status
    throw new HoldfastError('UNAVAILABLE', 'this node belongs to no cluster yet: run `holdfast init`')
  }

  /** Made at the first call: a node that serves no unary caller has no client inside. */
  get #client(): ClientCore {
    if (this.#core !== null) return this.#core
    this.#statusOfMember()
    this.#core = new ClientCore({
      connector: new GrpcConnector(),
      endpoints: [this.#endpoint()],
      clock: realClock,
      random: realRandom,
      defaultDeadlineMs: limits.defaultDeadlineMs,
      newSessionId: (): SessionId => newSessionId(),
    })
    return this.#core
  }
}

function stored(namespace: Namespace, key: Uint8Array): Key {
  return storedKey(KEYSPACES[namespace], Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1'))
}

function userBytes(key: Key): Uint8Array {
  return Buffer.from(splitStoredKey(key).bytes, 'latin1')
}

function entry(row: Row): UnaryEntry {
  return { key: userBytes(row.key), value: row.value, codec: row.codec, version: row.version }
}

function conditionsOf(key: Key, condition: UnaryCondition | null): Condition[] {
  if (condition === null) return []
  switch (condition.kind) {
    case 'absent':
      return [{ kind: 'absent', key }]
    case 'version':
      return [{ kind: 'version', key, version: condition.version }]
    case 'value':
      return [{ kind: 'value', key, codec: condition.codec, value: condition.value }]
  }
}
