// What a request costs on the wire: encoding and decoding by hand against protobufjs, and the whole way over a loopback
// stream within one process (so both ends' work is counted).
// Usage: node dist/bench/wire.js [--json]
import type { Generation, Key, RangeId, SessionId, Version } from '../src/base/ids.js'
import { silentLogger } from '../src/base/ports.js'
import type { Reply, Request } from '../src/kv/requests.js'
import { type ClientHandler, startClientServer } from '../src/transport/client-server.js'
import { GrpcConnector } from '../src/transport/connector.js'
import { loadDefinitions } from '../src/transport/proto-files.js'
import { decodePeerFrame } from '../src/transport/wire/peer-decoder.js'
import { encodePeerMessages } from '../src/transport/wire/peer-encoder.js'
import { decodeServerFrame } from '../src/transport/wire/reply-decoder.js'
import { encodeReplies } from '../src/transport/wire/reply-encoder.js'
import { RequestDecoder } from '../src/transport/wire/request-decoder.js'
import { encodeRequests } from '../src/transport/wire/request-encoder.js'

const VALUE = Buffer.alloc(256, 'v')
const VERSION = (2 ** 52 + 12_345) as Version

interface Row {
  readonly what: string
  readonly batch: number
  readonly usPerRequest: number
}

function keyOf(i: number): Key {
  return `\x00\x00\x00\x10key-${String(i).padStart(12, '0')}` as Key
}

function puts(count: number): Request[] {
  const origin = { session: 'AAAAAAAAAAAAAAAAAAAAAA' as SessionId, firstSent: VERSION, lowest: 1_000_000 }
  return Array.from({ length: count }, (_, i) => ({
    kind: 'write',
    id: 1_000 + i,
    range: 5 as RangeId,
    generation: 3 as Generation,
    deadlineMs: 5_000,
    seen: VERSION,
    origin: { ...origin, sequence: 1_000_000 + i },
    conditions: [],
    writes: [{ kind: 'put', key: keyOf(i), codec: 'msgpack', value: VALUE }],
    wantValue: false,
  }))
}

function gets(count: number): Request[] {
  const range = { range: 5 as RangeId, generation: 3 as Generation, deadlineMs: 5_000, seen: VERSION }
  return Array.from({ length: count }, (_, i) => ({ kind: 'get', id: 1_000 + i, ...range, keys: [keyOf(i)] }))
}

function written(count: number): Reply[] {
  return Array.from({ length: count }, (_, i) => ({ kind: 'written', id: 1_000 + i, version: VERSION, deleted: [] }))
}

function rows(count: number): Reply[] {
  return Array.from({ length: count }, (_, i) => ({
    kind: 'rows',
    id: 1_000 + i,
    version: VERSION,
    rows: [{ key: keyOf(i), version: VERSION, codec: 'msgpack', value: VALUE }],
  }))
}

/** CPU time, best of several rounds: what the machine does beside it only ever adds. */
function usPer(batch: number, action: () => void): number {
  let best = Number.POSITIVE_INFINITY
  const rounds = Math.ceil(40_000 / batch)
  for (let round = 0; round < 10; round++) {
    const start = process.cpuUsage()
    for (let i = 0; i < rounds; i++) action()
    const { user, system } = process.cpuUsage(start)
    best = Math.min(best, (user + system) / rounds / batch)
  }
  return best
}

type Codec = { requestDeserialize(bytes: Buffer): object; requestSerialize(value: object): Buffer }
type ReplyCodec = { responseDeserialize(bytes: Buffer): object; responseSerialize(value: object): Buffer }

function codecRows(batch: number): Row[] {
  const definitions = loadDefinitions('holdfast/v1/holdfast.proto')['holdfast.v1.Stream']
  const protobufjs = (definitions as unknown as { Connect: Codec & ReplyCodec }).Connect
  const decoder = new RequestDecoder()
  const found: Row[] = []
  for (const [name, requests] of [['put', puts(batch)] as const, ['get', gets(batch)] as const]) {
    const frame = Buffer.concat(encodeRequests(requests))
    const object = protobufjs.requestDeserialize(frame)
    const add = (what: string, action: () => void): void => {
      found.push({ what: `${name} request, ${what}`, batch, usPerRequest: usPer(batch, action) })
    }
    add('encode by hand', () => encodeRequests(requests))
    add('encode with protobufjs', () => protobufjs.requestSerialize(object))
    add('decode by hand', () => decoder.decode(frame))
    add('decode with protobufjs', () => protobufjs.requestDeserialize(frame))
  }
  for (const [name, replies] of [['put', written(batch)] as const, ['get', rows(batch)] as const]) {
    const frame = Buffer.concat(encodeReplies(replies))
    const object = protobufjs.responseDeserialize(frame)
    const add = (what: string, action: () => void): void => {
      found.push({ what: `${name} reply, ${what}`, batch, usPerRequest: usPer(batch, action) })
    }
    add('encode by hand', () => encodeReplies(replies))
    add('encode with protobufjs', () => protobufjs.responseSerialize(object))
    add('decode by hand', () => decodeServerFrame(frame))
    add('decode with protobufjs', () => protobufjs.responseDeserialize(frame))
  }
  return found
}

/** An append that carries `batch` puts in one entry, per put. */
function appendRows(batch: number): Row[] {
  const payload = Buffer.alloc(batch * 330, 'p')
  const messages = [
    {
      type: 'append',
      range: 5,
      from: 1,
      to: 2,
      boot: 1,
      term: 4,
      previousIndex: 1e6,
      previousTerm: 4,
      commit: 1e6,
      allPersisted: 1e6,
      entries: [{ index: 1e6 + 1, term: 4, timestamp: VERSION, kind: 'commands', payload }],
    },
  ] as never
  const [frame] = encodePeerMessages(messages, { wallMs: 1, batch: 1 })
  return [
    {
      what: 'append, encode by hand',
      batch,
      usPerRequest: usPer(batch, () => encodePeerMessages(messages, { wallMs: 1, batch: 1 })),
    },
    { what: 'append, decode by hand', batch, usPerRequest: usPer(batch, () => decodePeerFrame(frame!, 1 as never)) },
  ]
}

async function streamRow(batch: number, kind: 'put' | 'get'): Promise<Row> {
  const refuses = (): never => {
    throw new Error('not served here')
  }
  const answer = kind === 'put' ? written(batch) : rows(batch)
  const handler: ClientHandler = {
    hello: () => ({ cluster: 'a'.repeat(32) as never, node: 1 as never, nodes: [], version: VERSION }),
    submit: (requests, sink) => sink.replies(requests.length === batch ? answer : answer.slice(0, requests.length)),
    closed: () => {},
    init: refuses,
    unary: {
      get: refuses,
      getMany: refuses,
      put: refuses,
      delete: refuses,
      batch: refuses,
      scan: refuses,
      split: refuses,
      transfer: refuses,
      status: refuses,
    },
  }
  const server = await startClientServer({ host: '127.0.0.1', port: 0, handler, logger: silentLogger })
  const requests = kind === 'put' ? puts(batch) : gets(batch)
  const total = 200_000
  const row = await new Promise<Row>((resolve, reject) => {
    let done = 0
    let cpu = process.cpuUsage()
    const connection = new GrpcConnector().connect(`127.0.0.1:${server.port}`, {
      onOpen: () => connection.send(requests),
      onReplies(replies) {
        done += replies.length
        if (done === total - (total % batch)) {
          const { user, system } = process.cpuUsage(cpu)
          connection.close()
          resolve({ what: `${kind} over a stream, CPU of both ends`, batch, usPerRequest: (user + system) / done })
        } else if (done % batch === 0) connection.send(requests)
      },
      onClose: reject,
    })
    cpu = process.cpuUsage()
  })
  await server.close(0)
  return row
}

const found: Row[] = []
for (const batch of [64, 512]) {
  found.push(...codecRows(batch), ...appendRows(batch))
  for (const kind of ['put', 'get'] as const) found.push(await streamRow(batch, kind))
}
if (process.argv.includes('--json')) console.log(JSON.stringify(found))
else {
  for (const { what, batch, usPerRequest } of found) {
    console.log(
      `${what.padEnd(40)} batch ${String(batch).padStart(3)}  ${usPerRequest.toFixed(2).padStart(6)} us per request`,
    )
  }
}
