import grpc from '@grpc/grpc-js'
import loader from '@grpc/proto-loader'
import healthPackage from 'grpc-health-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClusterStatus, Holdfast } from '../../src/client/index.js'
import { codeOf, foreign } from './foreign.js'
import { Bench, eventually, serving, type TestNode } from './support.js'

const bench = new Bench()
let nodes: TestNode[] = []
let db: Holdfast
let status: ClusterStatus

beforeAll(async () => {
  nodes = await bench.cluster(3, ['m'])
  db = await bench.connect(nodes)
  status = await serving(db, { nodes: 3, ranges: 3 })
})
afterAll(() => bench.clear())

const bytes = (text: string): Buffer => Buffer.from(text)

describe('a client that knows one node and the .proto', () => {
  test('is served by every node, whoever leads', async () => {
    for (const [i, node] of nodes.entries()) {
      const call = foreign(node.client, bench)
      // One key in either range: no node leads for certain, so some of these calls are passed on.
      for (const name of [`a${i}`, `z${i}`]) {
        const put = await call('KeyValue', 'Put', { key: bytes(name), value: bytes('{"n":1}'), codec: 'CODEC_JSON' })
        expect(put.error).toBeNull()
        const { version } = put.reply as { version: string }
        for (const other of nodes) {
          const { reply } = await foreign(other.client, bench)('KeyValue', 'Get', { key: bytes(name) })
          expect(reply).toMatchObject({ entry: { value: bytes('{"n":1}'), codec: 2, version } })
        }
        expect(await db.getEntry(name)).toMatchObject({ value: { n: 1 }, codec: 'json', version: Number(version) })
      }
    }
    expect(status.ranges.every(({ leader }) => leader !== null)).toBe(true)
  })

  test('writes once under conditions, in batches, deletes, and scans over ranges page by page', async () => {
    const call = foreign(nodes[2]!.client, bench)
    const operations = ['n1', 'n2', 'n3'].map((name) => ({ put: { key: bytes(name), value: bytes('x') } }))
    expect((await call('KeyValue', 'Batch', { operations })).error).toBeNull()
    const again = [{ check: { key: bytes('n1'), if: { absent: true } } }, { delete: bytes('n2') }]
    const refused = await call('KeyValue', 'Batch', { operations: again })
    expect(refused.error?.code).toBe(grpc.status.FAILED_PRECONDITION)
    expect(codeOf(refused)).toBe('CONDITION_FAILED')
    expect(refused.error?.metadata.get('holdfast-may-have-been-applied')).toEqual(['false'])
    expect((await call('KeyValue', 'Delete', { key: bytes('n3') })).reply).toMatchObject({ deleted: true })
    await call('KeyValue', 'Put', { key: bytes('l1'), value: bytes('x') })

    const found: string[] = []
    let start = bytes('l')
    for (;;) {
      const page = { start, end: bytes('o'), limit: 1 }
      const { reply, error } = await call('KeyValue', 'Scan', page)
      expect(error).toBeNull()
      const { entries, next } = reply as { entries: { key: Buffer }[]; next?: Buffer }
      found.push(...entries.map(({ key }) => key.toString()))
      if (next === undefined || next === null) break
      start = next
    }
    expect(found).toEqual(['l1', 'n1', 'n2'])
  })

  test('splits, and is told the status of the node it asks', async () => {
    const call = foreign(nodes[1]!.client, bench)
    const { reply } = await call('Admin', 'Split', { key: bytes('t') })
    expect(Number((reply as { range: string }).range)).toBeGreaterThan(3)
    const own = (await call('Admin', 'Status', {})).reply.status as { node: { node: string }; nodes: unknown[] }
    expect(own.node.node).toBe(String(nodes[1]!.id))
    expect(own.nodes).toHaveLength(3)
  })

  test('hands the lead of a range on, whoever is asked, and is refused by name', async () => {
    const call = foreign(nodes[1]!.client, bench)
    const { id, leader, replicas } = (await db.ranges()).at(-1)!
    const to = replicas.find((node) => node !== leader)!
    // A node that syncs its votes slowly may miss the half second that a leader waits for it: asked again, as the caller is told to.
    await eventually(async () => {
      const answer = await call('Admin', 'Transfer', { range: id, node: to })
      if (answer.error !== null) expect(codeOf(answer)).toMatch(/^(OUTCOME_UNKNOWN|UNAVAILABLE)$/)
      return answer.error === null && (await db.status()).ranges.find((range) => range.id === id)?.leader === to
    })
    const nobody = await call('Admin', 'Transfer', { range: id, node: 99 })
    expect(codeOf(nobody)).toBe('INVALID_ARGUMENT')
    expect(nobody.error?.details).toContain(`node 99 holds no voter of range ${id}`)
    const unknown = await call('Admin', 'Transfer', { range: 999, node: 1 })
    expect(codeOf(unknown)).toBe('INVALID_ARGUMENT')
    expect(unknown.error?.details).toContain('there is no range 999')
  })

  test('is refused a batch over ranges, and told that nothing was done', async () => {
    const operations = [
      { put: { key: bytes('a'), value: bytes('x') } },
      { put: { key: bytes('p'), value: bytes('x') } },
    ]
    const answer = await foreign(nodes[0]!.client, bench)('KeyValue', 'Batch', { operations })
    expect(codeOf(answer)).toBe('CROSSES_RANGES')
    expect(answer.error?.code).toBe(grpc.status.FAILED_PRECONDITION)
    expect(await db.get('p')).toBeUndefined()
  })

  test('is refused bad input by name and value', async () => {
    const call = foreign(nodes[0]!.client, bench)
    const key = bytes('k')
    const cases: [string, object, string, RegExp][] = [
      ['Put', { value: key }, 'INVALID_ARGUMENT', /the key is empty/],
      ['Get', { key: Buffer.alloc(4_093) }, 'TOO_LARGE', /4093 bytes, expected at most 4092/],
      ['Put', { key, value: Buffer.alloc(1_048_577) }, 'TOO_LARGE', /1048577 bytes, expected at most 1048576/],
      ['Put', { key, if: { version: '18446744073709551615' } }, 'INVALID_ARGUMENT', /expected an integer below 2\^53/],
      ['Scan', { start: key, limit: '9007199254740993' }, 'INVALID_ARGUMENT', /9007199254740993|below 2\^53/],
      ['Scan', { start: bytes('b'), end: bytes('a') }, 'INVALID_ARGUMENT', /upside down/],
      [
        'Batch',
        { operations: Array.from({ length: 1_001 }, () => ({ delete: key })) },
        'TOO_LARGE',
        /1001 .* at most 1000/,
      ],
    ]
    for (const [method, request, code, message] of cases) {
      const answer = await call('KeyValue', method, request)
      expect([codeOf(answer), answer.error?.details]).toEqual([code, expect.stringMatching(message)])
    }
  })

  test('is told at once that a node belongs to no cluster yet', async () => {
    const lonely = await bench.node()
    await lonely.start()
    const call = foreign(lonely.client, bench)
    for (const answer of [await call('KeyValue', 'Get', { key: bytes('k') }), await call('Admin', 'Status', {})]) {
      expect(codeOf(answer)).toBe('UNAVAILABLE')
      expect(answer.error?.details).toContain('run `holdfast init`')
    }
    await lonely.stop()
  })

  test('learns from health and reflection what the node serves', async () => {
    const health = grpc.loadPackageDefinition(loader.loadSync(healthPackage.protoPath))
    const { v1 } = (health.grpc as unknown as { health: { v1: Record<string, grpc.ServiceClientConstructor> } }).health
    const client = new v1.Health!(nodes[0]!.client, grpc.credentials.createInsecure())
    bench.atEnd(async () => client.close())
    const check = client.Check as unknown as (request: object, done: (error: unknown, reply: unknown) => void) => void
    const answer = await new Promise((resolve) => {
      check.call(client, { service: 'holdfast.v1.KeyValue' }, (error, reply) => resolve(error ?? reply))
    })
    expect(answer).toMatchObject({ status: 1 })

    const asIs = (sent: Buffer): Buffer => sent
    const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo'
    const call = client.makeBidiStreamRequest(path, asIs, asIs)
    const listing = new Promise<Buffer>((resolve) => call.once('data', resolve).on('error', () => {}))
    call.write(Buffer.from([0x3a, 1, 0x2a]))
    const listed = await listing
    for (const name of ['KeyValue', 'Admin', 'Stream']) expect(listed.includes(`holdfast.v1.${name}`)).toBe(true)
    call.cancel()
  })
})
