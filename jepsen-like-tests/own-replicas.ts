import { fileURLToPath } from 'node:url'
import {
  type ClientDuplexStream,
  credentials,
  type GrpcObject,
  loadPackageDefinition,
  type ServiceClientConstructor,
} from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { unpack } from 'msgpackr'
import { storedKeyOf } from '../src/client/index.js'

const PROTO = fileURLToPath(new URL('../../proto/holdfast/v1/holdfast.proto', import.meta.url))
const META_RANGE = 1
const CODEC_MSGPACK = 3
/** Any replica answers, once it has applied what the caller has seen. */
const FOLLOWER = { kind: 2 }
const KEYSPACE_BYTES = 4
const DEADLINE_MS = 20_000
const PAGE_ROWS = 1_000
const PAGE_BYTES = 1024 * 1024
const ROUTES_MAX = 1_000

interface Row {
  readonly key: Buffer
  readonly version: number
  readonly value: Buffer
  readonly codec: number
}

interface Span {
  readonly range: number
  readonly generation: number
  readonly start: Buffer
  readonly end?: Buffer
}

interface Reply {
  readonly id: number
  readonly version: number
  readonly rows?: { readonly rows: readonly Row[] }
  readonly page?: { readonly rows: readonly Row[]; readonly more: boolean }
  readonly routes?: { readonly routes: readonly { readonly descriptor: Span }[] }
  readonly error?: { readonly code: string; readonly message: string }
}

type Stream = ClientDuplexStream<object, { readonly replies: readonly Reply[] }>

interface Waiting {
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: Error) => void
}

/** What the replicas of one node hold, led by it or not: follower reads over the client stream, which no node sends on. */
export class OwnReplicas {
  readonly #client: InstanceType<ServiceClientConstructor>
  readonly #stream: Stream
  readonly #waiting = new Map<number, Waiting>()
  #lastId = 0

  constructor(address: string) {
    const options = { longs: Number, enums: Number, keepCase: true, arrays: true }
    const definition = loadPackageDefinition(loadSync(PROTO, options))
    const service = ((definition.holdfast as GrpcObject).v1 as GrpcObject).Stream as ServiceClientConstructor
    this.#client = new service(address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 })
    const connect = this.#client.Connect as () => Stream
    this.#stream = connect.call(this.#client)
    this.#stream.on('data', ({ replies }) => {
      for (const reply of replies) this.#settle(reply)
    })
    this.#stream.on('error', (error: Error) => this.#end(error))
    this.#stream.on('end', () => this.#end(new Error(`${address} ended the stream`)))
  }

  /**
   * All string keys of the raw namespace with their msgpack values, as of `seen` at least. Rejects with what the node says where it
   * has no replica of a range, or when the replica has not got that far within 20 s.
   */
  async *scan(seen: number): AsyncGenerator<{ key: string; value: unknown }> {
    for (const span of await this.#spans()) yield* this.#scanOne(span, seen)
  }

  /** Of string keys of the raw namespace; what is not there is undefined. Rejects as `scan`. */
  async getMany(keys: readonly string[], seen: number): Promise<unknown[]> {
    const spans = await this.#spans()
    const asked = keys.map((key) => Buffer.from(storedKeyOf(key), 'latin1'))
    const values = await Promise.all(
      asked.map(async (key) => {
        const { range, generation } = spans.find((span) => holds(span, key))!
        const { rows } = await this.#request({ range, generation, seen, get: { keys: [key], weak: FOLLOWER } })
        return rows!.rows[0]
      }),
    )
    return values.map((row) => (row === undefined || row.version === 0 ? undefined : decoded(row)))
  }

  close(): void {
    this.#stream.cancel()
    this.#client.close()
  }

  /** Of all data ranges. */
  async #spans(): Promise<Span[]> {
    const { routes } = await this.#request({ routes: { from: Buffer.alloc(0), limit: ROUTES_MAX } })
    return routes!.routes.map(({ descriptor }) => descriptor).filter(({ range }) => range !== META_RANGE)
  }

  async *#scanOne(
    { range, generation, start, end }: Span,
    seen: number,
  ): AsyncGenerator<{ key: string; value: unknown }> {
    const span = { ...(end === undefined ? {} : { end }), limit: PAGE_ROWS, bytes_max: PAGE_BYTES }
    let from = start
    for (let at: number | null = null; ; ) {
      const scan = { ...span, start: from, weak: FOLLOWER, ...(at === null ? {} : { at }) }
      const { page, version } = await this.#request({ range, generation, seen, scan })
      const { rows, more } = page!
      for (const row of rows) yield { key: row.key.toString('utf8', KEYSPACE_BYTES), value: decoded(row) }
      if (!more) return
      at ??= version
      from = Buffer.concat([rows.at(-1)!.key, Buffer.alloc(1)])
    }
  }

  #request(what: object): Promise<Reply> {
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#stream.write({ requests: [{ id, deadline_ms: DEADLINE_MS, ...what }] })
    })
  }

  #settle(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id)
    this.#waiting.delete(reply.id)
    if (reply.error === undefined || reply.error === null) waiting?.resolve(reply)
    else waiting?.reject(new Error(`${reply.error.code}: ${reply.error.message}`))
  }

  #end(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}

function holds({ start, end }: Span, key: Buffer): boolean {
  return Buffer.compare(start, key) <= 0 && (end === undefined || end === null || Buffer.compare(key, end) < 0)
}

function decoded({ value, codec }: Row): unknown {
  return codec === CODEC_MSGPACK ? unpack(value) : value
}
