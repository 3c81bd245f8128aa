import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import net from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { initCluster } from '../../src/client/index.js'
import { readinessOf } from '../../src/server/health.js'
import { startNode } from '../../src/server/index.js'
import { NodeMetrics } from '../../src/server/metrics.js'
import { Watch } from '../../src/server/watch.js'
import type { StoreFigures } from '../../src/store/figures.js'
import { root } from '../house/project.js'
import { Bench, eventually, refusal, type TestNode } from './support.js'

const bench = new Bench()
afterEach(() => bench.clear())

interface Answer {
  readonly status: number
  readonly type: string | undefined
  readonly body: string
}

function ask(address: string, path: string, method = 'GET'): Promise<Answer> {
  const { host, port } = { host: address.split(':')[0]!, port: Number(address.split(':')[1]) }
  return new Promise((resolve, reject) => {
    const asked = request({ host, port, path, method, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text
      })
      response.once('end', () =>
        resolve({ status: response.statusCode!, type: response.headers['content-type'], body }),
      )
    })
    asked.once('error', reject).end()
  })
}

const json = ({ body }: Answer): unknown => JSON.parse(body)

/** Value of a sample, labels included in its name. */
function sampleOf(text: string, sample: string): number {
  const line = text.split('\n').find((each) => each.startsWith(`${sample} `))
  return line === undefined ? Number.NaN : Number(line.slice(sample.length + 1))
}

async function watched(node: TestNode): Promise<string> {
  await node.start({ http: '127.0.0.1:0' })
  return node.http!
}

describe('who watches a node over HTTP', () => {
  test('is told that it is alive and why it is not ready, then that it is', async () => {
    const node = await bench.node()
    const http = await watched(node)
    expect(await ask(http, '/livez')).toMatchObject({ status: 200, body: '{"live":true}\n', type: 'application/json' })
    const early = await ask(http, '/readyz')
    expect([early.status, json(early)]).toEqual([503, { ready: false, reason: 'no cluster' }])
    await initCluster(node.client, {})
    await eventually(async () => (await ask(http, '/readyz')).status === 200)
    expect(json(await ask(http, '/readyz?verbose'))).toEqual({ ready: true })
    expect((await ask(http, '/livez')).status).toBe(200)
  })

  test('is told which ranges have no known leader', async () => {
    const nodes = await bench.unborn(3)
    await nodes[0]!.stop()
    const http = await watched(nodes[0]!)
    await initCluster(nodes[0]!.client, {})
    await eventually(async () => (await ask(http, '/readyz')).status === 200)
    await Promise.all(nodes.slice(1).map((node) => node.stop()))
    const answer = await eventually(async () => {
      const found = await ask(http, '/readyz')
      return found.status === 503 && found.body.includes('[1,2]') ? found : null
    })
    expect(json(answer)).toEqual({
      ready: false,
      reason: 'ranges without a known leader',
      ranges: [1, 2],
      rangeCount: 2,
    })
    expect((await ask(http, '/livez')).status).toBe(200)
  })

  test('is told that it drains while it stops', async () => {
    const node = await bench.node()
    const http = await watched(node)
    const stopped = node.stop()
    const seen: unknown[] = []
    for (;;) {
      const answer = await ask(http, '/readyz').catch(() => null)
      if (answer === null) break
      seen.push(json(answer))
    }
    await stopped
    for (const each of seen) expect(each).toEqual({ ready: false, reason: 'draining' })
  })

  test('gets 404 and 405 for what is not there, and HEAD without a body', async () => {
    const http = await watched(await bench.node())
    expect(await ask(http, '/')).toMatchObject({ status: 404, body: 'there is /livez, /readyz and /metrics\n' })
    expect((await ask(http, '/metrics', 'POST')).status).toBe(405)
    expect(await ask(http, '/livez', 'HEAD')).toMatchObject({ status: 200, body: '' })
  })

  test('does not get on the nerves of the node with random bytes or connections that say nothing', async () => {
    const http = await watched(await bench.node())
    const [host, port] = http.split(':')
    const sockets = Array.from({ length: 300 }, () => net.connect(Number(port), host).on('error', () => {}))
    sockets[0]!.write(Buffer.alloc(100_000, 7))
    const dropped = (socket: net.Socket) => new Promise((resolve) => socket.resume().once('close', resolve))
    await Promise.race(sockets.map(dropped))
    for (const socket of sockets) socket.destroy()
    await eventually(async () => (await ask(http, '/livez').catch(() => null))?.status === 200)
  })
})

test('a node whose disk is full is not ready, and says so before anything else that is not well', () => {
  const figures = { diskFull: true, leaderless: [2] } as unknown as StoreFigures
  const readiness = (parts: Partial<Parameters<typeof readinessOf>[0]>) =>
    readinessOf({ phase: 'running', isMember: true, figures, ...parts })
  expect(readiness({})).toEqual({ ready: false, reason: 'disk full' })
  expect(readiness({ phase: 'draining' })).toEqual({ ready: false, reason: 'draining' })
  expect(readiness({ phase: 'starting' })).toEqual({ ready: false, reason: 'starting' })
  expect(readiness({ figures: null })).toEqual({ ready: false, reason: 'starting' })
})

describe('the metrics of a node', () => {
  test('count what clients asked, by kind and code, and show what the node holds', async () => {
    const node = await bench.node()
    const http = await watched(node)
    await initCluster(node.client, {})
    const db = await bench.connect([node])
    for (let i = 0; i < 5; i++) await db.put(`k${i}`, i)
    await db.get('k1')
    await refusal(db.put('k1', 2, { ifAbsent: true }))
    await eventually(async () => (await ask(http, '/readyz')).status === 200)
    const { status, type, body } = await ask(http, '/metrics')
    expect([status, type]).toEqual([200, expect.stringContaining('text/plain; version=0.0.4')])
    expect(sampleOf(body, 'holdfast_requests_total{kind="write",code="OK"}')).toBe(5)
    expect(sampleOf(body, 'holdfast_requests_total{kind="write",code="CONDITION_FAILED"}')).toBe(1)
    expect(sampleOf(body, 'holdfast_requests_total{kind="get",code="OK"}')).toBe(1)
    expect(sampleOf(body, 'holdfast_ready')).toBe(1)
    expect(sampleOf(body, 'holdfast_replicas')).toBe(2)
    expect(sampleOf(body, 'holdfast_leaders')).toBe(2)
    expect(sampleOf(body, 'holdfast_ranges_without_leader')).toBe(0)
    expect(sampleOf(body, 'holdfast_client_connections')).toBeGreaterThanOrEqual(1)
    expect(sampleOf(body, 'holdfast_log_bytes')).toBeGreaterThan(1_000_000)
    expect(sampleOf(body, 'holdfast_turn_seconds_count')).toBeGreaterThan(10)
    expect(sampleOf(body, 'holdfast_log_sync_seconds_count')).toBeGreaterThan(5)
    expect(sampleOf(body, 'holdfast_log_batch_bytes_sum')).toBeGreaterThan(5 * 4_096)
    expect(sampleOf(body, 'holdfast_memory_bytes{kind="array_buffers"}')).toBeGreaterThan(1_000_000)
    // A node has proposals of its own now and then.
    const queues = ['queue_proposals', 'queue_reads', 'queue_cold_reads', 'client_requests']
    await eventually(async () => {
      const { body: now } = await ask(http, '/metrics')
      return queues.every((queue) => sampleOf(now, `holdfast_${queue}`) === 0)
    })
  })

  test('of two nodes in one process stand in registries of their own', async () => {
    const nodes = await bench.unborn(2)
    await Promise.all(nodes.map((node) => node.stop()))
    const [one, other] = await Promise.all(nodes.map(watched))
    await initCluster(nodes[0]!.client, {})
    const leaders = async (http: string) => sampleOf((await ask(http, '/metrics')).body, 'holdfast_leaders')
    await eventually(async () => (await leaders(one!)) + (await leaders(other!)) === 2)
  })

  test('are all explained in docs/operations.md, and nothing else is', () => {
    const metrics = new NodeMetrics()
    new Watch({ metrics, isMember: () => false }).close()
    const text = readFileSync(join(root, 'docs/operations.md'), 'utf8')
    const documented = [...text.matchAll(/^\| `(holdfast_[a-z_]+)`/gm)].map(([, name]) => name)
    expect(documented.toSorted()).toEqual([...metrics.names].sort())
  })
})

test('the HTTP port keeps to loopback as the others do, and shares no port with them', async () => {
  const dataDirectory = join(await bench.folder(), 'refused')
  const logger = { log() {} }
  const options = { dataDirectory, listen: '127.0.0.1:1234', peerListen: '127.0.0.1:0', join: [], logger }
  const outside = await refusal(startNode({ ...options, http: '0.0.0.0:7600' }))
  expect([outside.code, outside.message]).toEqual(['NOT_PERMITTED', expect.stringMatching(/^http 0\.0\.0\.0:7600/)])
  const shared = await refusal(startNode({ ...options, http: '127.0.0.1:1234' }))
  expect([shared.code, shared.message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining('they must differ')])
})
