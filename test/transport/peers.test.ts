import net from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { HoldfastError } from '../../src/base/errors.js'
import type { BootId, ClusterId, NodeId } from '../../src/base/ids.js'
import { limits } from '../../src/base/limits.js'
import type { Clock } from '../../src/base/ports.js'
import type { PeerFrame, PeerMessage } from '../../src/store/ports.js'
import { callBirth, callIdentify, callJoin } from '../../src/transport/peer-calls.js'
import { HEARTBEAT_EVERY_MS } from '../../src/transport/peer-channel.js'
import { startPeerServer } from '../../src/transport/peer-server.js'
import type { BirthDocument, JoinAnswer, PeerHandler, PeerIdentity } from '../../src/transport/peer-types.js'
import { GrpcPeers } from '../../src/transport/peers.js'
import { CLUSTER, HandClock, logTo, Mailbox } from './support.js'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

/** Heartbeats fall due when the test says so; whoever waits for anything else, which is to dial again, has waited long enough. */
class PeerClock extends HandClock {
  override setTimer(delayMs: number, action: () => void): () => void {
    if (delayMs === HEARTBEAT_EVERY_MS) return super.setTimer(delayMs, action)
    const immediate = setImmediate(action)
    return () => clearImmediate(immediate)
  }
}

function identity(node: number, port: number, over: Partial<PeerIdentity> = {}): PeerIdentity {
  const info = { node: node as NodeId, clientAddress: '127.0.0.1:1', peerAddress: `127.0.0.1:${port}`, pid: 1 }
  return {
    cluster: CLUSTER,
    node: node as NodeId,
    boot: (node * 1_000) as BootId,
    info,
    history: { boots: [(node * 1_000) as BootId], batches: [1], rejoins: [] },
    ...over,
  }
}

interface Node {
  readonly frames: Mailbox<PeerFrame>
  readonly seen: Mailbox<number>
  /** Node, boot and batch of each frame. */
  readonly reached: Mailbox<readonly number[]>
  readonly lines: Mailbox<string>
  readonly port: number
  identity: PeerIdentity | null
  stop(): Promise<void>
}

async function listen(node: number, port = 0, over: Partial<PeerHandler> = {}): Promise<Node> {
  const frames = new Mailbox<PeerFrame>()
  const seen = new Mailbox<number>()
  const reached = new Mailbox<readonly number[]>()
  const lines = new Mailbox<string>()
  const refuses = (): never => {
    throw new Error('not expected')
  }
  const handler: PeerHandler = {
    identity: () => running.identity,
    admit: async () => {},
    frame: (frame) => frames.put(frame),
    logReaches: (each) => reached.put([each.node, each.boot, each.batch]),
    nodeSeen: (info) => seen.put(info.node),
    join: refuses,
    birth: refuses,
    identify: refuses,
    ...over,
  }
  const server = await startPeerServer({ host: '127.0.0.1', port, handler, logger: logTo(lines) })
  const stop = (): Promise<void> => server.close(0)
  const running: Node = { frames, seen, reached, lines, port: server.port, identity: identity(node, server.port), stop }
  ends.push(stop)
  return running
}

interface DiallerOptions {
  readonly clock?: Clock
  readonly lastBatch?: () => number
  readonly onDown?: (node: NodeId) => void
  readonly onKeptOut?: (error: HoldfastError) => void
}

function dialler(own: PeerIdentity, over: DiallerOptions = {}) {
  const lines = new Mailbox<string>()
  const clock = new PeerClock()
  const lastBatch = () => 7
  const peers = new GrpcPeers({
    identity: own,
    lastBatch,
    clock,
    logger: logTo(lines),
    random: { next: () => 0.5 },
    ...over,
  })
  ends.push(() => peers.close())
  return { peers, lines, clock }
}

const TWO = 2 as NodeId
const later = {
  boot: 1_001 as BootId,
  history: { boots: [1_000 as BootId, 1_001 as BootId], batches: [1, 2], rejoins: [] },
}
const envelope = { range: 1 as never, from: 1 as never, to: 2 as never, boot: 1_000 as BootId, term: 3 as never }

function heartbeat(round: number): PeerMessage {
  return { type: 'heartbeat', ...envelope, commit: 1 as never, allPersisted: 0 as never, round }
}

function append(previous: number, payloadBytes: number, entries = 1): PeerMessage {
  return {
    type: 'append',
    ...envelope,
    previousIndex: previous as never,
    previousTerm: 1 as never,
    commit: 0 as never,
    allPersisted: 0 as never,
    entries: Array.from({ length: entries }, (_, i) => ({
      index: (previous + 1 + i) as never,
      term: 1 as never,
      timestamp: 5 as never,
      kind: 'commands' as const,
      payload: Buffer.alloc(payloadBytes, i),
    })),
  }
}

/** The connections stand once all have said hello, and heard it. */
async function connected(node: Node, peers: GrpcPeers): Promise<void> {
  await node.seen.count(3)
  while (peers.figures().connections < 3) await new Promise((resolve) => setImmediate(resolve))
}

/** Once each connection has carried a heartbeat, too. */
async function beaten(node: Node, { peers, clock }: { peers: GrpcPeers; clock: HandClock }): Promise<void> {
  await connected(node, peers)
  clock.fire()
  await node.frames.count(6)
}

const withMessages = (frame: PeerFrame): boolean => frame.messages.length > 0

describe('two nodes', () => {
  test('say who they are, then messages travel under the boot of the hello', async () => {
    const node = await listen(2)
    const { peers, clock } = dialler(identity(1, 9))
    peers.setPeer(identity(2, node.port).info)
    await connected(node, peers)
    expect(node.seen.items).toEqual([1, 1, 1])
    const messages = [heartbeat(1), append(0, 100), { type: 'allocate' as const, request: 1, count: 2 }]
    peers.send(TWO, messages)
    const frame = await node.frames.find(withMessages)
    expect(frame).toEqual({ from: 1, boot: 1_000, wallMs: clock.wallMs(), messages })
  })

  test('heartbeats carry the clock of the sender', async () => {
    const node = await listen(2)
    const { peers, clock } = dialler(identity(1, 9))
    peers.setPeer(identity(2, node.port).info)
    await beaten(node, { peers, clock })
    const beat = { from: 1, boot: 1_000, wallMs: clock.wallMs(), messages: [] }
    expect(node.frames.items).toEqual(new Array(6).fill(beat))
  })

  test('a small turn travels whole, of a large one only what is not an append stays on control', async () => {
    const node = await listen(2)
    const { peers, clock } = dialler(identity(1, 9))
    peers.setPeer(identity(2, node.port).info)
    await beaten(node, { peers, clock })
    peers.send(TWO, [heartbeat(1), append(0, 60_000)])
    const whole = await node.frames.find(withMessages)
    expect(whole.messages.map(({ type }) => type)).toEqual(['heartbeat', 'append'])
    peers.send(TWO, [heartbeat(2), append(1, 70_000)])
    await node.frames.find(({ messages }) => messages.length === 1 && messages[0]!.type === 'heartbeat')
    await node.frames.find(({ messages }) => messages.length === 1 && messages[0]!.type === 'append')
  })

  test('snapshots have a connection of their own', async () => {
    const node = await listen(2)
    const { peers, clock } = dialler(identity(1, 9))
    peers.setPeer(identity(2, node.port).info)
    await beaten(node, { peers, clock })
    const between = { range: 1 as never, from: 1 as never, to: 2 as never, id: 7, sequence: 1 }
    const chunk: PeerMessage = { type: 'snapshotChunk', ...between, last: true, bytes: Buffer.alloc(1_000_000, 3) }
    peers.send(TWO, [heartbeat(1), chunk, { type: 'snapshotPull', ...between }, append(0, 70_000)])
    await node.frames.find(({ messages }) => messages.some(({ type }) => type === 'snapshotChunk'))
    await node.frames.find(({ messages }) => messages.some(({ type }) => type === 'append'))
    const kinds = node.frames.items.filter(withMessages).map(({ messages }) => messages.map(({ type }) => type))
    expect(kinds.map((each) => each.join()).sort()).toEqual(['append', 'heartbeat', 'snapshotChunk,snapshotPull'])
  })

  test('frames are cut near the limit, a larger entry travels alone', async () => {
    const node = await listen(2)
    const { peers, clock } = dialler(identity(1, 9))
    peers.setPeer(identity(2, node.port).info)
    await beaten(node, { peers, clock })
    peers.send(TWO, [append(0, 500_000), append(1, 500_000), append(2, 500_000), append(3, limits.entryBytesMax)])
    await node.frames.find(({ messages }) =>
      messages.some((each) => each.type === 'append' && each.previousIndex === 3),
    )
    const sizes = node.frames.items.filter(withMessages).map(({ messages }) => messages.length)
    expect(sizes).toEqual([2, 1, 1])
  })

  test('appends never overtake each other', async () => {
    const node = await listen(2)
    const { peers, clock } = dialler(identity(1, 9))
    peers.setPeer(identity(2, node.port).info)
    await beaten(node, { peers, clock })
    for (let i = 0; i < 60; i++) peers.send(TWO, [append(i, i % 3 === 0 ? 200_000 : 50)])
    const isLast = ({ messages }: PeerFrame): boolean =>
      messages.some((each) => each.type === 'append' && each.previousIndex === 59)
    await node.frames.find(isLast)
    const order = node.frames.items.flatMap(({ messages }) =>
      messages.flatMap((each) => (each.type === 'append' ? [each.previousIndex] : [])),
    )
    expect(order).toEqual(Array.from({ length: 60 }, (_, i) => i))
  })

  test('payloads own their memory', async () => {
    const node = await listen(2)
    const { peers } = dialler(identity(1, 9))
    peers.setPeer(identity(2, node.port).info)
    await connected(node, peers)
    peers.send(TWO, [append(0, 16, 1_000)])
    const { messages } = await node.frames.find(withMessages)
    const [message] = messages
    if (message?.type !== 'append') throw new Error('not an append')
    for (const { payload } of message.entries) expect(payload.buffer.byteLength).toBeLessThanOrEqual(8 * 1024)
  })

  test('what is sent to a node that is not connected is dropped', async () => {
    const node = await listen(2)
    const { peers } = dialler(identity(1, 9))
    peers.send(TWO, [heartbeat(1)])
    peers.setPeer(identity(2, node.port).info)
    peers.send(TWO, [heartbeat(2)])
    await connected(node, peers)
    peers.send(TWO, [heartbeat(3)])
    expect((await node.frames.find(withMessages)).messages).toEqual([heartbeat(3)])
  })

  test('what does not fit the credit is dropped, not queued', async () => {
    const node = await listen(2)
    const { peers, clock } = dialler(identity(1, 9))
    peers.setPeer(identity(2, node.port).info)
    await beaten(node, { peers, clock })
    const sent = 40
    for (let i = 0; i < sent; i++) peers.send(TWO, [append(i, 1_000_000)])
    // What was taken arrives in order: the marker, sent until it gets through, comes last.
    const placeOf = ({ messages: [first] }: PeerFrame): number => (first?.type === 'append' ? first.previousIndex : -1)
    while (!node.frames.items.some((frame) => placeOf(frame) === 999)) {
      peers.send(TWO, [append(999, 70_000)])
      await new Promise((resolve) => setImmediate(resolve))
    }
    const places = node.frames.items.map(placeOf).filter((place) => place >= 0 && place < sent)
    expect(places).toEqual(places.map((_, i) => i))
    expect(places.length).toBeGreaterThan(0)
    expect(places.length).toBeLessThan(sent)
  })

  test('find each other again after a restart, and the loss is told once', async () => {
    const first = await listen(2)
    const downs: number[] = []
    const { peers, lines } = dialler(identity(1, 9), { onDown: (node) => downs.push(node) })
    peers.setPeer(identity(2, first.port).info)
    await connected(first, peers)
    await first.stop()
    await lines.find((line) => line.startsWith('warn: session to node 2 (control)'))
    expect(downs).toEqual([2])
    expect(peers.isConnected(TWO)).toBe(false)
    const second = await listen(2, first.port)
    await connected(second, peers)
    peers.send(TWO, [heartbeat(1)])
    await second.frames.find(withMessages)
    await lines.find((line) => line === 'info: session to node 2 (control): well again')
    expect(downs).toEqual([2])
  })

  test('a stuck connection attempt is given up and made anew', async () => {
    const sockets = new Mailbox<net.Socket>()
    const silent = net.createServer((socket) => sockets.put(socket.on('error', () => {})))
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    ends.push(
      () => silent.close(),
      () => sockets.items.map((socket) => socket.destroy()),
    )
    const hand = new HandClock()
    const { peers, lines } = dialler(identity(1, 9), { clock: hand })
    peers.setPeer(identity(2, (silent.address() as net.AddressInfo).port).info)
    await sockets.count(2)
    for (let beat = 0; beat < 8; beat++) hand.fire()
    await lines.find((line) => line.includes('no answer to the connection attempt within 2000 ms'))
    hand.fire()
    await sockets.count(4)
  })

  test('nobody is dialled after the close, though a node may still come and say where it is', async () => {
    const node = await listen(2)
    const armed: number[] = []
    const setTimer = (delayMs: number): (() => void) => {
      armed.push(delayMs)
      return () => {}
    }
    const { peers } = dialler(identity(1, 9), { clock: Object.assign(new HandClock(), { setTimer }) })
    await peers.close()
    peers.setPeer(identity(2, node.port).info)
    expect(armed).toEqual([])
  })

  test('a new address replaces the old one', async () => {
    const old = await listen(2)
    const fresh = await listen(2)
    const { peers } = dialler(identity(1, 9))
    peers.setPeer(identity(2, old.port).info)
    await connected(old, peers)
    peers.setPeer(identity(2, fresh.port).info)
    await connected(fresh, peers)
    peers.send(TWO, [heartbeat(1)])
    await fresh.frames.find(withMessages)
    expect(old.frames.items.filter(withMessages)).toEqual([])
  })
})

describe('who does not belong is refused by name, on both sides, and logged once', () => {
  const other = 'f'.repeat(32) as ClusterId

  test('a peer of another cluster', async () => {
    const asked = new Mailbox<number>()
    const node: Node = await listen(2, 0, {
      identity: () => {
        asked.put(1)
        return identity(2, 9)
      },
    })
    const { peers, lines } = dialler(identity(1, 9, { cluster: other }))
    peers.setPeer(identity(2, node.port).info)
    const refused = `node 1 at 127.0.0.1:9 belongs to cluster ${other}, expected ${CLUSTER}`
    await asked.count(10)
    await lines.count(2)
    for (const channel of ['control', 'appends']) {
      const here = node.lines.items.filter((line) => line === `warn: session from 127.0.0.1:9 (${channel}): ${refused}`)
      expect(here).toHaveLength(1)
      const there = `warn: session to node 2 (${channel}): 127.0.0.1:${node.port}: ${refused}`
      expect(lines.items.filter((line) => line === there)).toHaveLength(1)
    }
    expect(peers.isConnected(TWO)).toBe(false)
    expect(node.frames.items).toEqual([])
    expect(node.seen.items).toEqual([])
  })

  test('a dialler that means another node', async () => {
    const node = await listen(3)
    const { peers, lines } = dialler(identity(1, 9))
    peers.setPeer(identity(2, node.port).info)
    await node.lines.find((line) => line.includes('node 1 at 127.0.0.1:9 means node 2, this is node 3'))
    await lines.find((line) => line.includes('means node 2, this is node 3'))
    expect(node.frames.items).toEqual([])
  })

  test('a node that claims the id of this one', async () => {
    const node = await listen(2)
    const { peers } = dialler({ ...identity(1, 9), info: identity(2, 9).info })
    peers.setPeer(identity(2, node.port).info)
    await node.lines.find((line) => line.includes("has this node's own id: two nodes with one identity"))
  })

  test('an answer of another node', async () => {
    const node = await listen(2)
    node.identity = { ...identity(2, node.port), info: identity(5, node.port).info }
    const { peers, lines } = dialler(identity(1, 9))
    peers.setPeer(identity(2, node.port).info)
    await lines.find((line) => line.includes('node 5') && line.includes('answered, expected node 2'))
    expect(peers.isConnected(TWO)).toBe(false)
  })

  test('anyone, by a node without a cluster', async () => {
    const node = await listen(2)
    node.identity = null
    const { peers, lines } = dialler(identity(1, 9))
    peers.setPeer(identity(2, node.port).info)
    await lines.find((line) => line.includes('this node belongs to no cluster yet'))
    node.identity = identity(2, node.port)
    await connected(node, peers)
  })

  test('random bytes and malformed frames', async () => {
    const node = await listen(2)
    for (const bytes of [Buffer.alloc(50_000, 9), Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense')]) {
      const socket = net.connect(node.port, '127.0.0.1')
      const closed = new Promise((resolve) => socket.once('close', resolve))
      socket.on('error', () => {}).resume()
      socket.end(bytes)
      await closed
    }
    const { peers } = dialler(identity(1, 9))
    peers.setPeer(identity(2, node.port).info)
    await connected(node, peers)
    peers.send(TWO, [{ ...append(3, 1), previousIndex: 7 } as PeerMessage])
    await node.lines.find((line) => line.includes('a frame is malformed: an append has entry 4, expected 8'))
    await node.seen.count(3)
  })
})

describe('calls between nodes that have no session yet', () => {
  test('identify, join and birth reach the node, errors name the address', async () => {
    const info = identity(1, 9).info
    const found = {
      token: 't',
      cluster: null,
      node: null,
      clientAddress: 'a:1',
      peerAddress: 'a:2',
      pid: 7,
      nodes: [info],
    }
    const joins: unknown[] = []
    const births: BirthDocument[] = []
    const answers: JoinAnswer[] = [{ kind: 'notInitialised' }, { kind: 'redirect', peerAddress: 'b:1' }]
    const node = await listen(2, 0, {
      identify: () => found,
      join: async (request) => {
        joins.push(request)
        const answer = answers.shift()
        if (answer === undefined) throw new Error('no more')
        return answer
      },
      birth: async (document) => void births.push(document),
    })
    const address = `127.0.0.1:${node.port}`
    expect(await callIdentify(address)).toEqual(found)
    const request = { token: 't', clientAddress: 'a:1', peerAddress: 'a:2', pid: 7 }
    expect(await callJoin(address, request)).toEqual({ kind: 'notInitialised' })
    expect(await callJoin(address, request)).toEqual({ kind: 'redirect', peerAddress: 'b:1' })
    await expect(callJoin(address, request)).rejects.toThrow(`${address}: no more`)
    expect(joins).toEqual([request, request, request])
    const range = {
      range: 1 as never,
      span: { start: '' as never, end: null },
      generation: 1 as never,
      epoch: 0,
      replicas: [],
      nextReplica: 1 as never,
    }
    const document = { cluster: CLUSTER, nodes: [info], ranges: [range], tokens: [{ node: info.node, token: 't' }] }
    await callBirth(address, document)
    expect(births).toEqual([document])
    await expect(callBirth(address, { ...document, ranges: [] })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(callIdentify('127.0.0.1:1')).rejects.toThrow('127.0.0.1:1: ')
  })

  test('end at their deadline', async () => {
    const node = await listen(2, 0, { join: () => new Promise(() => {}) })
    const request = { token: 't', clientAddress: 'a:1', peerAddress: 'a:2', pid: 7 }
    const call = callJoin(`127.0.0.1:${node.port}`, request, { deadlineMs: 50 })
    await expect(call).rejects.toMatchObject({ code: 'DEADLINE' })
  })
})

describe('the boots of a node', () => {
  test('are told when it opens a session, and nothing of it is taken before they are known', async () => {
    const claims: unknown[] = []
    let admit: () => void = () => {}
    const node = await listen(2, 0, {
      admit: (claim) => {
        claims.push({ node: claim.info.node, boot: claim.boot, history: claim.history })
        return new Promise((resolve) => {
          admit = resolve
        })
      },
    })
    const history = { boots: [3 as BootId, 1_000 as BootId], batches: [1, 40], rejoins: [8 as BootId] }
    const { peers } = dialler(identity(1, 9, { history }))
    peers.setPeer(identity(2, node.port).info)
    while (claims.length < 3) await new Promise((resolve) => setImmediate(resolve))
    expect(claims[0]).toEqual({ node: 1, boot: 1_000, history })
    expect([node.seen.items, node.frames.items, peers.isConnected(TWO)]).toEqual([[], [], false])
    // The last of the three was given; the others are still asked.
    admit()
    await node.seen.count(1)
    await node.frames.count(1)
  })

  test('each frame, and each heartbeat, says how far the log of its sender is synced when it leaves', async () => {
    const node = await listen(2)
    let batch = 41
    const { peers, clock } = dialler(identity(1, 9), { lastBatch: () => batch })
    peers.setPeer(identity(2, node.port).info)
    await connected(node, peers)
    peers.send(TWO, [heartbeat(1)])
    expect(await node.reached.count(1)).toEqual([[1, 1_000, 41]])
    batch = 42
    clock.fire()
    expect((await node.reached.count(4)).slice(1)).toEqual([1, 2, 3].map(() => [1, 1_000, 42]))
  })

  test('a later start of a node ends the sessions of the one before, whose frames count no more', async () => {
    const node = await listen(2)
    const [before, after] = [dialler(identity(1, 9)), dialler(identity(1, 9, later))]
    before.peers.setPeer(identity(2, node.port).info)
    await connected(node, before.peers)
    after.peers.setPeer(identity(2, node.port).info)
    await node.seen.count(6)
    await before.lines.find((line) => line.includes('the node was started again'))
    while (before.peers.figures().connections > 0) await new Promise((resolve) => setImmediate(resolve))
  })

  test('a node that is kept out is told, by name on both sides', async () => {
    const why = new HoldfastError('NOT_PERMITTED', 'node 1 was seen here before')
    const node = await listen(2, 0, { admit: () => Promise.reject(why) })
    const told = new Mailbox<HoldfastError>()
    const { peers, lines } = dialler(identity(1, 9), { onKeptOut: (error) => told.put(error) })
    peers.setPeer(identity(2, node.port).info)
    const [error] = await told.count(1)
    expect(error).toMatchObject({
      code: 'NOT_PERMITTED',
      message: `127.0.0.1:${node.port}: node 1 was seen here before`,
    })
    await lines.find((line) => line.includes('node 1 was seen here before'))
    await node.lines.find((line) => line.includes('node 1 was seen here before'))
    expect([node.seen.items, node.frames.items]).toEqual([[], []])
  })

  test('another refusal keeps nobody out', async () => {
    const busy = new HoldfastError('UNAVAILABLE', 'the disk is full')
    const node = await listen(2, 0, { admit: () => Promise.reject(busy) })
    const told: HoldfastError[] = []
    const { peers, lines } = dialler(identity(1, 9), { onKeptOut: (error) => told.push(error) })
    peers.setPeer(identity(2, node.port).info)
    await lines.find((line) => line.includes('the disk is full'))
    expect(told).toEqual([])
  })

  test('a history that does not end with the present boot is malformed', async () => {
    const node = await listen(2)
    const { peers, lines } = dialler(identity(1, 9, { history: { boots: [5 as BootId], batches: [1], rejoins: [] } }))
    peers.setPeer(identity(2, node.port).info)
    await lines.find((line) => line.includes("a node's history does not end with its boot"))
  })
})
