import { describe, expect, it } from 'vitest'
import type { ConnectionEvents } from '../../src/client/ports.js'
import type { Reply, ReplySink, Request } from '../../src/kv/requests.js'
import { ClientTally } from '../../src/testing/client-tally.js'
import { SimConnector, type SimListener } from '../../src/testing/connector.js'
import { calmLink, type LinkQuality, SimNetwork } from '../../src/testing/network.js'
import { SimProcess } from '../../src/testing/process.js'
import { SeededRandom } from '../../src/testing/random.js'
import { Scheduler } from '../../src/testing/scheduler.js'
import { Trace } from '../../src/testing/trace.js'

function network(quality: Partial<LinkQuality> = {}) {
  const scheduler = new Scheduler()
  const net = new SimNetwork({ scheduler, random: new SeededRandom('net'), trace: new Trace() })
  net.quality = { ...calmLink, ...quality }
  return { scheduler, net }
}

async function sendMany(quality: Partial<LinkQuality>, count = 1_000): Promise<number[]> {
  const { scheduler, net } = network(quality)
  const arrived: number[] = []
  for (let i = 0; i < count; i++) scheduler.schedule(i, () => net.datagram('a', 'b', () => arrived.push(i)))
  await scheduler.runUntil(count + 1_000)
  return arrived
}

describe('datagrams', () => {
  it('arrive once each, in order, where the jitter is less than the gaps', async () => {
    expect(await sendMany({ jitterMs: 0.5 })).toEqual(Array.from({ length: 1_000 }, (_, i) => i))
  })

  it('are lost at the rate of the link', async () => {
    const arrived = await sendMany({ loss: 0.2 })
    expect(arrived.length).toBeGreaterThan(740)
    expect(arrived.length).toBeLessThan(860)
  })

  it('arrive twice at the rate of the link', async () => {
    const arrived = await sendMany({ duplicate: 0.2 })
    expect(arrived.length).toBeGreaterThan(1_140)
    expect(new Set(arrived).size).toBe(1_000)
  })

  it('overtake stragglers', async () => {
    const arrived = await sendMany({ straggle: 0.1, straggleMs: 100 })
    expect(arrived).toHaveLength(1_000)
    expect(arrived).not.toEqual([...arrived].sort((a, b) => a - b))
  })

  it('do not pass a one-way partition, also those under way, and pass the other way', async () => {
    const { scheduler, net } = network({ delayMs: 10, jitterMs: 0 })
    const seen: string[] = []
    net.datagram('a', 'b', () => seen.push('under way'))
    scheduler.schedule(5, () => net.block('a', 'b'))
    scheduler.schedule(6, () => net.datagram('a', 'b', () => seen.push('blocked')))
    scheduler.schedule(6, () => net.datagram('b', 'a', () => seen.push('other way')))
    scheduler.schedule(50, () => net.unblock('a', 'b'))
    scheduler.schedule(51, () => net.datagram('a', 'b', () => seen.push('healed')))
    await scheduler.runUntil(100)
    expect(seen).toEqual(['other way', 'healed'])
  })

  it('pass only when the last of two overlapping partitions has healed', () => {
    const { net } = network()
    net.block('a', 'b')
    net.block('a', 'b')
    net.unblock('a', 'b')
    expect(net.isBlocked('a', 'b')).toBe(true)
    net.unblock('a', 'b')
    expect(net.isBlocked('a', 'b')).toBe(false)
  })
})

/** A client on 'client 1' and a node on 'node 1' that answers each request with an empty page. */
function connected(quality: Partial<LinkQuality> = {}) {
  const { scheduler, net } = network(quality)
  const log: string[] = []
  const makeProcess = () =>
    new SimProcess({ scheduler, settles: true, onFatal: (reason) => log.push(reason), onBug: (e) => log.push(`${e}`) })
  const listener: SimListener = {
    place: 'node 1',
    process: makeProcess(),
    hello: () => ({ cluster: 'c' as never, node: 1 as never, nodes: [], version: 0 as never }),
    submit(requests: readonly Request[], sink: ReplySink) {
      log.push(`node got ${requests.map((request) => request.id).join(' ')}`)
      sink.replies(requests.map(({ id }) => ({ id, version: 0 as never, kind: 'page', rows: [], more: false })))
    },
  }
  const place = { listener: listener as SimListener | null }
  const connector = new SimConnector({
    scheduler,
    network: net,
    place: 'client 1',
    process: makeProcess(),
    listener: () => place.listener,
    freeze: true,
    silenceMs: 3_000,
    tally: new ClientTally(),
  })
  const events: ConnectionEvents = {
    onOpen: (hello) => log.push(`open to ${hello.node}`),
    onReplies: (replies: readonly Reply[]) => log.push(`client got ${replies.map((reply) => reply.id).join(' ')}`),
    onClose: (error) => log.push(`close: ${error.message}`),
  }
  return { scheduler, net, log, listener, place, connector, connection: connector.connect('node1:7400', events) }
}

const request = (id: number): Request => ({ kind: 'status', id, deadlineMs: 1_000 })

describe('client streams', () => {
  it('carry requests and replies in order over a link that loses and delays', async () => {
    const { scheduler, log, connection } = connected({ jitterMs: 20, loss: 0.3, straggle: 0.3, straggleMs: 50 })
    await scheduler.runUntil(1_000)
    for (let id = 1; id <= 20; id++) connection.send([request(id)])
    await scheduler.runUntil(2_000)
    const numbers = Array.from({ length: 20 }, (_, i) => i + 1)
    expect(log[0]).toBe('open to 1')
    expect(log.filter((line) => line.startsWith('node got'))).toEqual(numbers.map((id) => `node got ${id}`))
    expect(log.filter((line) => line.startsWith('client got'))).toEqual(numbers.map((id) => `client got ${id}`))
  })

  it('hold up what is sent during a short partition and lose nothing', async () => {
    const { scheduler, net, log, connection } = connected()
    await scheduler.runUntil(10)
    net.block('client 1', 'node 1')
    connection.send([request(1)])
    connection.send([request(2)])
    await scheduler.runUntil(1_000)
    expect(log).toEqual(['open to 1'])
    net.unblock('client 1', 'node 1')
    await scheduler.runUntil(2_000)
    expect(log).toEqual(['open to 1', 'node got 1', 'node got 2', 'client got 1', 'client got 2'])
  })

  it('are closed by a partition that lasts', async () => {
    const { scheduler, net, log, connection } = connected()
    await scheduler.runUntil(10)
    net.block('node 1', 'client 1')
    connection.send([request(1)])
    await scheduler.runUntil(5_000)
    expect(log).toEqual(['open to 1', 'node got 1', 'close: the connection fell silent'])
    net.unblock('node 1', 'client 1')
    await scheduler.runUntil(9_000)
    expect(log).toHaveLength(3)
  })

  it('are reset when the node ends, after what it had sent', async () => {
    const { scheduler, log, listener, connector, connection } = connected()
    await scheduler.runUntil(10)
    connection.send([request(1)])
    await scheduler.runUntil(10.4)
    connection.send([request(2)])
    listener.process.end()
    connector.listenerEnded(listener)
    await scheduler.runUntil(100)
    expect(log).toEqual(['open to 1', 'node got 1', 'client got 1', 'close: the connection was reset'])
  })

  it('are refused where nobody listens', async () => {
    const { scheduler, log, place } = connected()
    place.listener = null
    await scheduler.runUntil(100)
    expect(log).toEqual(['close: connection to node1:7400 refused'])
  })

  it('fail after a while where a paused node accepts and says nothing', async () => {
    const { scheduler, log, listener } = connected()
    listener.process.pause()
    await scheduler.runUntil(5_000)
    expect(log).toEqual(['close: the connection fell silent'])
  })

  it('tell a client that closed nothing more', async () => {
    const { scheduler, log, connection } = connected()
    await scheduler.runUntil(10)
    connection.send([request(1)])
    connection.close()
    await scheduler.runUntil(100)
    expect(log).toEqual(['open to 1', 'node got 1'])
  })

  it('refuse to let anybody change a frame that was sent', async () => {
    const { scheduler, connection } = connected()
    await scheduler.runUntil(10)
    const sent = { kind: 'status' as const, id: 1, deadlineMs: 1 }
    connection.send([sent])
    expect(() => {
      sent.id = 2
    }).toThrow(TypeError)
  })
})
