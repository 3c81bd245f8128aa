import grpc from '@grpc/grpc-js'
import { loadDefinitions } from '../../src/transport/proto-files.js'
import type { Bench } from './support.js'

export interface Answer {
  readonly error: grpc.ServiceError | null
  readonly reply: Record<string, unknown>
}

type Method = (
  request: object,
  options: grpc.CallOptions,
  done: (error: grpc.ServiceError | null, reply?: Record<string, unknown>) => void,
) => void

/** Calls a node as a client of another make does: by the .proto alone. */
export function foreign(address: string, bench: Bench) {
  const loaded = grpc.loadPackageDefinition(loadDefinitions('holdfast/v1/holdfast.proto'))
  const { v1 } = loaded.holdfast as unknown as { v1: Record<string, grpc.ServiceClientConstructor> }
  const clients = new Map<string, grpc.Client>()
  bench.atEnd(async () => {
    for (const client of clients.values()) client.close()
  })
  return (service: 'KeyValue' | 'Admin', method: string, request: object): Promise<Answer> => {
    const client = clients.get(service) ?? new v1[service]!(address, grpc.credentials.createInsecure())
    clients.set(service, client)
    const call = (client as unknown as Record<string, Method>)[method]!
    return new Promise((resolve) => {
      const options = { deadline: Date.now() + 30_000 }
      call.call(client, request, options, (error, reply) => resolve({ error, reply: reply ?? {} }))
    })
  }
}

/** The catalogue's code that a failed call carries. */
export function codeOf({ error }: Answer): unknown {
  return error?.metadata.get('holdfast-code')[0]
}
