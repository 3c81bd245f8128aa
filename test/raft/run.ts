import { assert, assertNever } from '../../src/base/assert.js'
import { Checker } from './checker.js'
import { Cluster } from './cluster.js'
import { voters } from './configuration.js'
import { Leases } from './leases.js'
import { Membership } from './membership.js'
import { type Node, seededRandom } from './node.js'
import type { Action } from './schedule.js'

/** One schedule against one cluster, watched at every step; then everything heals, and it must go on. */
export class Run {
  readonly checker = new Checker()
  readonly cluster: Cluster
  readonly membership: Membership
  #contexts = 0

  /** `alike`: the clocks of all replicas tick together, so that leases can be watched. */
  constructor(options: { size: number; seed: number; alike: boolean }) {
    const { checker } = this
    const ids = Array.from({ length: options.size }, (_, n) => n + 1)
    const configuration = voters(...ids)
    this.cluster = new Cluster({ configuration, seed: options.seed, events: checker, fresh: true })
    this.membership = new Membership(this.cluster, checker)
    checker.cluster = this.cluster
    checker.leases = options.alike ? new Leases() : null
    for (const node of this.cluster.nodes.values()) checker.started(node)
  }

  act({ kind, choice }: Action): void {
    const { cluster, membership } = this
    const nodes = [...cluster.nodes.values()]
    const node = nodes[choice % nodes.length]!
    const which = choice % Math.max(cluster.wire.length, 1)
    switch (kind) {
      case 'tick':
        this.#tick(node)
        break
      case 'collect':
        if (node.raft !== null) cluster.collect(node)
        break
      case 'persist':
        if (node.raft !== null) cluster.persist(node)
        break
      case 'deliver':
        for (const message of cluster.wire.splice(which, 1)) cluster.deliver(message)
        break
      case 'duplicate':
        cluster.wire.push(...cluster.wire.slice(which, which + 1))
        break
      case 'lose':
        cluster.wire.splice(which, 1)
        break
      case 'propose':
        for (const leader of cluster.leaders) cluster.propose(leader, choice % 24)
        break
      case 'read':
        for (const leader of cluster.leaders) this.#read(leader.up)
        break
      case 'crash':
        node.crash(choice % 3)
        break
      case 'start':
        this.#start(node)
        break
      case 'checkpoint':
        if (node.raft !== null) node.checkpoint(choice % 4)
        break
      case 'unreachable':
        for (const leader of cluster.leaders) leader.up.unreachable(node.id)
        break
      case 'stream':
        this.#stream(choice)
        break
      case 'transfer':
        for (const leader of cluster.leaders) leader.up.transferLead(node.id)
        break
      case 'stepDown':
        node.raft?.stepDown()
        break
      case 'stateLost':
        membership.loseState(node)
        break
      case 'change':
        for (const leader of cluster.leaders) membership.change(leader, choice)
        break
      case 'wipe':
        membership.wipe(node)
        break
      case 'apart':
        this.#apart(choice)
        break
      case 'calm':
        this.#calm(choice % 4)
        break
      default:
        assertNever(kind)
    }
    for (const each of cluster.up) cluster.apply(each)
  }

  heal(): void {
    const { cluster, membership } = this
    cluster.wire = []
    for (const node of cluster.nodes.values()) this.#start(node)
    let term = 0
    for (let n = 0; n < 400; n += 1) {
      this.#calm(1)
      if (n < 250) for (const leader of cluster.leaders) membership.mend(leader)
      if (n === 300) for (const leader of cluster.leaders) cluster.propose(leader)
      if (n === 300) term = Math.max(...cluster.leaders.map(({ up }) => up.term))
    }
    const [leader, ...others] = cluster.leaders
    assert(leader !== undefined && others.length === 0, 'not one leader when all is well', cluster.leaders.length)
    const { lastIndex, configuration } = leader.up
    // Who is out or has no state disturbs nobody.
    assert(leader.up.term === term, 'an election when all is well', term, leader.up.term)
    assert(configuration.outgoing.length === 0, 'a joint change is not left', configuration)
    for (const id of configuration.voters) {
      assert(
        cluster.node(id).appliedIndex === lastIndex,
        'a voter is behind',
        id,
        cluster.node(id).appliedIndex,
        lastIndex,
      )
    }
    assert(
      this.checker.committed.some(({ kind }) => kind === 'commands'),
      'nothing was committed',
    )
  }

  #tick(node: Node): void {
    const { leases } = this.checker
    if (leases === null) node.raft?.tick()
    else {
      leases.now += 1
      this.cluster.tick()
    }
  }

  #calm(ticks: number): void {
    const { leases } = this.checker
    for (let n = 0; n < ticks; n += 1) {
      if (leases !== null) leases.now += 1
      this.cluster.tick()
    }
    this.cluster.round()
  }

  /**
   * A minority is cut off for some rounds, then another one, and so on: each side goes on with whom it has, so that logs part, who
   * was deposed is asked what it no longer knows, and meets the others when their leader is away. Some disks are slow meanwhile, so that
   * what is being written is replaced before it is durable.
   */
  #apart(choice: number): void {
    const { cluster, membership } = this
    const random = seededRandom(choice)
    const below = (limit: number) => Math.floor(random.next() * limit)
    const ids = [...cluster.nodes.keys()].filter((id) => !membership.isGone(id))
    for (let phase = 1 + below(4); phase > 0; phase -= 1) {
      const from = below(ids.length)
      const count = 1 + below((ids.length - 1) >> 1)
      cluster.apart = new Set(Array.from({ length: count }, (_, at) => ids[(from + at) % ids.length]!))
      const busy = random.next()
      if (random.next() < 0.4) cluster.slow = new Set([ids[below(ids.length)]!])
      // Where no leases are watched clocks need not go alike: one that stands still leaves a leader in place that others have deposed.
      const stands = this.checker.leases === null && random.next() < 0.5
      for (let ticks = below(16); ticks > 0; ticks -= 1) {
        for (const leader of cluster.leaders) {
          if (random.next() < busy) cluster.propose(leader)
          if (random.next() < 0.15) this.#read(leader.up)
        }
        if (!stands) this.#calm(1)
        else {
          for (const node of cluster.up) if (!cluster.apart.has(node.id)) node.up.tick()
          cluster.round()
        }
      }
    }
    cluster.apart = new Set()
    cluster.slow = new Set()
  }

  #read(raft: { readIndex(context: number): boolean }): void {
    this.#contexts += 1
    this.checker.readBegins(this.#contexts)
    raft.readIndex(this.#contexts)
  }

  /** A snapshot arrives, is lost, or arrives and comes again later. */
  #stream(choice: number): void {
    const { cluster } = this
    const [stream] = cluster.streams.splice(choice % Math.max(cluster.streams.length, 1), 1)
    if (stream === undefined) return
    cluster.finish(stream, choice % 4 === 0)
    if (choice % 5 === 0) cluster.streams.push(stream)
  }

  #start(node: Node): void {
    if (node.raft !== null || this.membership.isGone(node.id)) return
    node.start()
    this.checker.started(node)
  }
}
