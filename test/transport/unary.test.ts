import grpc from '@grpc/grpc-js'
import loader from '@grpc/proto-loader'
import healthPackage from 'grpc-health-check'
import { afterEach, describe, expect, test } from 'vitest'
import { HoldfastError } from '../../src/base/errors.js'
import type { RangeId, Version } from '../../src/base/ids.js'
import { limits } from '../../src/base/limits.js'
import { initCluster } from '../../src/transport/connector.js'
import { loadDefinitions } from '../../src/transport/proto-files.js'
import type { UnaryEntry, UnaryHandler } from '../../src/transport/unary.js'
import { CLUSTER, handlerOf, Mailbox, NODE, serve, unaryCall } from './support.js'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function start(unary: Partial<UnaryHandler>, init?: Parameters<typeof handlerOf>[0]['init']) {
  const server = await serve(handlerOf({ unary, ...(init === undefined ? {} : { init }) }).handler)
  ends.push(() => server.close(0))
  return server
}

interface Answer {
  readonly error: grpc.ServiceError | null
  readonly reply: Record<string, unknown>
}

/** Calls as a foreign client does: by the .proto alone. */
function foreign(address: string, service: 'KeyValue' | 'Admin') {
  const loaded = grpc.loadPackageDefinition(loadDefinitions('holdfast/v1/holdfast.proto'))
  const { v1 } = loaded.holdfast as unknown as { v1: Record<string, grpc.ServiceClientConstructor> }
  const client = new v1[service]!(address, grpc.credentials.createInsecure())
  ends.push(() => client.close())
  return (method: string, request: object, options: grpc.CallOptions = {}): Promise<Answer> =>
    new Promise((resolve) => {
      const call = client[method] as unknown as (
        request: object,
        options: grpc.CallOptions,
        done: (error: grpc.ServiceError | null, reply: Record<string, unknown>) => void,
      ) => void
      call.call(client, request, options, (error, reply) => resolve({ error, reply: reply ?? {} }))
    })
}

const entry: UnaryEntry = {
  key: Buffer.from('k'),
  value: Buffer.from('{}'),
  codec: 'json',
  version: (2 ** 52) as Version,
}

describe('a client made from the .proto', () => {
  test('gets, puts, deletes, batches, scans, splits, hands a lead on', async () => {
    const asked: unknown[] = []
    const note =
      <Result>(result: Result) =>
      async (request: unknown): Promise<Result> => {
        asked.push(request)
        return result
      }
    const version = 7 as Version
    const { address } = await start({
      get: note(entry),
      getMany: note([entry, null]),
      put: note({ version }),
      delete: note({ version, deleted: true }),
      batch: note({ version }),
      scan: note({ entries: [entry], next: Buffer.from('l') }),
      split: note({ range: 12 as RangeId }),
      transfer: note(undefined),
    })
    const call = foreign(address, 'KeyValue')
    const k = Buffer.from('k')
    const wire = { key: k, value: Buffer.from('{}'), codec: 2, version: '4503599627370496' }
    expect((await call('Get', { key: k })).reply).toMatchObject({ entry: wire })
    expect((await call('GetMany', { namespace: 'NAMESPACE_TUPLE', keys: [k, k] })).reply.results).toMatchObject([
      { entry: wire },
      {},
    ])
    const put = { key: k, value: k, codec: 'CODEC_UTF8', if: { version: '9' } }
    expect((await call('Put', put)).reply).toMatchObject({ version: '7' })
    expect((await call('Delete', { key: k, if: { absent: true } })).reply).toMatchObject({
      version: '7',
      deleted: true,
    })
    const operations = [
      { put: { key: k, value: k, codec: 3 } },
      { delete: k },
      { check: { key: k, if: { value: { value: k, codec: 1 } } } },
    ]
    expect((await call('Batch', { operations })).reply).toMatchObject({ version: '7' })
    const page = (
      await call('Scan', {
        start: k,
        end: Buffer.from('m'),
        reverse: true,
        keysOnly: true,
        weak: { kind: 'KIND_STALE', maxStaleMs: 250 },
      })
    ).reply
    expect(page).toMatchObject({ entries: [wire], next: Buffer.from('l') })
    expect((await foreign(address, 'Admin')('Split', { key: k })).reply).toMatchObject({ range: '12' })
    expect(await foreign(address, 'Admin')('Transfer', { range: 12, node: 3 })).toEqual({ error: null, reply: {} })
    const value = { value: k, codec: 'utf8' }
    expect(asked).toEqual([
      { namespace: 'raw', key: k },
      { namespace: 'tuple', keys: [k, k] },
      { namespace: 'raw', key: k, ...value, condition: { kind: 'version', version: 9 } },
      { namespace: 'raw', key: k, condition: { kind: 'absent' } },
      {
        namespace: 'raw',
        operations: [
          { kind: 'put', key: k, value: k, codec: 'msgpack' },
          { kind: 'delete', key: k },
          { kind: 'check', key: k, condition: { kind: 'value', ...value } },
        ],
      },
      {
        namespace: 'raw',
        start: k,
        end: Buffer.from('m'),
        reverse: true,
        limit: limits.scanRowsMax,
        keysOnly: true,
        weak: { kind: 'stale', maxStaleMs: 250 },
      },
      { namespace: 'raw', key: k },
      { range: 12, to: 3 },
    ])
  })

  test('learns the status of a node', async () => {
    const status = {
      cluster: CLUSTER,
      node: NODE,
      nodes: [NODE],
      replicas: [],
      uptimeMs: 5,
      overlayBytes: 6,
      logBytes: 7,
    }
    const { address } = await start({ status: async () => status })
    const { reply } = await foreign(address, 'Admin')('Status', {})
    expect(reply.status).toMatchObject({ cluster: CLUSTER, node: { pid: '3' }, uptimeMs: '5', logBytes: '7' })
  })

  test('gives its deadline on, or gets the default one', async () => {
    const deadlines: number[] = []
    const { address } = await start({
      get: async (_, call) => {
        deadlines.push(call.deadlineMs)
        return null
      },
    })
    const call = foreign(address, 'KeyValue')
    await call('Get', { key: Buffer.from('k') })
    expect(
      (await call('Get', { key: Buffer.from('k') }, { deadline: Date.now() + 60_000 })).reply.entry ?? null,
    ).toBeNull()
    expect(deadlines[0]).toBe(limits.defaultDeadlineMs)
    expect(deadlines[1]).toBeGreaterThan(limits.defaultDeadlineMs)
    expect(deadlines[1]).toBeLessThanOrEqual(60_000)
  })

  test('that gives up aborts the call in the node', async () => {
    const signals = new Mailbox<AbortSignal>()
    const aborted = new Mailbox<number>()
    const { address } = await start({
      get: (_, call) => {
        signals.put(call.signal)
        return new Promise((resolve) => {
          call.signal.addEventListener('abort', () => {
            aborted.put(1)
            resolve(null)
          })
        })
      },
    })
    const client = new grpc.Client(address, grpc.credentials.createInsecure())
    ends.push(() => client.close())
    const asIs = (bytes: Buffer): Buffer => bytes
    const request = Buffer.from([0x12, 1, 0x6b])
    const call = client.makeUnaryRequest('/holdfast.v1.KeyValue/Get', asIs, asIs, request, () => {})
    await signals.count(1)
    call.cancel()
    await aborted.count(1)
  })
})

describe('an error', () => {
  test.each([
    [new HoldfastError('CONDITION_FAILED', 'version is 3'), grpc.status.FAILED_PRECONDITION, 'false', undefined],
    [new HoldfastError('OUTCOME_UNKNOWN', 'connection lost'), grpc.status.UNKNOWN, 'true', undefined],
    [new HoldfastError('OVERLOADED', 'full', { retryAfterMs: 12.5 }), grpc.status.RESOURCE_EXHAUSTED, 'false', '13'],
    [new Error('100% wrong \ud800 half a character'), grpc.status.INTERNAL, 'true', undefined],
  ])(
    'reaches the caller by its code, and whether the write may have been applied: %s',
    async (thrown, code, applied, retry) => {
      const { address } = await start({ get: async () => Promise.reject(thrown) })
      const { error } = await foreign(address, 'KeyValue')('Get', { key: Buffer.from('k') })
      expect(error?.code).toBe(code)
      expect(error?.metadata.get('holdfast-code')).toEqual([thrown instanceof HoldfastError ? thrown.code : 'INTERNAL'])
      expect(error?.metadata.get('holdfast-may-have-been-applied')).toEqual([applied])
      expect(error?.metadata.get('holdfast-retry-after-ms')).toEqual(retry === undefined ? [] : [retry])
      expect(error?.details).toContain(thrown.message.slice(0, 5))
    },
  )

  const k = Buffer.from('k')
  test.each([
    ['Get', {}, 'INVALID_ARGUMENT', 'the key is empty, expected at least one byte'],
    ['Get', { key: Buffer.alloc(4_093) }, 'TOO_LARGE', 'the key has 4093 bytes, expected at most 4092'],
    ['Get', { namespace: 5, key: k }, 'INVALID_ARGUMENT', 'namespace 5 is not known, expected 0 (raw) or 1 (tuple)'],
    ['GetMany', {}, 'INVALID_ARGUMENT', 'there are no keys, expected 1 or more'],
    [
      'Put',
      { key: k, value: Buffer.alloc(1_048_577) },
      'TOO_LARGE',
      'the value has 1048577 bytes, expected at most 1048576',
    ],
    ['Put', { key: k, codec: 9 }, 'INVALID_ARGUMENT', 'codec 9 is not known, expected 0 to 3'],
    [
      'Put',
      { key: k, if: { version: '9007199254740992' } },
      'INVALID_ARGUMENT',
      'is 9007199254740992, expected an integer below 2^53',
    ],
    ['Batch', {}, 'INVALID_ARGUMENT', 'there are no operations, expected 1 or more'],
    ['Batch', { operations: [{}] }, 'INVALID_ARGUMENT', 'the kind of an operation is missing or not known'],
    ['Batch', { operations: [{ check: { key: k } }] }, 'INVALID_ARGUMENT', 'a check has no condition'],
    [
      'Batch',
      { operations: Array.from({ length: 1_001 }, () => ({ delete: k })) },
      'TOO_LARGE',
      'there are 1001 operations, expected at most 1000',
    ],
    [
      'Batch',
      { operations: Array.from({ length: 5 }, () => ({ put: { key: k, value: Buffer.alloc(900_000) } })) },
      'TOO_LARGE',
      'the batch has 4500005 bytes, expected at most 4194304',
    ],
    [
      'Scan',
      { start: Buffer.from('b'), end: Buffer.from('a') },
      'INVALID_ARGUMENT',
      'the span is upside down: start 0x62 lies behind end 0x61',
    ],
    ['Scan', { limit: '1001' }, 'INVALID_ARGUMENT', 'limit is 1001, expected at most 1000'],
  ])('names what is wrong with a request: %s %#', async (method, request, code, message) => {
    const { address } = await start({})
    const { error } = await foreign(address, 'KeyValue')(method, request)
    expect(error?.metadata.get('holdfast-code')).toEqual([code])
    expect(error?.details).toContain(message)
  })

  test('answers bytes that are no message', async () => {
    const { address } = await start({})
    const answer = unaryCall(address, '/holdfast.v1.KeyValue/Get', Buffer.from([0x12, 99]))
    await expect(answer).rejects.toMatchObject({
      details: 'the message is malformed: field 2 wants 99 bytes, 0 are left',
    })
  })

  test('says that a result is larger than a message', async () => {
    const value = Buffer.alloc(limits.valueBytesMax)
    const { address } = await start({ getMany: async () => Array.from({ length: 6 }, () => ({ ...entry, value })) })
    const { error } = await foreign(address, 'KeyValue')('GetMany', { keys: [Buffer.from('k')] })
    expect(error?.metadata.get('holdfast-code')).toEqual(['TOO_LARGE'])
  })
})

describe('init', () => {
  test('asks the node and gives its answer', async () => {
    const asked: unknown[] = []
    const { address } = await start({}, async (request) => {
      asked.push(request)
      return { cluster: CLUSTER, nodes: [NODE] }
    })
    expect(await initCluster(address)).toEqual({ cluster: CLUSTER, nodes: [NODE] })
    await initCluster(address, { replicas: 3, splitAt: ['\x00\x00\x00\x10m' as never] })
    expect(asked).toEqual([
      { replicas: null, splitAt: [] },
      { replicas: 3, splitAt: ['\x00\x00\x00\x10m'] },
    ])
  })

  test('refuses more cuts than the birth of a cluster has room for', async () => {
    const { address } = await start({}, async () => ({ cluster: CLUSTER, nodes: [NODE] }))
    const cuts = (count: number) => Array.from({ length: count }, () => '\x00'.repeat(limits.keyBytesMax) as never)
    await initCluster(address, { splitAt: cuts(512) })
    await expect(initCluster(address, { splitAt: cuts(513) })).rejects.toMatchObject({
      code: 'TOO_LARGE',
      message: expect.stringContaining('the sum of all cuts has 2101248 bytes, expected at most 2097152'),
    })
  })

  test('rejects with the code and the address', async () => {
    const { address } = await start({}, () => Promise.reject(new HoldfastError('WRONG_CLUSTER', 'taken')))
    await expect(initCluster(address)).rejects.toMatchObject({ code: 'WRONG_CLUSTER', message: `${address}: taken` })
    const { code, message } = await initCluster(['127.0.0.1:1', '127.0.0.1:2']).catch((error) => error)
    expect([code, message]).toEqual(['UNAVAILABLE', expect.stringMatching(/^127\.0\.0\.1:1: .*; 127\.0\.0\.1:2: /)])
  })

  test('asks the first of several that can be reached, and no other', async () => {
    const { address } = await start({}, () => Promise.reject(new HoldfastError('UNAVAILABLE', 'not now')))
    const other = await start({}, async () => ({ cluster: CLUSTER, nodes: [NODE] }))
    expect(await initCluster(['127.0.0.1:1', other.address])).toEqual({ cluster: CLUSTER, nodes: [NODE] })
    await expect(initCluster([address, other.address])).rejects.toMatchObject({ message: `${address}: not now` })
  })

  test('without an answer it is not known what became of it', async () => {
    const never = new Promise<never>(() => {})
    const { address } = await start({}, () => never)
    await expect(initCluster(address, { deadlineMs: 20 })).rejects.toMatchObject({
      code: 'OUTCOME_UNKNOWN',
      message: expect.stringMatching(/may have been made.*Say init again, to the same node/),
      mayHaveBeenApplied: true,
    })
    const asked = new Mailbox<string>()
    const lost = await start({}, () => {
      asked.put('init')
      return never
    })
    const answer = expect(initCluster(lost.address)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    await asked.count(1)
    await lost.close(0)
    await answer
  })
})

describe('tools of other languages', () => {
  test('health says SERVING for each service', async () => {
    const { address } = await start({})
    const loaded = grpc.loadPackageDefinition(loader.loadSync(healthPackage.protoPath))
    const { v1 } = (loaded.grpc as unknown as { health: { v1: Record<string, grpc.ServiceClientConstructor> } }).health
    const client = new v1.Health!(address, grpc.credentials.createInsecure())
    ends.push(() => client.close())
    for (const service of ['', 'holdfast.v1.KeyValue', 'holdfast.v1.Admin', 'holdfast.v1.Stream']) {
      const status = await new Promise((resolve, reject) => {
        const check = client.Check as unknown as (
          request: object,
          done: (error: unknown, reply: unknown) => void,
        ) => void
        check.call(client, { service }, (error, reply) => (error === null ? resolve(reply) : reject(error)))
      })
      expect(status).toMatchObject({ status: 1 })
    }
  })

  test('reflection lists the services and gives their file', async () => {
    const { address } = await start({})
    const client = new grpc.Client(address, grpc.credentials.createInsecure())
    ends.push(() => client.close())
    const asIs = (bytes: Buffer): Buffer => bytes
    const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo'
    const call = client.makeBidiStreamRequest(path, asIs, asIs)
    const answers = new Mailbox<Buffer>()
    call.on('data', (bytes: Buffer) => answers.put(bytes))
    call.on('error', () => {})
    call.write(Buffer.from([0x3a, 1, 0x2a]))
    const symbol = Buffer.from('holdfast.v1.KeyValue')
    call.write(Buffer.concat([Buffer.from([0x22, symbol.length]), symbol]))
    const [services, file] = await answers.count(2)
    for (const name of ['holdfast.v1.KeyValue', 'holdfast.v1.Admin', 'holdfast.v1.Stream']) {
      expect(services!.includes(name)).toBe(true)
    }
    expect(file!.includes('GetManyCall')).toBe(true)
    call.cancel()
  })
})
