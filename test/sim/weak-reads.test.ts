import { describe, expect, it } from 'vitest'
import type { NodeId, Version } from '../../src/base/ids.js'
import { limits } from '../../src/base/limits.js'
import type { GetRequest, WeakRead } from '../../src/kv/requests.js'
import { LEASE_MS } from '../../src/store/lease.js'
import { SimCluster } from '../../src/testing/cluster.js'
import { Client, DATA, get, put } from '../store/requests.js'

const NOBODY = 0 as Version
const ELECTION_MS = limits.electionTicksMax * limits.tickMs

class Scene {
  readonly cluster: SimCluster
  readonly db
  readonly #client = new Client()

  constructor(seed: number) {
    this.cluster = new SimCluster({ seed, freeze: true })
    this.db = this.cluster.client()
  }

  static async open(seed: number): Promise<Scene> {
    const scene = new Scene(seed)
    await scene.cluster.start()
    await scene.put('before')
    await scene.cluster.runFor(500)
    return scene
  }

  get leader(): NodeId {
    return this.cluster.leaderOf(DATA)!
  }

  get others(): readonly NodeId[] {
    return this.cluster.nodes.map(({ id }) => id).filter((id) => id !== this.leader)
  }

  put(value: string, db = this.db): Promise<{ version: number }> {
    return this.cluster.run(() => db.put('a', value, { codec: 'utf8' }))
  }

  /** Asks one node, as a client does that has seen `seen`. */
  ask(node: NodeId, weak: WeakRead | undefined, parts: { seen?: Version; deadlineMs?: number } = {}): GetRequest {
    const request: GetRequest = {
      ...get(['a'], { seen: parts.seen ?? NOBODY, deadlineMs: parts.deadlineMs ?? 300 }),
      weak,
    }
    this.cluster.node(node).store!.submit([request], this.#client)
    return request
  }

  async answer(request: GetRequest, withinMs = 1_000): Promise<string | null> {
    await this.cluster.runWhile(() => this.#client.said(request) === 'nothing', withinMs)
    const said = this.#client.said(request)
    return said === 'rows' ? this.#client.values(request)[0]! : said
  }

  read(node: NodeId, weak: WeakRead | undefined, parts: { seen?: Version } = {}): Promise<string | null> {
    return this.answer(this.ask(node, weak, parts))
  }

  /** Cuts a node off from the other nodes; clients still reach it. */
  isolate(node: NodeId): void {
    for (const { id } of this.cluster.nodes) if (id !== node) this.part(node, id)
  }

  part(one: NodeId, other: NodeId): void {
    const [a, b] = [this.cluster.node(one).place, this.cluster.node(other).place]
    this.cluster.network.block(a, b)
    this.cluster.network.block(b, a)
  }

  /** Puts through a node that is about to lead, and waits for its word. */
  async putAt(node: NodeId, value: string): Promise<void> {
    const { raft } = this.cluster.node(node).store!.replica(DATA)!
    await this.cluster.runWhile(() => !raft.isReadyToServe(), ELECTION_MS)
    const request = put('a', value)
    this.cluster.node(node).store!.submit([request], this.#client)
    await this.cluster.runWhile(() => this.#client.said(request) === 'nothing', 1_000)
    expect(this.#client.said(request)).toBe('written')
  }

  /** Puts through whom the rest elected, once they did. */
  async putElsewhere(value: string, old: NodeId): Promise<void> {
    await this.cluster.runWhile(() => this.cluster.leaderOf(DATA) === old, 10 * ELECTION_MS)
    expect(this.leader).not.toBe(old)
    await this.put(value)
  }
}

const LEASE: WeakRead = { kind: 'leaderLease' }
const FOLLOWER: WeakRead = { kind: 'follower' }
const stale = (maxStaleMs: number): WeakRead => ({ kind: 'stale', maxStaleMs })

describe('a read under the leader lease', () => {
  it('needs no round: a leader that is cut off answers it at once, and nothing linearizable', async () => {
    const scene = await Scene.open(1)
    const { leader } = scene
    scene.isolate(leader)
    const strong = scene.ask(leader, undefined, { deadlineMs: 5_000 })
    expect(await scene.read(leader, LEASE)).toBe('before')
    expect(await scene.answer(strong, 100)).toBe('nothing')
  })

  it('is not answered from a lease that has run out: what a new leader acknowledged is not missed', async () => {
    const scene = await Scene.open(2)
    const old = scene.leader
    scene.isolate(old)
    await scene.putElsewhere('after', old)
    expect(await scene.read(old, LEASE)).not.toBe('before')
  })

  it.each([
    { how: 'stopped', suspended: false },
    { how: 'suspended, its monotonic clock with it', suspended: true },
  ])('is not answered by a leader that was $how while another was elected', async ({ suspended }) => {
    const scene = await Scene.open(3)
    const old = scene.leader
    // Not even a frame of the new leader's tells it: its first turn must find out by itself.
    scene.isolate(old)
    scene.cluster.pause(old, { suspended })
    await scene.putElsewhere('after', old)
    const asked = scene.ask(old, LEASE)
    scene.cluster.resume(old)
    expect(await scene.answer(asked)).not.toBe('before')
  })

  it('counts from when a round left: answers that came while the leader was stopped extend nothing', async () => {
    const scene = await Scene.open(16)
    const { leader: old, cluster } = scene
    const { raft } = cluster.node(old).store!.replica(DATA)!
    expect(await cluster.runWhile(() => raft.readRounds.last === raft.readRounds.confirmed, 1_000)).toBe(true)
    cluster.pause(old)
    // Time for the answers, and for nothing that comes later.
    await cluster.runFor(10)
    scene.isolate(old)
    await scene.putElsewhere('after', old)
    cluster.resume(old)
    await cluster.runFor(2)
    expect(await scene.read(old, LEASE)).not.toBe('before')
  })

  it('is not answered by one that has just handed the lead on', async () => {
    const scene = await Scene.open(17)
    const { leader: old, cluster } = scene
    const { raft, descriptor } = cluster.node(old).store!.replica(DATA)!
    const { replica, node: next } = descriptor.replicas.find(({ node }) => node !== old)!
    expect(raft.transferLead(replica)).toBe(true)
    // The old leader says so to the next one, and hears nothing any more.
    await cluster.runWhile(() => cluster.node(next).store!.replica(DATA)!.raft.role === 'follower', 1_000)
    scene.isolate(old)
    await scene.putAt(next, 'after')
    expect(await scene.read(old, LEASE)).not.toBe('before')
  })

  it('lasts no longer for a voter that started again: it may have confirmed it, and votes for nobody yet', async () => {
    const scene = await Scene.open(18)
    const { leader: old, cluster } = scene
    const [voter, rival] = scene.others as [NodeId, NodeId]
    // The rival hears no leader and asks again and again; the voter alone confirms the lease.
    scene.part(old, rival)
    await cluster.runFor(2 * ELECTION_MS)
    expect(scene.leader).toBe(old)
    cluster.crash(voter)
    cluster.restart(voter)
    scene.part(old, voter)
    const isElected = () => cluster.node(rival).store!.replica(DATA)!.leads
    await cluster.runWhile(() => !isElected(), LEASE_MS)
    if (isElected()) await scene.putAt(rival, 'after')
    expect(await scene.read(old, LEASE)).not.toBe(isElected() ? 'before' : 'after')
  })

  it('goes by a round where the lease is doubted: after a jump of its own clock it is right all the same', async () => {
    const scene = await Scene.open(4)
    const { leader } = scene
    scene.cluster.node(leader).jumpClock(3_600_000)
    expect(await scene.read(leader, LEASE)).toBe('before')
    scene.cluster.node(leader).jumpClock(-7_200_000)
    expect(await scene.read(leader, LEASE)).toBe('before')
  })

  it('is refused by who does not lead', async () => {
    const scene = await Scene.open(5)
    expect(await scene.read(scene.others[0]!, LEASE)).toBe('NOT_LEADER')
  })
})

describe('a follower read', () => {
  it('is answered by any replica with what the client has seen, also where nothing is written any more', async () => {
    const scene = await Scene.open(6)
    const { version } = await scene.put('mine')
    for (const { id } of scene.cluster.nodes) {
      expect(await scene.read(id, FOLLOWER, { seen: version as Version })).toBe('mine')
    }
    // Seen elsewhere, above everything in this range: an empty entry closes it.
    const above = (version + 10_000) as Version
    for (const { id } of scene.cluster.nodes) expect(await scene.read(id, FOLLOWER, { seen: above })).toBe('mine')
  })

  it('is weaker than a linearizable one: it misses what others wrote since', async () => {
    const scene = await Scene.open(7)
    const behind = scene.others[0]!
    scene.isolate(behind)
    await scene.put('news')
    expect(await scene.read(behind, FOLLOWER)).toBe('before')
  })

  it('is not answered with less than the client has seen, though it must wait for ever', async () => {
    const scene = await Scene.open(8)
    const behind = scene.others[0]!
    scene.isolate(behind)
    const { version } = await scene.put('news')
    expect(await scene.read(behind, FOLLOWER, { seen: version as Version })).toBe('DEADLINE')
  })

  it('through the SDK sees what the same client wrote, whichever replica answers', async () => {
    const scene = await Scene.open(9)
    for (let at = 0; at < 20; at += 1) {
      await scene.put(`value ${at}`)
      expect(await scene.cluster.run(() => scene.db.get('a', { consistency: 'follower' }))).toBe(`value ${at}`)
    }
  })

  it('goes on while no leader is to be had', async () => {
    const scene = await Scene.open(10)
    const [left] = scene.others
    for (const { id } of scene.cluster.nodes) if (id !== left) scene.cluster.crash(id)
    expect(await scene.read(left!, FOLLOWER)).toBe('before')
  })
})

describe('a stale read', () => {
  it('is answered within its bound by a replica that is cut off, and no longer', async () => {
    const scene = await Scene.open(11)
    const behind = scene.others[0]!
    scene.isolate(behind)
    await scene.put('news')
    expect(await scene.read(behind, stale(60_000))).toBe('before')
    await scene.cluster.runFor(2_000)
    expect(await scene.read(behind, stale(1_000))).toBe('DEADLINE')
  })

  it('is fresh enough where nothing was written for long: the leader closes the time that passed', async () => {
    const scene = await Scene.open(12)
    await scene.cluster.runFor(30_000)
    for (const { id } of scene.cluster.nodes) expect(await scene.read(id, stale(1_000))).toBe('before')
  })

  it.each([
    { how: 'stopped', suspended: false, said: 'DEADLINE' },
    { how: 'suspended, its monotonic clock with it', suspended: true, said: 'UNAVAILABLE' },
  ])('keeps its bound on a replica that was $how', async ({ suspended, said }) => {
    const scene = await Scene.open(13)
    const behind = scene.others[0]!
    scene.isolate(behind)
    scene.cluster.pause(behind, { suspended })
    await scene.put('news')
    await scene.cluster.runFor(5_000)
    const asked = scene.ask(behind, stale(1_000))
    scene.cluster.resume(behind)
    expect(await scene.answer(asked)).toBe(said)
  })

  it.each([-3_600_000, 3_600_000])('keeps its bound where the clock of its node jumps by %i ms', async (jumpMs) => {
    const scene = await Scene.open(14)
    const behind = scene.others[0]!
    scene.isolate(behind)
    await scene.put('news')
    await scene.cluster.runFor(5_000)
    scene.cluster.node(behind).jumpClock(jumpMs)
    expect(await scene.read(behind, stale(1_000))).not.toBe('before')
  })

  it('is weaker than what the client has seen', async () => {
    const scene = await Scene.open(15)
    const behind = scene.others[0]!
    scene.isolate(behind)
    const { version } = await scene.put('news')
    expect(await scene.read(behind, stale(60_000), { seen: version as Version })).toBe('before')
  })
})

describe('a clock that is set back', () => {
  it('does not make an old picture fresh, though another node is heard', async () => {
    const scene = await Scene.open(13)
    const { cluster, leader } = scene
    const [behind] = scene.others as [NodeId]
    const [one, other] = [cluster.node(behind).place, cluster.node(leader).place]
    cluster.network.block(one, other)
    cluster.network.block(other, one)
    await scene.put('news')
    await cluster.runFor(5_000)
    cluster.node(behind).jumpClock(-3_600_000)
    await cluster.runFor(500)
    expect(await scene.read(behind, { kind: 'stale', maxStaleMs: 1_000 })).toBe('DEADLINE')
  })
})

describe('versions that were given while the clocks were ahead', () => {
  it('are taken from clients after the clocks are set right and all nodes started again', async () => {
    const scene = await Scene.open(7)
    const { cluster } = scene
    const startAll = async (): Promise<void> => {
      for (const { id } of cluster.nodes) cluster.crash(id)
      for (const { id } of cluster.nodes) cluster.restart(id)
    }
    const jump = (ms: number): void => {
      for (const node of cluster.nodes) node.jumpClock(ms)
    }
    await startAll()
    jump(3_600_000)
    await cluster.runFor(5_000)
    const ahead = await scene.put('ahead')
    jump(-3_600_000)
    await startAll()
    await cluster.runFor(5_000)
    const db = cluster.client()
    const [first, second] = [await scene.put('right again', db), await scene.put('and on', db)]
    expect(first.version).toBeGreaterThan(ahead.version)
    expect(second.version).toBeGreaterThan(first.version)
  })
})
