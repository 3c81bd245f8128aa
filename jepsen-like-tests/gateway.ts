import { fileURLToPath } from 'node:url'
import { credentials, type GrpcObject, loadPackageDefinition, type ServiceClientConstructor } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { unpack } from 'msgpackr'

const PROTO = fileURLToPath(new URL('../../proto/holdfast/v1/holdfast.proto', import.meta.url))
const CODEC_MSGPACK = 3
const DEADLINE_MS = 20_000

interface Entry {
  readonly key: Buffer
  readonly value: Buffer
  readonly codec: number
}

interface ScanResult {
  readonly entries: readonly Entry[]
  readonly next?: Buffer
}

type ScanMethod = (
  call: object,
  options: { deadline: number },
  done: (error: Error | null, result: ScanResult) => void,
) => void

/** Asks one node and no other, by plain unary calls as other languages make them. It sends on what it does not lead. */
export class Gateway {
  readonly #client: InstanceType<ServiceClientConstructor>

  constructor(address: string) {
    const definition = loadPackageDefinition(loadSync(PROTO, { longs: Number, enums: Number, keepCase: true }))
    const service = ((definition.holdfast as GrpcObject).v1 as GrpcObject).KeyValue as ServiceClientConstructor
    // A connection of its own, so that a node that was restarted is dialled anew.
    this.#client = new service(address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 })
  }

  /** String keys and msgpack values. */
  async *scan(): AsyncGenerator<{ key: string; value: unknown }> {
    let start: Buffer | undefined
    do {
      const page = await this.#page(start)
      for (const { key, value, codec } of page.entries) {
        yield { key: key.toString('utf8'), value: codec === CODEC_MSGPACK ? unpack(value) : value }
      }
      start = page.next
    } while (start !== undefined)
  }

  close(): void {
    this.#client.close()
  }

  #page(start: Buffer | undefined): Promise<ScanResult> {
    const call = { namespace: 0, ...(start === undefined ? {} : { start }) }
    return new Promise((resolve, reject) => {
      const scan = this.#client.Scan as ScanMethod
      scan.call(this.#client, call, { deadline: Date.now() + DEADLINE_MS }, (error, result) => {
        if (error === null) resolve(result)
        else reject(error)
      })
    })
  }
}
