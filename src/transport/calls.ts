import { HoldfastError } from '../base/errors.js'
import { type Method, newClient } from './methods.js'
import { errorFromStatus } from './statuses.js'
import { WireError } from './wire/reader.js'

/** One unary call on a connection of its own. Rejects with a HoldfastError that names the address. */
export function callOnce<Result>(
  address: string,
  call: { method: Method; request: Buffer; decode: (bytes: Buffer) => Result; deadlineMs: number },
): Promise<Result> {
  const { path, requestSerialize, responseDeserialize } = call.method
  const deadline = Date.now() + call.deadlineMs
  return new Promise<Result>((resolve, reject) => {
    const client = newClient(address)
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, call.request, { deadline }, (error, bytes) => {
      client.close()
      if (error !== null) return reject(errorFromStatus(address, error))
      try {
        resolve(call.decode(bytes ?? Buffer.alloc(0)))
      } catch (thrown) {
        if (!(thrown instanceof WireError)) return reject(thrown)
        const message = `${address}: the answer is malformed: ${thrown.message}`
        reject(new HoldfastError('UNAVAILABLE', message, { cause: thrown }))
      }
    })
  })
}
