import { assertNever } from '../../base/assert.js'
import type { DiskCopy, SimDisk } from '../disk.js'
import type { Deed, Fault, Harm, Target } from '../fault-plan.js'
import type { SimNode } from '../node.js'
import { holdsEntries, rotEntry, rotLog } from '../rot.js'
import type { FaultTools, Undo } from './tools.js'

export type DiskFault = Fault & { kind: 'harm' | 'full' | 'hang' | 'fsync' | 'torn tail' | 'logs swapped' }

/** What was harmed has made up for it when all replicas are whole at two looks in a row, this far apart. */
const WHOLE_EVERY_MS = 200
/** Until a node is looked at again that has nothing to be harmed, and until one is struck again that turned out to have lost it in its crash. */
const LOOK_AGAIN_MS = 20
const AGAIN_MS = 1_000
/** Until somebody makes a node rejoin that was kept out. */
const REJOIN_MS_MAX = 1_000

/** Does to the nodes' disks what a plan says. */
export class DiskFaults {
  readonly #tools: FaultTools
  /** Nodes that may have forgotten something for which nobody has made up yet. */
  readonly #harmed = new Set<number>()
  /** Nodes that run on an old copy of their disk, were kept out with it, or wait for it. */
  readonly #old = new Set<number>()
  /** Of these, those that run on their own disk still. */
  readonly #waitForOld = new Set<number>()
  /**
   * Nodes that came back without their replicas, which some other may not have heard of yet. None rejoins a second time so: what it said
   * before that, held up on its way to the other, would be taken for newer than all that it says now.
   */
  readonly #unheard = new Set<number>()
  /** Nodes with the log of another. */
  readonly #swapped = new Set<number>()
  readonly #notBeforeMs = new Map<number, number>()

  constructor(tools: FaultTools) {
    this.#tools = tools
    tools.cluster.onKeptOut = (node, why) => this.#keptOut(node, why)
  }

  do(fault: DiskFault): Undo {
    switch (fault.kind) {
      case 'harm':
        return this.#harm(fault)
      case 'full':
        return this.#onServing(fault.target, ({ disk }) => fill(disk))
      case 'hang':
        return this.#onServing(fault.target, ({ disk }) => hang(disk))
      case 'fsync':
        return this.#onServing(fault.target, (node) => this.#failSyncs(node))
      case 'torn tail':
        return this.#tear(fault.target)
      case 'logs swapped':
        return this.#swapLogs(fault.target)
      default:
        return assertNever(fault)
    }
  }

  heal(): void {
    for (const { id, disk } of this.#tools.cluster.nodes) {
      disk.heal()
      if (this.#waitForOld.has(id)) this.#old.delete(id)
      if (this.#old.has(id)) this.#rejoin(id)
    }
    this.#waitForOld.clear()
  }

  #one(target: Target): number {
    return this.#tools.resolve([target])[0]!
  }

  #onServing(target: Target, act: (node: SimNode) => Undo): Undo {
    const node = this.#tools.cluster.node(this.#one(target))
    return node.serves && !node.isPaused ? act(node) : null
  }

  /** The process ends itself at the next sync, and starts again over what the system believes to be on the disk. */
  #failSyncs({ id, disk }: SimNode): Undo {
    disk.failSyncs()
    return () => {
      disk.heal()
      this.#tools.restart(id)
    }
  }

  /** Power goes while the log is written: of what was under way the first part is kept. */
  #tear(target: Target): Undo {
    const { cluster } = this.#tools
    const id = this.#one(target)
    const { disk, isUp } = cluster.node(id)
    if (!isUp || !disk.files.isWriting) return null
    disk.tearsNext = true
    cluster.crash(id)
    return () => this.#tools.restart(id)
  }

  /** Between two nodes: each must refuse to start on the other's, until each has its own again. */
  #swapLogs(target: Target): Undo {
    const { cluster, restart } = this.#tools
    const pair = this.#toSwap(this.#one(target))
    if (pair === null || this.#swapped.size > 0) return null
    const swap = (): void => {
      for (const node of pair) cluster.crash(node.id)
      pair[0].disk.swapLogs(pair[1].disk)
    }
    swap()
    for (const node of pair) {
      this.#swapped.add(node.id)
      restart(node.id)
    }
    return () => {
      for (const node of pair) if (node.serves) cluster.report(`${node.place} serves on the log of another node`)
      swap()
      this.#swapped.clear()
      for (const node of pair) restart(node.id)
    }
  }

  /** The node and the one after it, or the next two that serve. */
  #toSwap(id: number): readonly [SimNode, SimNode] | null {
    const { nodes } = this.#tools.cluster
    const serves = (node: SimNode) => node.serves && !this.#old.has(node.id)
    for (let at = id - 1; at < id - 1 + nodes.length; at++) {
      const pair = [nodes[at % nodes.length]!, nodes[(at + 1) % nodes.length]!] as const
      if (pair.every(serves)) return pair
    }
    return null
  }

  /** At most a minority of a range's voters may have forgotten: if it is as many already, one of them is struck again. */
  #harm({ harm, target }: Deed & { kind: 'harm' }): Undo {
    const { cluster } = this.#tools
    const id = harm === 'snapshot rotten' ? this.#takesSnapshot() : this.#toHarm(target)
    if (id === null || !cluster.node(id).isUp || this.#old.has(id) || this.#swapped.size > 0) return null
    if (cluster.nowMs < (this.#notBeforeMs.get(id) ?? 0)) return null
    if (!hasToHarm(harm, cluster.node(id).disk)) {
      this.#notBeforeMs.set(id, cluster.nowMs + LOOK_AGAIN_MS)
      return null
    }
    const undo = this.#harmDisk(harm, id)
    cluster.trace.event(cluster.nowMs, 'plan', harm, id, undo !== null)
    if (undo === null) return null
    if (this.#harmed.size === 0) cluster.scheduler.schedule(WHOLE_EVERY_MS, () => this.#awaitWhole(false))
    this.#harmed.add(id)
    return undo
  }

  get #mayHarmMore(): boolean {
    return this.#harmed.size < (this.#tools.cluster.nodes.length - 1) >> 1
  }

  /** A node that is just starting is taken before any other. */
  #toHarm(target: Target): number {
    const { nodes } = this.#tools.cluster
    if (!this.#mayHarmMore) return this.#tools.random.pick([...this.#harmed])
    return nodes.find((node) => node.isUp && !node.serves)?.id ?? this.#one(target)
  }

  /** The node that takes a snapshot in and may be harmed, one of those that have forgotten before any other. */
  #takesSnapshot(): number | null {
    const taking = this.#tools.cluster.nodes.filter(({ store }) => (store?.snapshots.in ?? 0) > 0)
    const again = taking.find(({ id }) => this.#harmed.has(id))
    return (again ?? (this.#mayHarmMore ? taking[0] : undefined))?.id ?? null
  }

  /** Two looks: a node whose harm nobody has noticed yet has not been replaced either. */
  #awaitWhole(wasWhole: boolean): void {
    const { cluster } = this.#tools
    for (const id of this.#unheard) if (cluster.node(id).isLetInByAll) this.#unheard.delete(id)
    const isWhole = cluster.lack === null && this.#old.size === 0 && this.#unheard.size === 0
    if (isWhole && wasWhole) return this.#harmed.clear()
    cluster.scheduler.schedule(WHOLE_EVERY_MS, () => this.#awaitWhole(isWhole))
  }

  #harmDisk(harm: Harm, id: number): Undo {
    const { cluster, random } = this.#tools
    const node = cluster.node(id)
    switch (harm) {
      case 'wiped':
        if (this.#unheard.has(id)) return null
        return this.#whileDown(id, () => {
          this.#unheard.add(id)
          cluster.wipe(id)
          return true
        })
      case 'state lost':
        return this.#whileDown(id, () => {
          node.loseState()
          return true
        })
      case 'entry rotten':
        return this.#whileDown(id, ({ files }) => rotEntry(files, random))
      case 'log rotten':
        return this.#whileDown(id, ({ files }) => rotLog(files, random))
      case 'record rotten':
        return this.#whileDown(id, ({ db }) => db.rot(random))
      case 'record hidden':
        return this.#whileDown(id, ({ db }) => db.hide(random))
      case 'snapshot rotten':
        return node.store !== null && rotStaged(node, (storages) => node.disk.db.rot(random, storages))
          ? () => {}
          : null
      case 'rolled back':
        return this.#rollBack(id)
      default:
        return assertNever(harm)
    }
  }

  /** A node that had nothing to be harmed is back at once, and is left alone for a while. */
  #whileDown(id: number, act: (disk: SimDisk) => boolean): Undo {
    const { cluster, restart } = this.#tools
    cluster.crash(id)
    if (act(cluster.node(id).disk)) return () => restart(id)
    restart(id)
    this.#notBeforeMs.set(id, cluster.nowMs + AGAIN_MS)
    return null
  }

  /** A copy is made of its disk, between two starts or while it runs, it goes on, and later the copy is put in its disk's place. */
  #rollBack(id: number): Undo {
    const { cluster, restart, random } = this.#tools
    const node = cluster.node(id)
    const { lastBatch } = node
    const runs = lastBatch !== null && random.next() < 1 / 2
    if (!runs) cluster.crash(id)
    const copy = node.disk.copy()
    if (!runs) restart(id)
    this.#old.add(id)
    this.#waitForOld.add(id)
    const boots = bootsIn(copy)
    return () => this.#putBack(id, copy, ({ disk }) => hasSeenBehind(disk, id, { boots, lastBatch }))
  }

  /**
   * Not before all others have seen, durably, a start or a batch that the copy lacks. Of those that have not, one could be left alone
   * with it while those that have are down, and could not know: that is more than is promised (decision 0009, drawback).
   */
  #putBack(id: number, copy: DiskCopy, knowsBetter: (other: SimNode) => boolean): void {
    const { cluster, restart } = this.#tools
    if (!this.#waitForOld.has(id)) return
    const others = cluster.nodes.filter((node) => node.id !== id)
    if (!cluster.node(id).isLetInByAll || !others.every(knowsBetter)) {
      cluster.scheduler.schedule(LOOK_AGAIN_MS, () => this.#putBack(id, copy, knowsBetter))
      return
    }
    this.#waitForOld.delete(id)
    cluster.rollBack(id, copy)
    restart(id)
  }

  #keptOut(node: SimNode, why: string): void {
    const { cluster, random } = this.#tools
    if (this.#swapped.has(node.id)) return
    if (!this.#old.has(node.id) || this.#waitForOld.has(node.id))
      return cluster.report(`${node.place} was kept out: ${why}`)
    cluster.scheduler.schedule(random.between(0, REJOIN_MS_MAX), () => this.#rejoin(node.id))
  }

  #rejoin(id: number): void {
    const { cluster } = this.#tools
    if (!this.#old.has(id) || cluster.node(id).isUp) return
    this.#old.delete(id)
    this.#unheard.add(id)
    void cluster.rejoin(id)
  }
}

/** One that has just got another disk may hold nothing yet. */
function hasToHarm(harm: Harm, { files, db }: SimDisk): boolean {
  if (harm === 'entry rotten') return holdsEntries(files)
  return (harm !== 'record rotten' && harm !== 'record hidden') || db.storageIds().length > 0
}

/** Of what a node takes in: the newest storage id that holds records and belongs to no replica. */
function rotStaged({ store, disk }: SimNode, rot: (storage: number) => boolean): boolean {
  if (store!.snapshots.in === 0) return false
  const owned = new Set(
    [...store!.replicas].flatMap(({ storages }) => storages.map(({ storage }) => storage as number)),
  )
  const staged = disk.db.storageIds().findLast((id) => !owned.has(id))
  return staged !== undefined && rot(staged)
}

function bootsIn({ files }: DiskCopy): number[] {
  const { boots } = readJson<{ boots: { id: number }[] }>(files.durable('node.json'), { boots: [] })
  return boots.map((boot) => boot.id)
}

/** Whether another node's disk has it that node `id` started again since the copy was made, or that its log went on. */
function hasSeenBehind(
  { files }: SimDisk,
  id: number,
  copy: { boots: readonly number[]; lastBatch: number | null },
): boolean {
  type Seen = { node: number; boot: number; batch: number }
  const { peers } = readJson<{ peers: Seen[] }>(files.durable('peers.json'), { peers: [] })
  const seen = peers.find(({ node }) => node === id)
  if (seen === undefined) return false
  if (!copy.boots.includes(seen.boot)) return true
  // The copy of a running disk may hold one more, which was not synced; the start over it takes another.
  return copy.lastBatch !== null && seen.boot === copy.boots.at(-1) && seen.batch >= copy.lastBatch + 2
}

function readJson<T>(bytes: Uint8Array | null, none: T): T {
  return bytes === null ? none : (JSON.parse(Buffer.from(bytes).toString('utf8')) as T)
}

function fill(disk: SimDisk): Undo {
  disk.isFull = true
  return () => {
    disk.isFull = false
  }
}

function hang(disk: SimDisk): Undo {
  disk.hang()
  return () => disk.release()
}
