import { afterEach, describe, expect, test } from 'vitest'
import { limits } from '../../src/base/limits.js'
import type { Reply, Request } from '../../src/kv/requests.js'
import { keyValueMethods } from '../../src/transport/methods.js'
import { encodeRequests } from '../../src/transport/wire/request-encoder.js'
import { connectTo, deafStream, get, handlerOf, key, logTo, Mailbox, serve, unaryCall, written } from './support.js'

const ends: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function start(options: Parameters<typeof handlerOf>[0]) {
  const parts = handlerOf(options)
  const lines = new Mailbox<string>()
  const server = await serve(parts.handler, logTo(lines))
  ends.push(() => server.close(0))
  return { ...parts, ...server, lines }
}

function client(address: string) {
  const connected = connectTo(address)
  ends.push(() => connected.connection.close())
  return connected
}

const wait = () => new Promise<void>((resolve) => setImmediate(resolve))

describe('what all clients of a node have under way together', () => {
  test('is bounded in requests: one more is OVERLOADED with a hint, and taken once others are answered', async () => {
    const { address, sinks, batches, figures } = await start({ answer: () => null })
    const each = limits.clientRequestsInFlightMax
    const clients = Array.from({ length: limits.nodeRequestsInFlightMax / each }, () => client(address))
    const ids = Array.from({ length: each }, (_, at) => at + 1)
    for (const { open, connection } of clients) {
      await open()
      connection.send(ids.map((id) => get(id)))
    }
    while (figures().requests < limits.nodeRequestsInFlightMax) await wait()
    const late = client(address)
    await late.open()
    late.connection.send([get(1)])
    const [refusal] = await late.replies.count(1)
    expect(refusal).toMatchObject({
      kind: 'error',
      error: { code: 'OVERLOADED', retryAfterMs: expect.any(Number), message: expect.stringMatching(/of all clients/) },
    })
    expect(figures()).toMatchObject({ connections: clients.length + 1, requests: limits.nodeRequestsInFlightMax })

    const first = sinks.items[0]!
    first.replies(ids.map((id) => written(get(id))))
    late.connection.send([get(2)])
    while (!batches.some((batch) => batch.length === 1)) await wait()
    for (const { connection } of [...clients, late]) connection.close()
    while (figures().requests > 0) await wait()
    expect(figures()).toMatchObject({ requestBytes: 0, replyBytes: 0 })
  })

  test('is bounded in answers that nobody takes: the client that holds most is cut off, others are served', async () => {
    const value = Buffer.alloc(900_000, 'x')
    const row = { key: key('k'), version: 3 as never, codec: 'utf8' as const, value }
    const rows = ({ id }: Request): Reply => ({ id, version: 3 as never, kind: 'rows', rows: [row] })
    const { address, lines, figures } = await start({ answer: rows })
    let most = 0
    let isCut = false
    void lines
      .find((line) => line.includes('does not read'))
      .then(() => {
        isCut = true
      })
    // Each may hold 16 MiB of large answers before they turn into OVERLOADED: ten of them are more than all may.
    for (let each = 1; !isCut; each++) {
      const deaf = deafStream(address)
      ends.push(deaf.close)
      const asked = Array.from({ length: 19 }, (_, at) => get(at + 1))
      await Promise.all(encodeRequests(asked).map((frame) => deaf.send(frame)))
      for (let turn = 0; turn < 100 && !isCut; turn++) {
        most = Math.max(most, figures().replyBytes)
        await wait()
      }
      expect(each).toBeLessThan(20)
    }
    expect(most).toBeLessThanOrEqual(limits.nodeReplyBytesMax + limits.frameBytesMax)
    const other = client(address)
    await other.open()
    other.connection.send([get(1)])
    await other.replies.count(1)
    for (const end of ends.splice(1).reverse()) await end()
    while (figures().replyBytes > 0) await wait()
  })

  test('is bounded in unary calls: their bytes count until the caller has the result', async () => {
    const answers: (() => void)[] = []
    const unary = { get: () => new Promise<null>((resolve) => answers.push(() => resolve(null))) }
    const { address, figures } = await start({ unary })
    const bytes = Buffer.from([0x12, 1, 0x6b])
    const call = unaryCall(address, keyValueMethods.get.path, bytes)
    while (figures().requests === 0) await wait()
    expect(figures()).toMatchObject({ requests: 1, requestBytes: bytes.length })
    while (answers.length === 0) await wait()
    answers[0]!()
    await call
    while (figures().requests > 0) await wait()
    expect(figures().requestBytes).toBe(0)
  })
})
