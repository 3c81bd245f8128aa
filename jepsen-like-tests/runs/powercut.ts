import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Holdfast } from '../../src/client/index.js'
import type { Scope } from '../command.js'
import { LoopDisk } from '../faults/loop-disk.js'
import { Callers, Ledger } from '../ledger.js'
import { eventually, type NodeProcess, ProcessCluster } from '../processes.js'
import { differingDigests, wholeAgain } from '../whole.js'

const NODES = 3
const CALLERS = 48
const COUNTERS = 4
const VALUE_BYTES = 8 * 1024
/** More than the write buffer of LevelDB, so that its memtable is switched in every cycle. */
const CYCLE_BYTES = 24 * 1024 * 1024
const STUCK_AFTER_MS = 60_000

/**
 * One cluster whose nodes have disks of their own, under a load of unique writes and conditional counters. A cut is kill -9, then
 * only what had reached the disk is there; after every one, what was acknowledged is compared.
 */
export class PowercutRun {
  readonly violations: string[] = []
  readonly #disks: readonly LoopDisk[]
  readonly #cluster: ProcessCluster
  readonly #db: Holdfast
  readonly #random: () => number
  readonly #ledger = new Ledger(VALUE_BYTES)
  readonly #callers = new Callers()
  #cycles = 0
  #cuts = 0
  #effective = 0
  #switched = 0
  #slowestReturnMs = 0

  private constructor(parts: {
    disks: readonly LoopDisk[]
    cluster: ProcessCluster
    db: Holdfast
    random: () => number
  }) {
    this.#disks = parts.disks
    this.#cluster = parts.cluster
    this.#db = parts.db
    this.#random = parts.random
  }

  static async begin(options: { scope: Scope; mebibytes: number; random: () => number }): Promise<PowercutRun> {
    const { scope, mebibytes, random } = options
    const directory = await mkdtemp(join(tmpdir(), 'holdfast-powercut-'))
    scope.defer(directory, () => rm(directory, { recursive: true }))
    const disks: LoopDisk[] = []
    const dataFolder = async (number: number): Promise<string> => {
      const disk = await LoopDisk.make({ directory, name: `disk-${number}`, mebibytes })
      scope.defer(disk.mountPoint, () => disk.remove())
      disks.push(disk)
      return join(disk.mountPoint, 'data')
    }
    const onMade = (made: ProcessCluster): void => scope.defer('processes', () => made.stop())
    const cluster = await ProcessCluster.start({ nodes: NODES, splitAt: ['m', 'w/4'], dataFolder, onMade })
    const db = await cluster.connect({ deadlineMs: 120_000 })
    return new PowercutRun({ disks, cluster, db, random })
  }

  /** Load, cut, return, compare. */
  async cycle(cycle: number, victims: number): Promise<void> {
    const prefix = `w/${cycle % 10}/${cycle}/`
    this.#load(prefix)
    const chosen = this.#choose(victims)
    const before = await Promise.all(chosen.map(({ node }) => newestStateLog(node)))
    await this.#written(CYCLE_BYTES)
    for (const { disk } of chosen) await disk.arm()
    await new Promise((resolve) => setTimeout(resolve, this.#random() * 300))
    await Promise.all(chosen.map(({ node }) => node.end('SIGKILL')))
    const after = await Promise.all(chosen.map(({ node }) => newestStateLog(node)))
    this.#switched += after.filter((number, at) => number > before[at]!).length
    const begin = performance.now()
    for (const { disk } of chosen) {
      this.#cuts++
      if (await disk.cutPower()) this.#effective++
    }
    for (const { node } of chosen) node.start()
    await wholeAgain(this.#cluster, this.#db, STUCK_AFTER_MS)
    this.#slowestReturnMs = Math.max(this.#slowestReturnMs, performance.now() - begin)
    await this.#callers.stop()
    this.#cycles++
    await this.#compare(prefix)
    if (this.violations.length > 0) throw new Error(`cycle ${cycle}: ${this.violations.join('\n')}`)
  }

  /** Everything once more, then the end of this cluster. */
  async finish(): Promise<void> {
    await this.#compare('w/')
    if (this.#effective < this.#cuts)
      this.violations.push(`only ${this.#effective} of ${this.#cuts} cuts lost anything`)
    await this.#db.close()
    await this.#cluster.stop()
    for (const disk of this.#disks) await disk.remove()
  }

  describe(): string {
    const { acknowledged, acknowledgedIncrements, unknowns, refused } = this.#ledger
    return (
      `${this.#cycles} cycles, ${this.#cuts} disks cut (${this.#effective} lost unsynced data, ${this.#switched} with a memtable ` +
      `switched since the last cut), ${acknowledged.size} writes and ${acknowledgedIncrements} increments acknowledged, ` +
      `${unknowns} unknown, ${refused} refused, 0 missing; slowest return of all nodes ${(this.#slowestReturnMs / 1_000).toFixed(1)} s`
    )
  }

  #load(prefix: string): void {
    this.#callers.start(CALLERS, (caller, n) =>
      caller < COUNTERS
        ? this.#ledger.increment(this.#db, `counter-${caller}`)
        : this.#ledger.write(this.#db, `${prefix}${caller}/${n}`),
    )
  }

  #choose(victims: number): { node: NodeProcess; disk: LoopDisk }[] {
    const all = this.#cluster.nodes.map((node, at) => ({ node, disk: this.#disks[at]!, order: this.#random() }))
    return all.sort((a, b) => a.order - b.order).slice(0, victims)
  }

  /** However slow the disks are, but never nothing for long. */
  async #written(bytes: number): Promise<void> {
    const until = this.#ledger.acknowledged.size + bytes / VALUE_BYTES
    for (let last = this.#ledger.acknowledged.size; last < until; last = this.#ledger.acknowledged.size) {
      const what = `one more of the writes that make ${bytes} bytes (${until - last} are missing)`
      await eventually(what, STUCK_AFTER_MS, async () => this.#ledger.acknowledged.size > last || null)
    }
  }

  async #compare(prefix: string): Promise<void> {
    this.violations.push(...(await this.#ledger.check(this.#db.scan({ prefix }), prefix)))
    this.violations.push(...(await this.#ledger.checkCounters(this.#db)))
    this.violations.push(...(await differingDigests(this.#db)))
  }
}

/** LevelDB begins a new log file with every memtable. */
async function newestStateLog(node: NodeProcess): Promise<number> {
  const names = await readdir(join(node.directory, 'state'))
  return Math.max(0, ...names.filter((name) => name.endsWith('.log')).map((name) => Number.parseInt(name, 10)))
}
