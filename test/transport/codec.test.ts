import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Generation, RangeId, Version } from '../../src/base/ids.js'
import { limits } from '../../src/base/limits.js'
import type { Request, ServerHello } from '../../src/kv/requests.js'
import { loadDefinitions } from '../../src/transport/proto-files.js'
import { decodePeerHello, encodePeerAnswer, encodePeerHello } from '../../src/transport/wire/handshake.js'
import {
  decodeBirth,
  decodeIdentification,
  decodeJoin,
  decodeJoinAnswer,
  encodeBirth,
  encodeIdentification,
  encodeJoin,
  encodeJoinAnswer,
} from '../../src/transport/wire/peer-calls.js'
import { decodePeerFrame } from '../../src/transport/wire/peer-decoder.js'
import { encodePeerHeartbeat, encodePeerMessages } from '../../src/transport/wire/peer-encoder.js'
import { WireError } from '../../src/transport/wire/reader.js'
import { decodeServerFrame } from '../../src/transport/wire/reply-decoder.js'
import { encodeHello, encodeReplies } from '../../src/transport/wire/reply-encoder.js'
import { RequestDecoder } from '../../src/transport/wire/request-decoder.js'
import { encodePing, encodeRequests } from '../../src/transport/wire/request-encoder.js'
import { decodeInit, encodeInit } from '../../src/transport/wire/unary-admin.js'
import { times } from '../property.js'
import { BOOT, cluster, descriptor, node, peerMessage, reply, request } from './arbitraries.js'

const PARAMETERS = times(300, 20_260_101)

const client = loadDefinitions('holdfast/v1/holdfast.proto')
const peer = loadDefinitions('holdfast/peer/v1/peer.proto')

type Direction = 'request' | 'response'

/** The bytes as protobufjs writes them after it has read ours by the .proto: what the two disagree on gets lost on the way. */
function through(service: string, method: string, direction: Direction, bytes: Buffer): Buffer {
  const definitions = service.startsWith('holdfast.peer') ? peer : client
  const found = (definitions[service] as unknown as Record<string, Record<string, (value: never) => unknown>>)[method]!
  const read = found[`${direction}Deserialize`]!(bytes as never)
  return found[`${direction}Serialize`]!(read as never) as Buffer
}

const one = (frames: Buffer[]): Buffer => {
  expect(frames).toHaveLength(1)
  return frames[0]!
}

describe('what is encoded by hand is what the .proto says', () => {
  test('requests', () => {
    fc.assert(
      fc.property(fc.array(request, { minLength: 1, maxLength: 5 }), (requests) => {
        const frame = one(encodeRequests(requests))
        for (const bytes of [frame, through('holdfast.v1.Stream', 'Connect', 'request', frame)]) {
          const decoded = new RequestDecoder().decode(bytes)
          expect(decoded.unreadable).toEqual([])
          expect(decoded.requests).toEqual(requests)
        }
      }),
      PARAMETERS,
    )
  })

  test('replies', () => {
    fc.assert(
      fc.property(fc.array(reply, { minLength: 1, maxLength: 5 }), (replies) => {
        const frame = one(encodeReplies(replies))
        for (const bytes of [frame, through('holdfast.v1.Stream', 'Connect', 'response', frame)]) {
          expect(decodeServerFrame(bytes).replies).toEqual(replies)
        }
      }),
      PARAMETERS,
    )
  })

  test('messages between nodes', () => {
    fc.assert(
      fc.property(fc.array(peerMessage, { minLength: 1, maxLength: 5 }), fc.maxSafeNat(), (messages, wallMs) => {
        const frame = one(encodePeerMessages(messages, { wallMs, batch: Math.floor(wallMs / 2) }))
        for (const bytes of [frame, through('holdfast.peer.v1.Peer', 'Session', 'request', frame)]) {
          expect(decodePeerFrame(bytes, BOOT)).toEqual({ wallMs, batch: Math.floor(wallMs / 2), messages })
        }
      }),
      PARAMETERS,
    )
  })

  test('hellos, pings and heartbeats', () => {
    const ping = through('holdfast.v1.Stream', 'Connect', 'request', encodePing(0))
    expect(new RequestDecoder().decode(ping).ping).toBe(0)
    const beat = through(
      'holdfast.peer.v1.Peer',
      'Session',
      'request',
      encodePeerHeartbeat({ wallMs: 123.9, batch: 2 ** 53 - 1 }),
    )
    expect(decodePeerFrame(beat, BOOT)).toEqual({ wallMs: 123, batch: 2 ** 53 - 1, messages: [] })
    fc.assert(
      fc.property(cluster, node, fc.integer({ min: 1, max: 2 ** 53 - 1 }), (id, info, number) => {
        const hello: ServerHello = { cluster: id, node: info.node, nodes: [info], version: number as Version }
        const server = through('holdfast.v1.Stream', 'Connect', 'response', encodeHello(hello))
        expect(decodeServerFrame(server).hello).toEqual(hello)
        const words = {
          cluster: id,
          info,
          boot: number as never,
          to: info.node,
          protocolLowest: 1,
          protocolHighest: number,
          wallMs: number,
          channel: (['control', 'appends', 'snapshots'] as const)[number % 3]!,
          history: {
            boots: [number, 1, 2 ** 53 - 1] as never[],
            batches: [1, number, 2 ** 53 - 1],
            rejoins: number % 2 === 0 ? [] : [number as never],
          },
        }
        const asked = through('holdfast.peer.v1.Peer', 'Session', 'request', encodePeerHello(words))
        expect(decodePeerHello(asked)).toEqual(words)
        const answered = through('holdfast.peer.v1.Peer', 'Session', 'response', encodePeerAnswer(words))
        expect(decodePeerHello(answered)).toEqual(words)
      }),
      PARAMETERS,
    )
  })

  test('init, join, birth and identification', () => {
    fc.assert(
      fc.property(cluster, node, descriptor, fc.boolean(), (id, info, range, isBorn) => {
        const { clientAddress, peerAddress, pid } = info
        const join = { token: 'tøken', clientAddress, peerAddress, pid }
        const service = 'holdfast.peer.v1.Peer'
        expect(decodeJoin(through(service, 'Join', 'request', encodeJoin(join)))).toEqual(join)
        for (const answer of [
          { kind: 'joined' as const, cluster: id, node: info.node, nodes: [info, info] },
          { kind: 'redirect' as const, peerAddress },
          { kind: 'notInitialised' as const },
        ]) {
          expect(decodeJoinAnswer(through(service, 'Join', 'response', encodeJoinAnswer(answer)))).toEqual(answer)
        }
        const birth = { cluster: id, nodes: [info], ranges: [range], tokens: [{ node: info.node, token: 'a' }] }
        expect(decodeBirth(through(service, 'Birth', 'request', encodeBirth(birth)))).toEqual(birth)
        const found = {
          ...join,
          cluster: isBorn ? id : null,
          node: isBorn ? info.node : null,
          nodes: isBorn ? [info] : [],
        }
        const identification = through(service, 'Identify', 'response', encodeIdentification(found))
        expect(decodeIdentification(identification)).toEqual(found)
        const init = { replicas: isBorn ? 3 : null, splitAt: [range.span.start] }
        expect(decodeInit(through('holdfast.v1.Admin', 'Init', 'request', encodeInit(init)))).toEqual(init)
      }),
      PARAMETERS,
    )
  })
})

describe('bytes that are not what the .proto says', () => {
  const get = (id: number) => ({
    kind: 'get' as const,
    id,
    range: 2 as RangeId,
    generation: 1 as Generation,
    deadlineMs: 5,
    seen: 0 as Version,
    keys: [],
  })

  test('random bytes and damaged frames give WireError or values of the right shape, nothing else', () => {
    const frames = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc
        .tuple(fc.array(request, { minLength: 1, maxLength: 3 }), fc.nat(), fc.nat(255))
        .map(([requests, at, byte]) => damaged(encodeRequests(requests)[0]!, at, byte)),
      fc
        .tuple(fc.array(peerMessage, { minLength: 1, maxLength: 3 }), fc.nat(), fc.nat(255))
        .map(([messages, at, byte]) => damaged(encodePeerMessages(messages, { wallMs: 1, batch: 1 })[0]!, at, byte)),
      fc
        .tuple(fc.array(reply, { minLength: 1, maxLength: 3 }), fc.nat(), fc.nat(255))
        .map(([replies, at, byte]) => damaged(encodeReplies(replies)[0]!, at, byte)),
    )
    const decoders: ((bytes: Uint8Array) => unknown)[] = [
      (bytes) => new RequestDecoder().decode(bytes),
      decodeServerFrame,
      (bytes) => decodePeerFrame(bytes, BOOT),
      decodePeerHello,
      decodeJoin,
      decodeBirth,
    ]
    fc.assert(
      fc.property(frames, (bytes) => {
        for (const decode of decoders) {
          try {
            decode(bytes)
          } catch (error) {
            expect(error).toBeInstanceOf(WireError)
          }
        }
      }),
      { ...PARAMETERS, numRuns: 2_000 },
    )
  })

  test('an integer of 2^53 is refused by its value, as varint and as fixed64', () => {
    const decoder = new RequestDecoder()
    const [frame] = encodeRequests([{ ...get(1), range: Number.MAX_SAFE_INTEGER as RangeId }])
    expect(decoder.decode(frame!).requests[0]).toMatchObject({ range: Number.MAX_SAFE_INTEGER })
    const big = Buffer.from('0a0e08011080808080808080103200', 'hex')
    big[1] = big.length - 2
    expect(decoder.decode(big).unreadable).toEqual([
      { id: 1, reason: 'field 2 is 9007199254740992, expected an integer below 2^53' },
    ])
    const fixed = Buffer.from('0a0d080129000000000000200032', 'hex')
    fixed[1] = 12
    const seen = Buffer.concat([fixed.subarray(0, 13), Buffer.from([0x32])])
    expect(decoder.decode(Buffer.concat([seen, Buffer.from([0])]).subarray(0, 14)).unreadable).toEqual([
      { id: 1, reason: 'field 5 is 9007199254740992, expected an integer below 2^53' },
    ])
  })

  test('a malformed request is answered by id, those around it are served', () => {
    const [first] = encodeRequests([get(1)])
    const [third] = encodeRequests([get(3)])
    const second = Buffer.from([0x0a, 4, 0x08, 2, 0x32, 99])
    const decoded = new RequestDecoder().decode(Buffer.concat([first!, second, third!]))
    expect(decoded.requests.map(({ id }) => id)).toEqual([1, 3])
    expect(decoded.unreadable).toEqual([{ id: 2, reason: 'field 6 wants 99 bytes, 0 are left' }])
  })

  test('an append with a gap between its entries is refused', () => {
    const entry = { index: 9, term: 1, timestamp: 1, kind: 'noop', payload: new Uint8Array() }
    const message = {
      type: 'append',
      range: 1,
      from: 1,
      to: 2,
      boot: BOOT,
      term: 1,
      previousIndex: 7,
      previousTerm: 1,
      commit: 0,
      allPersisted: 0,
      entries: [entry],
    }
    const [frame] = encodePeerMessages([message as never], { wallMs: 1, batch: 1 })
    expect(() => decodePeerFrame(frame!, BOOT)).toThrow('an append has entry 9, expected 8')
  })

  test.each([
    ['a message between replicas without a sender', { type: 'advance', from: 0 }, 'sending replica id is 0'],
    ['one without a receiver', { type: 'snapshotPull', to: 0 }, 'receiving replica id is 0'],
    ['one without a range', { type: 'absent', range: 0 }, 'range id is 0'],
    ['an absent replica without id', { type: 'absent', replica: 0 }, 'replica id is 0'],
    ['a placement of no replica', { type: 'place', replica: 0 }, 'replica id is 0'],
    ['an entry asked for without term', { type: 'fetchEntry', term: 0 }, 'entry 4 is asked for with term 0'],
    ['an entry asked for without index', { type: 'fetchEntry', index: 0 }, 'entry index is 0'],
    ['another entry than was named', { type: 'fetchedEntry', index: 5 }, 'entry 4 came where 5 was named'],
    ['a chunk without sequence', { type: 'snapshotChunk', sequence: 0 }, 'a chunk has sequence 0'],
    ['a snapshot of nothing', { type: 'snapshotOffer', index: 0 }, 'snapshot index is 0'],
    ['a snapshot of no term', { type: 'snapshotOffer', entryTerm: 0 }, 'a snapshot ends at term 0'],
  ])('%s is refused', (_, over, expected) => {
    const entry = { index: 4, term: 1, timestamp: 1, kind: 'noop', payload: new Uint8Array() }
    const [range] = fc.sample(descriptor, { seed: 1, numRuns: 1 })
    const about = { range: 1, replica: 2, from: 1, to: 2, descriptor: range, nonce: null }
    const bookkeeping = {
      descriptor: range,
      clock: 1,
      sessionFloor: 0,
      collectionFloor: 0,
      rangeVersion: 1,
      lineage: [],
      splits: [],
      digest: 0,
    }
    const numbers = { index: 4, term: 3, entryTerm: 3, id: 1, sequence: 1, version: 1, timestamp: 1 }
    const message = { ...about, ...numbers, entry, bookkeeping, last: true, bytes: new Uint8Array(3), ...over }
    const [frame] = encodePeerMessages([message as never], { wallMs: 1, batch: 1 })
    expect(() => decodePeerFrame(frame!, BOOT)).toThrow(expected)
  })
})

describe('frames', () => {
  const rows = (id: number, bytes: number) => ({
    id,
    version: 1 as Version,
    kind: 'rows' as const,
    rows: [{ key: 'k' as never, version: 1 as Version, codec: 'bytes' as const, value: Buffer.alloc(bytes) }],
  })

  test('are cut near the limit, keep the order, and an item that is larger travels alone', () => {
    const sizes = [600_000, 300_000, 300_000, 10, 2_000_000, 10]
    const frames = encodeReplies(sizes.map((bytes, i) => rows(i, bytes)))
    const ids = frames.map((frame) => decodeServerFrame(frame).replies.map(({ id }) => id))
    expect(ids).toEqual([[0, 1], [2, 3], [4], [5]])
    for (const [i, frame] of frames.entries())
      if (i !== 2) expect(frame.length).toBeLessThanOrEqual(limits.frameBytesMax)
  })

  test('a result that no message can carry becomes TOO_LARGE', () => {
    const frames = encodeReplies([rows(1, 10), rows(2, 6_000_000)])
    const replies = frames.flatMap((frame) => decodeServerFrame(frame).replies)
    expect(replies[0]).toMatchObject({ id: 1, kind: 'rows' })
    expect(replies[1]).toMatchObject({ id: 2, kind: 'error', error: { code: 'TOO_LARGE' } })
  })

  test('what is decoded keeps no frame alive: 200 keys and values of 16 bytes out of frames of 1 MiB', () => {
    const kept: unknown[] = []
    const filler = Buffer.alloc(1024 * 1024)
    const before = process.memoryUsage().arrayBuffers
    for (let i = 0; i < 200; i++) {
      const common = {
        id: i,
        range: 1 as never,
        generation: 1 as never,
        deadlineMs: 1,
        seen: 0 as Version,
        origin: null,
      }
      const key = `key-${String(i).padStart(12, '0')}` as never
      const puts: Request[] = [filler, Buffer.alloc(16, i)].map((value) => ({
        kind: 'write',
        ...common,
        conditions: [],
        writes: [{ kind: 'put', key, codec: 'bytes', value }],
        wantValue: false,
      }))
      const frame = Buffer.concat(encodeRequests(puts))
      const [, small] = new RequestDecoder().decode(frame).requests
      kept.push(small)
      const replies = Buffer.concat(encodeReplies([rows(i, 1_000_000), rows(i, 16)]))
      kept.push(decodeServerFrame(replies).replies[1])
    }
    globalThis.gc?.()
    expect(kept).toHaveLength(400)
    const held = new Set(kept.flatMap(valuesOf).map(({ buffer }) => buffer))
    let bytes = 0
    for (const buffer of held) bytes += buffer.byteLength
    // Short copies share 8 KiB pools; a view of one frame alone would be a megabyte.
    expect(bytes).toBeLessThan(400 * 8 * 1024 + 1)
    for (const buffer of held) expect(buffer.byteLength).toBeLessThanOrEqual(8 * 1024)
    if (globalThis.gc !== undefined) expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024)
  })
})

function valuesOf(kept: unknown): Uint8Array[] {
  const { writes, rows } = kept as { writes?: { value: Uint8Array }[]; rows?: { value: Uint8Array }[] }
  return [...(writes ?? []), ...(rows ?? [])].map(({ value }) => value)
}

function damaged(frame: Buffer, at: number, byte: number): Buffer {
  const copy = Buffer.from(frame)
  if (copy.length > 0) copy[at % copy.length] = byte
  return at % 3 === 0 ? copy.subarray(0, at % (copy.length + 1)) : copy
}

describe('a hello', () => {
  const info = { node: 1, clientAddress: 'a:1', peerAddress: 'a:2', pid: 1 }
  const numbers = { boot: 1, to: 1, protocolLowest: 1, protocolHighest: 1, wallMs: 1 }
  const history = { boots: [1], batches: [1], rejoins: [] }
  const whole = { cluster: 'a'.repeat(32), info, ...numbers, channel: 'control', history }

  // What goes on disk would be refused when it is read again.
  test.each([
    ['node id', { info: { ...info, node: 0 } }],
    ['node id', { to: 0 }],
    ['boot', { boot: 0 }],
    ['a boot of the history', { history: { ...history, boots: [0] } }],
    ['a batch of the history', { history: { ...history, batches: [0] } }],
    ['a mark of the history', { history: { ...history, rejoins: [0] } }],
  ])('%s starts at 1', (what, over) => {
    const frame = encodePeerHello({ ...whole, ...over } as never)
    expect(() => decodePeerHello(frame)).toThrow(`${what} is 0, expected 1 or more`)
  })
})
