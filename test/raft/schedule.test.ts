import fc from 'fast-check'
import { expect, test } from 'vitest'
import { assertNever } from '../../src/base/assert.js'
import { Checker } from './checker.js'
import { Cluster } from './cluster.js'
import { voters } from './node.js'
import { type Action, actionKinds, actions } from './schedule.js'

/** One schedule against one cluster, watched at every step; then everything heals, and it must go on. */
class Run {
  readonly checker = new Checker()
  readonly cluster: Cluster
  #contexts = 0

  constructor(size: number, seed: number) {
    const ids = Array.from({ length: size }, (_, n) => n + 1)
    this.cluster = new Cluster({ configuration: voters(...ids), seed, events: this.checker })
    this.checker.cluster = this.cluster
    for (const node of this.cluster.nodes.values()) this.checker.started(node)
  }

  act({ kind, choice }: Action): void {
    const { cluster } = this
    const nodes = [...cluster.nodes.values()]
    const node = nodes[choice % nodes.length]!
    const which = choice % Math.max(cluster.wire.length, 1)
    switch (kind) {
      case 'tick':
        node.raft?.tick()
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
        this.#crash(node, choice)
        break
      case 'start':
        this.#start(node)
        break
      case 'checkpoint':
        if (node.raft !== null) this.#checkpoint(node)
        break
      case 'unreachable':
        for (const leader of cluster.leaders) leader.up.unreachable(node.id)
        break
      case 'calm':
        cluster.tick(choice % 4)
        cluster.round()
        break
      default:
        assertNever(kind)
    }
    for (const each of cluster.up) cluster.apply(each)
  }

  heal(): void {
    const { cluster } = this
    cluster.wire = []
    for (const node of cluster.nodes.values()) this.#start(node)
    for (let n = 0; n < 300; n += 1) {
      this.act({ kind: 'calm', choice: 1 })
      if (n === 200) for (const leader of cluster.leaders) cluster.propose(leader)
    }
    expect(cluster.leaders).toHaveLength(1)
    const { lastIndex } = cluster.leaders[0]!.up
    for (const node of cluster.nodes.values()) expect(node.appliedIndex).toBe(lastIndex)
    expect(this.checker.committed.some(({ kind }) => kind === 'commands')).toBe(true)
  }

  #read(raft: { readIndex(context: number): boolean }): void {
    this.#contexts += 1
    this.checker.readBegins(this.#contexts)
    raft.readIndex(this.#contexts)
  }

  /** What was in flight is lost, but for some of the oldest writes. */
  #crash(node: Cluster['up'][number], choice: number): void {
    for (const ready of node.inFlight.slice(0, choice % 3)) node.disk.write(ready)
    node.crash()
  }

  #start(node: Cluster['up'][number]): void {
    if (node.raft !== null) return
    node.start()
    this.checker.started(node)
  }

  #checkpoint(node: Cluster['up'][number]): void {
    const persisted = node.up.status().persisted
    const { disk } = node
    if (Math.min(node.appliedIndex, persisted) > disk.checkpoint) {
      disk.checkpoint = Math.min(node.appliedIndex, persisted) as typeof disk.checkpoint
    }
    disk.truncateTo(Math.min(disk.checkpoint, node.up.allPersisted) as typeof disk.checkpoint)
  }
}

function runAll(size: number, numRuns: number, seed: number): { reads: number; committed: number } {
  const totals = { reads: 0, committed: 0 }
  fc.assert(
    fc.property(fc.nat(), actions, (timing, schedule) => {
      const run = new Run(size, timing)
      for (const action of schedule) run.act(action)
      run.heal()
      totals.reads += run.checker.readsConfirmed
      totals.committed += run.checker.committed.length
    }),
    { seed, numRuns },
  )
  return totals
}

test('three replicas keep the safety properties under any schedule, and go on when it heals', () => {
  const { reads, committed } = runAll(3, 800, 20_140_801)
  expect(reads).toBeGreaterThan(500)
  expect(committed).toBeGreaterThan(5_000)
})

test('five replicas keep the safety properties under any schedule, and go on when it heals', () => {
  const { reads, committed } = runAll(5, 400, 20_140_802)
  expect(reads).toBeGreaterThan(100)
  expect(committed).toBeGreaterThan(2_000)
})

test('a single replica keeps the safety properties under any schedule, and goes on when it heals', () => {
  const { reads, committed } = runAll(1, 200, 20_140_803)
  expect(reads).toBeGreaterThan(100)
  expect(committed).toBeGreaterThan(1_000)
})

test('every kind of action occurs in schedules', () => {
  const seen = new Set(fc.sample(actions, { seed: 1, numRuns: 20 }).flatMap((schedule) => schedule.map((a) => a.kind)))
  expect([...seen].sort()).toEqual([...actionKinds].sort())
})
