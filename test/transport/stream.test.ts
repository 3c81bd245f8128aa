import type { Http2Session } from 'node:http2'
import net from 'node:net'
import type grpc from '@grpc/grpc-js'
import { afterEach, describe, expect, test } from 'vitest'
import { HoldfastError } from '../../src/base/errors.js'
import type { Version } from '../../src/base/ids.js'
import { limits } from '../../src/base/limits.js'
import { silentLogger } from '../../src/base/ports.js'
import type { Reply, Request } from '../../src/kv/requests.js'
import { REPLY_BYTES_MAX } from '../../src/transport/client-session.js'
import { GrpcConnector } from '../../src/transport/connector.js'
import { listen } from '../../src/transport/listener.js'
import { streamMethods } from '../../src/transport/methods.js'
import { maybeWiden } from '../../src/transport/receive-window.js'
import { encodeRequests } from '../../src/transport/wire/request-encoder.js'
import {
  connectTo,
  get,
  HandClock,
  HELLO,
  handlerOf,
  key,
  logTo,
  Mailbox,
  put,
  rawStream,
  scan,
  serve,
  written,
} from './support.js'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function start(options: Parameters<typeof handlerOf>[0] = {}, lines = new Mailbox<string>()) {
  const node = handlerOf(options)
  const server = await serve(node.handler, logTo(lines))
  ends.push(() => server.close(0))
  return { ...node, server, lines, address: server.address }
}

function open(address: string, connector = new GrpcConnector()) {
  const client = connectTo(address, connector)
  ends.push(() => client.connection.close())
  return client
}

function rowsOf(bytes: number): (request: Request) => Reply {
  const value = Buffer.alloc(bytes, 'x')
  const row = { key: key('k'), version: 3 as Version, codec: 'utf8' as const, value }
  return ({ id }) => ({ id, version: 3 as Version, kind: 'rows', rows: [row] })
}

describe('a stream', () => {
  test('begins with the hello of the node', async () => {
    const { address } = await start()
    const client = open(address)
    expect(await client.open()).toEqual([HELLO])
  })

  test('takes the requests of one send as one batch, and gives the replies of one turn as one group', async () => {
    const { address, batches } = await start()
    const client = open(address)
    await client.open()
    client.connection.send(Array.from({ length: 300 }, (_, i) => put(i + 1)))
    await client.replies.count(300)
    expect(batches.map(({ length }) => length)).toEqual([300])
    expect(client.groups).toEqual([300])
  })

  test('cuts what is larger than a frame, both ways, and keeps the order', async () => {
    const { address, batches } = await start({ answer: rowsOf(400_000) })
    const client = open(address)
    await client.open()
    client.connection.send([1, 2, 3, 4, 5].map((id) => put(id, Buffer.alloc(500_000))))
    const replies = await client.replies.count(5)
    expect(batches.map(({ length }) => length)).toEqual([2, 2, 1])
    expect(replies.map(({ id }) => id)).toEqual([1, 2, 3, 4, 5])
    expect(Math.max(...client.groups)).toBeLessThanOrEqual(2)
  })

  test('is refused by a node without a cluster, which says what to do', async () => {
    const { address } = await start({ hello: () => null })
    const client = open(address)
    const [error] = await client.closes.count(1)
    expect(error).toMatchObject({ code: 'UNAVAILABLE' })
    expect(error?.message).toContain(address)
    expect(error?.message).toContain('holdfast init')
  })

  test('to a port where nobody listens closes with UNAVAILABLE and the address', async () => {
    const { address, server } = await start()
    await server.close(0)
    const [error] = await open(address).closes.count(1)
    expect(error).toBeInstanceOf(HoldfastError)
    expect(error).toMatchObject({ code: 'UNAVAILABLE' })
    expect(error?.message).toContain(address)
  })

  test('to an address that is none closes with an error that says what was expected', async () => {
    const [error] = await open('no address:x').closes.count(1)
    expect(error?.message).toContain('no address:x')
  })

  test('tells the node when it ends', async () => {
    const { address, closed, sinks } = await start({ answer: () => null })
    const client = open(address)
    await client.open()
    client.connection.send([put(1)])
    const [sink] = await sinks.count(1)
    client.connection.close()
    expect(await closed.count(1)).toEqual([sink])
    sink!.replies([written(put(1))])
    expect(client.closes.items).toEqual([])
  })

  test('to a node that accepts and never answers closes after ten beats', async () => {
    const sockets = new Mailbox<net.Socket>()
    const silent = net.createServer((socket) => sockets.put(socket)).listen(0, '127.0.0.1')
    ends.push(() => silent.close())
    await new Promise((resolve) => silent.once('listening', resolve))
    const clock = new HandClock()
    const client = open(`127.0.0.1:${(silent.address() as net.AddressInfo).port}`, new GrpcConnector({ clock }))
    ends.push((await sockets.count(1))[0]!.destroy.bind(sockets.items[0]))
    for (let i = 0; i < 10; i++) clock.fire()
    const [error] = await client.closes.count(1)
    expect(error?.message).toContain('no answer to the connection attempt within 2500 ms')
  })

  test('to a node that falls silent closes after six beats, one that answers pings stays open', async () => {
    const { address } = await start()
    const clock = new HandClock()
    const relay = await relayTo(address)
    const client = open(relay.address, new GrpcConnector({ clock }))
    await client.open()
    for (let beat = 0; beat < 20; beat++) {
      const seen = relay.fromNode.items.length
      clock.fire()
      await relay.fromNode.count(seen + 1)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(client.closes.items).toEqual([])
    relay.freeze()
    for (let beat = 0; beat < 7; beat++) clock.fire()
    const [error] = await client.closes.count(1)
    expect(error?.message).toContain('nothing came within 1500 ms')
  })

  test('of a stopping node serves what is open, refuses what is new, then ends', async () => {
    const { address, server, sinks } = await start({ answer: () => null })
    const client = open(address)
    await client.open()
    client.connection.send([put(1)])
    const [sink] = await sinks.count(1)
    const stopped = server.close(60_000)
    client.connection.send([put(2)])
    const refused = await client.replies.find(({ id }) => id === 2)
    expect(refused).toMatchObject({ kind: 'error', error: { code: 'UNAVAILABLE', message: 'the node is stopping' } })
    sink!.replies([written(put(1))])
    await client.replies.find(({ id }) => id === 1)
    const [error] = await client.closes.count(1)
    expect(error?.message).toContain('the node is stopping')
    await stopped
  })
})

describe('a bad request is refused by name and value, and the stream goes on', () => {
  const long = key('k'.repeat(limits.keyBytesMax))
  const cases: [string, Request, string, string][] = [
    ['empty key', put(1, Buffer.from('v'), key('')), 'INVALID_ARGUMENT', 'a key is empty, expected at least one byte'],
    ['no keyspace', put(1, Buffer.from('v'), 'abc' as never), 'INVALID_ARGUMENT', 'a key has 3 bytes, expected 4'],
    ['long key', put(1, Buffer.from('v'), long), 'TOO_LARGE', `a key has 4100 bytes, expected at most 4096`],
    [
      'large value',
      put(1, Buffer.alloc(limits.valueBytesMax + 1)),
      'TOO_LARGE',
      'a value has 1048577 bytes, expected at most 1048576',
    ],
    [
      'system key',
      put(1, Buffer.from('v'), '\x00\x00\x00\x01k' as never),
      'NOT_PERMITTED',
      "keyspace 1 is the system's own, expected 16 or above",
    ],
    ['too many operations', batch(1_001, 1), 'TOO_LARGE', 'a batch has 1001 operations, expected at most 1000'],
    ['large batch', batch(5, 900_000), 'TOO_LARGE', 'bytes, expected at most 4194304'],
    ['no operations', batch(0, 0), 'INVALID_ARGUMENT', 'a write has no operations, expected 1 or more'],
    ['a key twice', twice(), 'INVALID_ARGUMENT', 'writes the key 0x000000106b twice'],
    [
      'span upside down',
      scan(1, { start: key('b'), end: key('a') }),
      'INVALID_ARGUMENT',
      'upside down: start 0x0000001062 lies behind end 0x0000001061',
    ],
    ['no rows', scan(1, { limit: 0 }), 'INVALID_ARGUMENT', 'limit is 0 rows, expected 1 to 1000'],
    ['too many rows', scan(1, { limit: 1_001 }), 'INVALID_ARGUMENT', 'limit is 1001 rows, expected 1 to 1000'],
    [
      'too many bytes',
      scan(1, { bytesMax: 2 ** 21 }),
      'INVALID_ARGUMENT',
      'bytesMax is 2097152, expected 1 to 1048576',
    ],
    [
      'long bound',
      scan(1, { start: key('a'.repeat(5_000)) }),
      'TOO_LARGE',
      'start has 5004 bytes, expected at most 4097',
    ],
    [
      'too many keys',
      get(1, ...Array.from({ length: 1_001 }, () => key('k'))),
      'TOO_LARGE',
      'a get has 1001 keys, expected at most 1000',
    ],
    ['no keys', { ...get(1), keys: [] } as Request, 'INVALID_ARGUMENT', 'a get names no keys'],
    ['no range', { ...get(1), range: 0 } as unknown as Request, 'INVALID_ARGUMENT', 'range is 0, expected 1 or more'],
    [
      'deadline',
      { ...get(1), deadlineMs: 600_001 },
      'INVALID_ARGUMENT',
      'deadline is 600001 ms, expected at most 600000',
    ],
    [
      'session',
      withOrigin({ session: 'short' }),
      'INVALID_ARGUMENT',
      'session is "short", expected 22 characters of base64url',
    ],
    ['sequence', withOrigin({ sequence: 0, lowest: 0 }), 'INVALID_ARGUMENT', 'sequence is 0, expected 1 or more'],
    [
      'lowest',
      withOrigin({ lowest: 7 }),
      'INVALID_ARGUMENT',
      "lowest is 7, expected at most the request's own sequence 1",
    ],
  ]
  test.each(cases)('%s', async (_, bad, code, message) => {
    const { address, batches } = await start()
    const client = open(address)
    await client.open()
    client.connection.send([bad, put(2)])
    const refused = await client.replies.find(({ id }) => id === 1)
    expect(refused).toMatchObject({ kind: 'error', error: { code } })
    expect(refused.kind === 'error' && refused.error.message).toContain(message)
    expect(await client.replies.find(({ id }) => id === 2)).toMatchObject({ kind: 'written' })
    expect(batches.flat().map(({ id }) => id)).toEqual([2])
  })

  test('kind unknown', async () => {
    const { address } = await start()
    const stream = rawStream(address)
    ends.push(stream.close)
    const frames = new Mailbox<Buffer>()
    stream.call.on('data', (frame: Buffer) => frames.put(frame))
    await frames.count(1)
    stream.call.write(Buffer.from([0x0a, 5, 0x08, 9, 0xfa, 0x01, 0]))
    const [, reply] = await frames.count(2)
    expect(reply!.toString('latin1')).toContain('its kind is missing or not known')
  })
})

describe('a client that goes too far is refused or cut off, and the node lives', () => {
  test('more requests than may be open: OVERLOADED, with a hint', async () => {
    const { address, sinks } = await start({ answer: () => null })
    const client = open(address)
    await client.open()
    client.connection.send(Array.from({ length: limits.clientRequestsInFlightMax + 1 }, (_, i) => get(i + 1)))
    const [refused] = await client.replies.count(1)
    expect(refused).toMatchObject({
      id: limits.clientRequestsInFlightMax + 1,
      error: { code: 'OVERLOADED', retryAfterMs: 100, message: '4096 requests are open, expected at most 4096' },
    })
    const [sink] = await sinks.count(1)
    sink!.replies([written(get(1))])
    await client.replies.find(({ id }) => id === 1)
    client.connection.send([get(5_000)])
    expect(client.replies.items).toHaveLength(2)
  })

  test('more bytes than may be open: OVERLOADED', async () => {
    const { address } = await start({ answer: () => null })
    const client = open(address)
    await client.open()
    const value = Buffer.alloc(limits.valueBytesMax)
    for (let i = 1; i <= 64; i++) client.connection.send([put(i, value)])
    const [refused] = await client.replies.count(1)
    expect(refused).toMatchObject({ id: 64, error: { code: 'OVERLOADED' } })
    expect(refused!.kind === 'error' && refused!.error.message).toContain('expected at most 67108864')
  })

  test('an id that is open already', async () => {
    const { address, lines } = await start({ answer: () => null })
    const client = open(address)
    await client.open()
    client.connection.send([get(1), get(1)])
    const [error] = await client.closes.count(1)
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(error?.message).toContain('request id 1 is in use')
    await lines.find((line) => line.includes('is cut off: request id 1 is in use'))
  })

  test('a message above the limit: the stream ends with both sizes', async () => {
    const { address } = await start()
    const stream = rawStream(address)
    ends.push(stream.close)
    stream.call.on('data', () => {})
    stream.call.write(Buffer.alloc(limits.messageBytesMax + 1))
    const [error] = await stream.errors.count(1)
    expect(error?.details).toContain(`${limits.messageBytesMax + 1} vs ${limits.messageBytesMax}`)
    await open(address).open()
  })

  test('a frame without a readable id: the stream ends by name', async () => {
    const { address, lines } = await start()
    const stream = rawStream(address)
    ends.push(stream.close)
    stream.call.on('data', () => {})
    stream.call.write(Buffer.from([0x0a, 2, 0x32, 99]))
    const [error] = await stream.errors.count(1)
    expect(error?.details).toBe('a frame is malformed: field 6 wants 99 bytes, 0 are left')
    await lines.find((line) => line.includes('is cut off: a frame is malformed'))
    await open(address).open()
  })

  test('random bytes on the port', async () => {
    const { address, server } = await start()
    for (const bytes of [Buffer.alloc(100_000, 'x'), Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.from([0, 255, 0])]) {
      const socket = net.connect(server.port, '127.0.0.1')
      const closed = new Promise((resolve) => socket.once('close', resolve))
      socket.on('error', () => {})
      socket.end(bytes)
      socket.resume()
      await closed
    }
    const preface = net.connect(server.port, '127.0.0.1')
    preface.on('error', () => {}).resume()
    const closed = new Promise((resolve) => preface.once('close', resolve))
    preface.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.alloc(5_000, 7)]))
    await closed
    await open(address).open()
  })

  test('one that never reads: large results become OVERLOADED, then it is cut off, memory stays bounded', async () => {
    const { address, lines, closed } = await start({
      answer: (request) => rowsOf(request.id % 50 !== 0 ? 900 : 900_000)(request),
    })
    const stream = rawStream(address)
    ends.push(stream.close)
    const gone = new Mailbox<number>()
    stream.call.on('error', () => gone.put(1))
    let id = 0
    const send = (): void => {
      if (closed.items.length > 0) return
      const requests = Array.from({ length: 50 }, () => get(++id))
      for (const frame of encodeRequests(requests)) stream.call.write(frame, () => setImmediate(send))
    }
    send()
    const line = await lines.find((each) => each.includes('does not read'))
    expect(line).toContain(`expected at most ${REPLY_BYTES_MAX}`)
    expect(Number(/read: (\d+) bytes/.exec(line)?.[1])).toBeLessThan(REPLY_BYTES_MAX + limits.frameBytesMax)
    await closed.count(1)
    stream.call.resume()
    await gone.count(1)
    await open(address).open()
  })

  test('one that reads slowly gets OVERLOADED for large results and is not cut off', async () => {
    const { address, closed } = await start({ answer: rowsOf(900_000) })
    const stream = rawStream(address)
    ends.push(stream.close)
    const frames = new Mailbox<Buffer>()
    for (const frame of encodeRequests(Array.from({ length: 40 }, (_, i) => get(i + 1)))) stream.call.write(frame)
    stream.call.on('data', (frame: Buffer) => frames.put(frame))
    const last = await frames.find((frame) => frame.includes('bytes of replies wait to be read'))
    expect(last.includes('OVERLOADED')).toBe(true)
    expect(closed.items).toEqual([])
  })
})

test('the receive window of a connection can be widened: grpc-js still lets us at it', async () => {
  const widened = new Mailbox<boolean>()
  const windows = new Mailbox<number | undefined>()
  const connect = (call: grpc.ServerDuplexStream<Buffer, Buffer>): void => {
    const { session } = (call as unknown as { call: { stream: { session: Http2Session } } }).call.stream
    session.on('localSettings', (settings) => windows.put(settings.initialWindowSize))
    widened.put(maybeWiden(call, 1_000_000))
    expect(session.state.effectiveLocalWindowSize).toBe(1_000_000)
  }
  const listener = await listen({
    host: '127.0.0.1',
    port: 0,
    logger: silentLogger,
    addServices: (server) => server.addService(streamMethods, { connect }),
  })
  ends.push(() => listener.close(0))
  const stream = rawStream(`127.0.0.1:${listener.port}`)
  ends.push(stream.close)
  stream.call.resume()
  expect(await widened.count(1)).toEqual([true])
  await windows.find((bytes) => bytes === 1_000_000)
})

test('a port in use is refused with EADDRINUSE', async () => {
  const { server, handler } = await start()
  const { startClientServer } = await import('../../src/transport/client-server.js')
  const again = startClientServer({ host: '127.0.0.1', port: server.port, handler, logger: { log() {} } })
  await expect(again).rejects.toMatchObject({ code: 'EADDRINUSE' })
})

function batch(operations: number, valueBytes: number): Request {
  const value = Buffer.alloc(valueBytes)
  const writes = Array.from({ length: operations }, (_, i) => ({
    kind: 'put',
    key: key(`k${i}`),
    codec: 'bytes',
    value,
  }))
  return { ...put(1), writes } as unknown as Request
}

function twice(): Request {
  const write = { kind: 'delete', key: key('k') }
  return { ...put(1), writes: [write, write] } as unknown as Request
}

function withOrigin(over: object): Request {
  const request = put(1)
  return { ...request, origin: { ...(request.kind === 'write' ? request.origin : {}), ...over } } as unknown as Request
}

/** Passes bytes on until told not to. */
async function relayTo(address: string) {
  const fromNode = new Mailbox<number>()
  let frozen = false
  const relay = net.createServer((near) => {
    const far = net.connect(Number(address.split(':')[1]), '127.0.0.1')
    ends.push(
      () => void near.destroy(),
      () => void far.destroy(),
    )
    near.on('error', () => {})
    far.on('error', () => {})
    near.on('data', (bytes) => void (frozen || far.write(bytes)))
    far.on('data', (bytes) => {
      if (frozen) return
      near.write(bytes)
      fromNode.put(bytes.length)
    })
  })
  ends.push(() => relay.close())
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
  return { address: `127.0.0.1:${(relay.address() as net.AddressInfo).port}`, fromNode, freeze: () => (frozen = true) }
}
