import { type ClientDuplexStream, credentials } from '@grpc/grpc-js'
import { loadLimitService } from './limit-proto.js'
import type { KeyValue } from './load.js'

interface Call {
  id: number
  key: Buffer
  value?: Uint8Array
  read?: boolean
}

/** All calls of one turn of the event loop leave as one message. */
export function connectLimit(port: number): KeyValue & { close(): void } {
  const Service = loadLimitService()
  const service = new Service(`127.0.0.1:${port}`, credentials.createInsecure())
  const stream = service.Serve!() as unknown as ClientDuplexStream<
    { calls: Call[] },
    { answers: { id: number; value: Buffer }[] }
  >
  const open = new Map<number, (value: Buffer) => void>()
  let gathered: Call[] = []
  let lastId = 0
  stream.on('data', ({ answers }: { answers: { id: number; value: Buffer }[] }) => {
    for (const { id, value } of answers) {
      open.get(id)!(value)
      open.delete(id)
    }
  })
  stream.on('error', () => {})
  const call = (what: Omit<Call, 'id'>): Promise<Buffer> =>
    new Promise((resolve) => {
      const id = ++lastId
      open.set(id, resolve)
      if (gathered.push({ ...what, id }) > 1) return
      setImmediate(() => {
        stream.write({ calls: gathered })
        gathered = []
      })
    })
  return {
    put: (key, value) => call({ key: Buffer.from(key), value }),
    get: (key) => call({ key: Buffer.from(key), read: true }),
    close: () => service.close(),
  }
}
