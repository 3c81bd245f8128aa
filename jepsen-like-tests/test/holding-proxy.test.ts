import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ownerOf } from '../network/connection-owner.js'
import { HoldingProxy, type Obstacle } from '../network/holding-proxy.js'
import { Pace } from '../network/pace.js'
import { seeded } from '../random.js'

const FREE: Obstacle = { isHeld: false, delayMs: 0 }
const HELD: Obstacle = { isHeld: true, delayMs: 0 }

/** A server behind a proxy, and a client before it. */
class Line {
  readonly way: { in: () => Obstacle; out: () => Obstacle } = { in: () => FREE, out: () => FREE }
  /** What each end has got. */
  readonly got = { node: '', client: '' }
  readonly ended: string[] = []
  proxy!: HoldingProxy
  client!: Socket
  node!: Socket
  #server!: Server
  readonly #sockets: Socket[] = []

  async open(): Promise<void> {
    this.#server = createServer().listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    this.proxy = await HoldingProxy.start({
      target: `127.0.0.1:${(this.#server.address() as { port: number }).port}`,
      callerOf: async () => 2,
      obstacle: (caller, direction) => {
        expect(caller).toBe(2)
        return () => this.way[direction]()
      },
    })
    Object.assign(this, await this.another())
    for (const end of ['client', 'node'] as const) {
      this[end].setEncoding('utf8').on('data', (text: string) => {
        this.got[end] += text
      })
      this[end].on('end', () => this.ended.push(end))
      this[end].on('error', () => {})
    }
  }

  /** Both ends of one more connection through the proxy. */
  async another(): Promise<{ client: Socket; node: Socket }> {
    const accepted = once(this.#server, 'connection') as Promise<[Socket]>
    const client = connect({ host: '127.0.0.1', port: Number(this.proxy.address.split(':')[1]) })
    const [node] = await accepted
    this.#sockets.push(client, node)
    return { client, node }
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await this.proxy.close()
    this.#server.close()
  }
}

/** Until `isSo`; the test's own limit ends the wait. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve))
}

let line: Line
beforeEach(async () => {
  line = new Line()
  await line.open()
})
afterEach(() => line.close())

describe('a proxy that holds', () => {
  it('lets everything through, both ways, where nothing is in the way', async () => {
    line.client.write('to the node')
    await until(() => line.got.node === 'to the node')
    line.node.write('and back')
    await until(() => line.got.client === 'and back')
  })

  it('holds one direction and not the other, closes nothing, and delivers in the end', async () => {
    line.way.in = () => HELD
    line.client.write('one ')
    line.client.write('two')
    // What went the other way later has arrived: so what is held is held.
    line.node.write('heard')
    await until(() => line.got.client === 'heard')
    expect(line.got.node).toBe('')
    expect(line.ended).toEqual([])
    line.way.in = () => FREE
    line.proxy.wake()
    await until(() => line.got.node === 'one two')
  })

  it('does not tell the end of a connection before what was sent ahead of it', async () => {
    line.way.in = () => HELD
    line.client.end('last words')
    line.node.write('still here')
    await until(() => line.got.client === 'still here')
    expect(line.ended).not.toContain('node')
    line.way.in = () => FREE
    line.proxy.wake()
    await until(() => line.ended.includes('node'))
    expect(line.got.node).toBe('last words')
  })

  it('does not tell the death of one side to the other before what holds it back is gone', async () => {
    line.way.out = () => HELD
    line.node.destroy()
    line.client.write('into the void')
    const other = connect({ host: '127.0.0.1', port: Number(line.proxy.address.split(':')[1]) })
    await once(other, 'connect')
    other.destroy()
    expect(line.ended).toEqual([])
    line.way.out = () => FREE
    line.proxy.wake()
    await until(() => line.ended.includes('client'))
  })

  it('keeps the order, however long each piece is delayed', async () => {
    const random = seeded(1)
    line.way.in = () => ({ isHeld: false, delayMs: random() * 20 })
    let sent = ''
    for (let piece = 0; piece < 50; piece++) {
      sent += `${piece},`
      line.client.write(`${piece},`)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await until(() => line.got.node.length === sent.length)
    expect(line.got.node).toBe(sent)
  })

  it('lets what is sent later on another connection overtake', async () => {
    let asked = 0
    line.way.in = () => {
      asked++
      return { isHeld: false, delayMs: 60_000 }
    }
    line.client.write('sent first')
    await until(() => asked > 0)
    line.way.in = () => FREE
    const other = await line.another()
    let got = ''
    other.node.setEncoding('utf8').on('data', (text: string) => {
      got += text
    })
    other.client.write('sent last')
    await until(() => got === 'sent last')
    expect(line.got.node).toBe('')
  })

  it('stops reading from a sender whose bytes it has to hold, and loses none', async () => {
    line.way.in = () => HELD
    const size = 16 * 1024 * 1024
    const flushed = new Promise((resolve) => line.client.write('x'.repeat(size), resolve))
    line.node.write('heard')
    await until(() => line.got.client === 'heard')
    expect(line.client.writableLength).toBeGreaterThan(0)
    line.way.in = () => FREE
    line.proxy.wake()
    await flushed
    await until(() => line.got.node.length === size)
  })
})

describe('the delay of a connection', () => {
  it('stays for a while and then changes, and another connection has another one', () => {
    let nowMs = 0
    const random = seeded(1)
    const [one, other] = [new Pace(random, () => nowMs), new Pace(random, () => nowMs)]
    const changes: number[] = []
    const isAhead = new Set<boolean>()
    for (let last = one.share; nowMs < 10_000; nowMs++) {
      const { share } = one
      expect(share >= 0 && share < 1).toBe(true)
      if (share !== last) changes.push(nowMs)
      last = share
      isAhead.add(share < other.share)
    }
    const kept = changes.slice(1).map((at, nth) => at - changes[nth]!)
    expect(Math.min(...kept)).toBeGreaterThanOrEqual(50)
    expect(Math.max(...kept)).toBeLessThanOrEqual(401)
    expect([...isAhead].sort()).toEqual([false, true])
  })
})

describe.skipIf(process.platform !== 'linux')('who made a connection', () => {
  it('is found among processes by the ports of both ends', async () => {
    const ports = { from: line.client.localPort!, to: line.client.remotePort! }
    expect(await ownerOf(ports, [process.ppid, process.pid])).toBe(process.pid)
    expect(await ownerOf(ports, [process.ppid])).toBe(null)
    expect(await ownerOf({ from: 1, to: ports.to }, [process.pid])).toBe(null)
  })
})
