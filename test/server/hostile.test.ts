import http2 from 'node:http2'
import net from 'node:net'
import tls from 'node:tls'
import grpc from '@grpc/grpc-js'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { limits } from '../../src/base/limits.js'
import type { Holdfast } from '../../src/client/index.js'
import { COLD_READS_OPEN_MAX } from '../../src/store/cold-reads.js'
import { REPLY_BYTES_MAX } from '../../src/transport/client-session.js'
import {
  adminMethods,
  keyValueMethods,
  peerMethods,
  serverOptions,
  streamMethods,
} from '../../src/transport/methods.js'
import { encodeRequests } from '../../src/transport/wire/request-encoder.js'
import { get, key, rawStream, unaryCall } from '../transport/support.js'
import { Bench, refusal, type TestNode } from './support.js'

const bench = new Bench()
let nodes: TestNode[] = []
let db: Holdfast
const kept = Array.from({ length: 100 }, (_, i) => `kept-${i}`)

beforeAll(async () => {
  nodes = await bench.cluster(3, ['kept-5'])
  db = await bench.connect(nodes)
  await Promise.all(kept.map((each) => db.put(each, each)))
})
afterAll(() => bench.clear())

/** Every node lives, the cluster serves, and what was there is there. */
afterEach(async () => {
  for (const node of nodes) {
    expect(node.deaths).toEqual([])
    const through = await bench.connect([node])
    await through.put('serves', node.client)
    expect(await db.get('serves')).toBe(node.client)
  }
  expect(await db.getMany(kept)).toEqual(kept)
})

/** The same bytes in every run. */
function noise(seed: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  let state = seed
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}

const sockets: net.Socket[] = []
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
})

async function dial(address: string): Promise<net.Socket> {
  const [host, port] = address.split(':')
  const socket = net.connect(Number(port), host)
  sockets.push(socket.on('error', () => {}).resume())
  await new Promise<void>((resolve) => socket.once('connect', resolve))
  return socket
}

/** The node closes the connection, or says with a GOAWAY frame (type 7) that it takes no more. */
function goneOrRefused(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => {
    let heard = Buffer.alloc(0)
    socket.once('close', () => resolve())
    socket.on('data', (bytes: Buffer) => {
      heard = Buffer.concat([heard, bytes])
      for (let at = 0; at + 9 <= heard.length; at += 9 + heard.readUIntBE(at, 3)) if (heard[at + 3] === 7) resolve()
    })
  })
}

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
const SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])

function frame(type: number, length: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([length >> 16, length >> 8, length, type, 0, 0, 0, 0, 1]), body])
}

const openings: [string, Buffer][] = [
  ['random bytes', noise(1, 50_000)],
  ['one byte', Buffer.from([0])],
  ['an HTTP/1 request', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
  ['an HTTP/1 request without an end', Buffer.from(`POST / HTTP/1.1\r\nX: ${'x'.repeat(100_000)}`)],
  [
    'half a TLS hello',
    Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03, ...noise(2, 20)]),
  ],
  ['the beginning of HTTP/2, then random bytes', Buffer.concat([PREFACE, SETTINGS, noise(3, 50_000)])],
  ['a frame of 16 MiB', Buffer.concat([PREFACE, SETTINGS, frame(0, 0xff_ffff, noise(4, 10_000))])],
  ['headers that are none', Buffer.concat([PREFACE, SETTINGS, frame(1, 1_000, noise(5, 1_000))])],
]

describe.each(['client', 'peer'] as const)('on the %s port', (which) => {
  test.each(openings)('%s', async (_, bytes) => {
    for (const node of nodes) {
      const socket = await dial(node[which])
      // What never ends stays open while the cluster must serve.
      await new Promise<void>((resolve) => socket.write(bytes, () => resolve()))
      const ended = await dial(node[which])
      const gone = goneOrRefused(ended)
      ended.end(bytes)
      await gone
    }
  })

  test('a TLS client', async () => {
    for (const node of nodes) {
      const [host, port] = node[which].split(':')
      const failed = new Promise<Error>((resolve) => {
        tls.connect({ host: host!, port: Number(port), rejectUnauthorized: false }).once('error', resolve)
      })
      expect(await failed).toBeInstanceOf(Error)
    }
  })

  test('200 connections that say nothing', async () => {
    await Promise.all(Array.from({ length: 200 }, () => dial(nodes[0]![which])))
  })

  const methods = { client: [keyValueMethods, adminMethods, streamMethods], peer: [peerMethods] }[which]
  const paths = methods.flatMap((service) => Object.values(service).map(({ path }) => path))
  test.each(paths)('random bytes as the message of %s', async (path) => {
    for (let seed = 1; seed <= 10; seed++) {
      const answer = unaryCall(nodes[0]![which], path, noise(seed * 7_919, seed * 50)).then(
        () => null,
        (error: { code: number }) => error,
      )
      expect([null, expect.objectContaining({ code: expect.any(Number) })]).toContainEqual(await answer)
    }
  })

  test.each(paths)('a message of %s that says it has 4 GiB', async (path) => {
    const session = http2.connect(`http://${nodes[0]![which]}`)
    const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' }
    const stream = session.request(headers)
    const status = new Promise<unknown>((resolve) => {
      stream.once('trailers', (trailers) => resolve(trailers['grpc-status']))
      stream.once('response', (answer) => answer['grpc-status'] !== undefined && resolve(answer['grpc-status']))
    })
    stream.on('error', () => {}).resume()
    stream.write(Buffer.concat([Buffer.from([0, 255, 255, 255, 255]), noise(6, 1_000)]))
    expect(await status).toBe(String(grpc.status.RESOURCE_EXHAUSTED))
    session.destroy()
  })

  test('a message above the limit, which both sizes are named for', async () => {
    const path = which === 'client' ? keyValueMethods.put.path : peerMethods.join.path
    const client = new grpc.Client(nodes[0]![which], grpc.credentials.createInsecure(), {
      'grpc.max_send_message_length': -1,
    })
    const asIs = (bytes: Buffer): Buffer => bytes
    const error = await new Promise<grpc.ServiceError | null>((resolve) => {
      client.makeUnaryRequest(path, asIs, asIs, Buffer.alloc(limits.messageBytesMax + 1), resolve)
    })
    client.close()
    expect(error).toMatchObject({ code: grpc.status.RESOURCE_EXHAUSTED })
    expect(error?.details).toContain(`${limits.messageBytesMax + 1} vs ${limits.messageBytesMax}`)
  })
})

test('connections that say nothing, or stay when told to go, are ended by pings', async () => {
  expect(serverOptions).toMatchObject({ 'grpc.keepalive_time_ms': 30_000, 'grpc.keepalive_timeout_ms': 20_000 })
  const hasty = { ...serverOptions, 'grpc.keepalive_time_ms': 50, 'grpc.keepalive_timeout_ms': 50 }
  const server = new grpc.Server(hasty)
  const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure())
  const acceptor = net.createServer((socket) => injector.injectConnection(socket.on('error', () => {})))
  await new Promise<void>((resolve) => acceptor.listen(0, '127.0.0.1', resolve))
  const address = `127.0.0.1:${(acceptor.address() as net.AddressInfo).port}`
  for (const bytes of [Buffer.alloc(0), openings.find(([name]) => name === 'a frame of 16 MiB')![1]]) {
    const socket = await dial(address)
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    socket.write(bytes)
    await closed
  }
  acceptor.close()
  server.forceShutdown()
})

describe('a client that never reads', () => {
  const own = new Bench()
  afterEach(() => own.clear())

  test('is cut off and named, memory stays bounded, and others are served', async () => {
    const [node] = await own.cluster(1)
    const other = await own.connect([node!])
    await other.put('big', new Uint8Array(limits.valueBytesMax), { codec: 'bytes' })
    await other.put('small', new Uint8Array(900), { codec: 'bytes' })
    const before = process.memoryUsage().arrayBuffers
    let most = 0
    const deaf = rawStream(node!.client)
    own.atEnd(async () => deaf.close())
    let id = 0
    let isCut = false
    let isOver = false
    const sample = (): void => {
      most = Math.max(most, process.memoryUsage().arrayBuffers)
      if (!isOver) setImmediate(sample)
    }
    sample()
    const ask = (name: string, count: number): Buffer[] =>
      encodeRequests(Array.from({ length: count }, () => get(++id, key(name))))
    for (const frame of ask('big', 600)) deaf.call.write(frame)
    // Behind all that the deaf one asked for.
    expect(await other.get<Uint8Array>('big')).toHaveLength(limits.valueBytesMax)
    isOver = true
    // What waits to be read is bounded, and so is what is on its way from the disk; the rest is garbage not collected yet.
    const bound = 2 * REPLY_BYTES_MAX + 4 * COLD_READS_OPEN_MAX * limits.valueBytesMax
    expect(most - before).toBeLessThan(bound)

    const goOn = (): void => {
      if (!isCut) for (const frame of ask('small', 200)) deaf.call.write(frame, () => setImmediate(goOn))
    }
    goOn()
    const line = await node!.lines.find(/the client does not read/)
    isCut = true
    expect(line).toMatch(/client 127\.0\.0\.1:\d+ is cut off: .* bytes of replies wait, expected at most \d+/)
    expect(await other.get<Uint8Array>('small')).toHaveLength(900)
  })
})

describe('what is over a limit, by the SDK: the value and the limit are named', () => {
  const big = (bytes: number): Uint8Array => new Uint8Array(bytes)
  const asBytes = { codec: 'bytes' } as const

  test.each<[string, string, () => Promise<unknown>, RegExp]>([
    ['an empty key', 'INVALID_ARGUMENT', () => db.put('', 1), /empty/],
    ['a key', 'TOO_LARGE', () => db.put('k'.repeat(4_093), 1), /409[37].*at most 409[26]/],
    ['a value', 'TOO_LARGE', () => db.put('k', big(1_048_577), asBytes), /"k" is 1048577; expected at most 1048576/],
    [
      'keys of a batch',
      'TOO_LARGE',
      () => db.batch(Array.from({ length: 1_001 }, (_, i) => ({ delete: `${i}` }))),
      /1001; expected at most 1000/,
    ],
    [
      'bytes of a batch',
      'TOO_LARGE',
      () =>
        db.batch(
          Array.from({ length: 5 }, (_, i) => ({ put: `${i}`, value: big(900_000) })),
          asBytes,
        ),
      /the batch is 45000\d\d; expected at most 4194304/,
    ],
    ['an empty batch', 'INVALID_ARGUMENT', () => db.batch([]), /the batch is empty/],
    [
      'a span upside down',
      'INVALID_ARGUMENT',
      async () => db.scan({ start: 'b', end: 'a' })[Symbol.asyncIterator]().next(),
      /upside down/,
    ],
    ['an unsafe version', 'INVALID_ARGUMENT', () => db.put('k', 1, { ifVersion: 2 ** 53 }), /9007199254740992/],
    [
      'keys over ranges',
      'CROSSES_RANGES',
      () =>
        db.batch([
          { put: 'a', value: 1 },
          { put: 'z', value: 1 },
        ]),
      /"a" and "z"/,
    ],
  ])('%s', async (_, code, call, expected) => {
    const error = await refusal(call())
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(expected)])
  })

  test('more values than a message holds are read in parts', async () => {
    const names = Array.from({ length: 12 }, (_, i) => `large-${i}`)
    await Promise.all(names.map((name) => db.put(name, big(1_000_000), asBytes)))
    const found = await db.getMany<Uint8Array>(names)
    expect(found.map((value) => value?.length)).toEqual(names.map(() => 1_000_000))
  })

  test('what is just at its limit is taken', async () => {
    const key = 'k'.repeat(4_092)
    await db.put(key, big(1_048_576), asBytes)
    expect(await db.get<Uint8Array>(key)).toHaveLength(1_048_576)
    const full = Array.from({ length: 4 }, (_, i) => ({ put: `b${i}`, value: big(1_000_000) }))
    await db.batch(full, asBytes)
    await db.batch(Array.from({ length: 1_000 }, (_, i) => ({ put: `c${i}`, value: i })))
    await db.delete(key)
  })
})
