import { existsSync } from 'node:fs'
import { copyFile, mkdtemp, readdir, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { Holdfast } from '../../src/client/index.js'
import { messageOf, type Scope } from '../command.js'
import { ASIDE, filesOf, largestOfKind, type NodeFile, rot, rotWhere } from '../faults/bit-rot.js'
import { Callers, Ledger, valueFor } from '../ledger.js'
import { OwnReplicas } from '../own-replicas.js'
import { eventually, type NodeProcess, ProcessCluster } from '../processes.js'
import { wholeAgain } from '../whole.js'
import { bringBack, type Comeback } from './comeback.js'
import { casesOf, DAMAGE_RECORD, ROUNDS, type RotCase, type RoundDamage, type Stop } from './rot-cases.js'
import { checkAnswers, checkEveryWay, checkOwn, type EveryWay } from './rot-check.js'

const WRITERS = 64
const READERS = 4
const VALUE_BYTES = 256
const STUCK_AFTER_MS = 60_000
/** Written before and while the node is down, so that its log has a tail and it has something to catch up with. */
const FRESH_WRITES = 200
const RANGES = ['a', 'b', 'c', 'd']
const RUNNING = 'state table, while running'
const TOUCHED = 32
const RECORD_ATTEMPTS = 5
const DIES_WITHIN_MS = 10_000

export interface RotResult {
  readonly kind: string
  /** What was damaged, and how. */
  readonly what: string
  readonly comebacks: readonly Comeback[]
  readonly violations: readonly string[]
}

/** One cluster of three with four data ranges, whose nodes' files are damaged. Not to be used again after violations. */
export class RotRun {
  readonly #cluster: ProcessCluster
  readonly #db: Holdfast
  readonly #ledger = new Ledger(VALUE_BYTES)
  readonly #readers = new Callers()
  #wrongReads: string[] = []
  #written = 0
  /** Single reads, compared while a node was down or coming back. */
  reads = 0

  private constructor(cluster: ProcessCluster, db: Holdfast) {
    this.#cluster = cluster
    this.#db = db
  }

  static async begin(options: { scope: Scope; keys: number }): Promise<RotRun> {
    const onMade = (made: ProcessCluster): void => options.scope.defer('processes', () => made.stop())
    const splitAt = RANGES.slice(1).map((name) => `w/${name}`)
    const cluster = await ProcessCluster.start({ splitAt, onMade })
    const run = new RotRun(cluster, await cluster.connect())
    await run.#write(options.keys)
    // LevelDB makes a table of what it finds in its log when it is opened.
    for (const node of cluster.nodes) await run.#restart(node)
    return run
  }

  /** What there is to damage on a node of this cluster. */
  async cases(at: number): Promise<RotCase[]> {
    const node = this.#cluster.nodes[at]!
    const leftBy = async (stop: Stop): Promise<NodeFile[]> => {
      await node.end(stop)
      const files = await filesOf(node.directory)
      node.start()
      await wholeAgain(this.#cluster, this.#db, STUCK_AFTER_MS)
      return files
    }
    return casesOf({ SIGTERM: await leftBy('SIGTERM'), SIGKILL: await leftBy('SIGKILL') })
  }

  /** Damages a file of that kind, starts the node, and compares every answer. */
  async damageOne(at: number, { kind, place, stop }: RotCase): Promise<RotResult> {
    const node = this.#cluster.nodes[at]!
    await this.#write(FRESH_WRITES)
    if (kind === DAMAGE_RECORD) await this.#recordDamage(node)
    const file = await this.#stopped(node, stop, kind)
    const what = `${kind}, ${place}, after ${stop}: ${await rot(node.directory, file, place)}`
    return this.#comeBack({ kind, what, damaged: [node] })
  }

  /**
   * Cuts a table that the running process has mapped into memory, and has it read: what is behind the cut is SIGBUS, which no program
   * survives. The next start has to say so.
   */
  async cutRunning(at: number): Promise<RotResult> {
    const node = this.#cluster.nodes[at]!
    await this.#stopped(node, 'SIGTERM', 'state table')
    node.start()
    await wholeAgain(this.#cluster, this.#db, STUCK_AFTER_MS)
    const path = await eventually('a table that stays to be cut', STUCK_AFTER_MS, () => this.#cutTable(node))
    return this.#rotRunning(node, `cut under the running process: ${path}`)
  }

  /** Flips a bit of a value in a table of the running process. */
  async flipRunning(at: number): Promise<RotResult> {
    const node = this.#cluster.nodes[at]!
    const key = await this.#writeKey('w/a/running')
    await wholeAgain(this.#cluster, this.#db, STUCK_AFTER_MS)
    await this.#restart(node)
    const how = await rotWhere(node.directory, 'state table', randomPartOf(key))
    if (how === null) throw new Error(`no state table holds ${key}`)
    return this.#rotRunning(node, `a value flipped under the running process: ${how}`)
  }

  /** Damages a file of another kind on each node; of every range two replicas stay whole. */
  async damageRound(round: number): Promise<RotResult> {
    const damages = ROUNDS[round % ROUNDS.length]!
    const { nodes } = this.#cluster
    const targets = damages.map((damage, at) => ({ damage, node: nodes[(round + at) % nodes.length]!, key: '' }))
    await wholeAgain(this.#cluster, this.#db, STUCK_AFTER_MS)
    for (const [at, target] of targets.entries()) {
      if (target.damage.place === 'a value') target.key = await this.#placeValue(target.damage, target.node, at)
    }
    await Promise.all(targets.map(({ damage, node }) => node.end(damage.kind === 'LOCK' ? 'SIGKILL' : 'SIGTERM')))
    const done: string[] = []
    for (const { damage, node, key } of targets) done.push(`${damage.kind}: ${await damageAs(node, damage, key)}`)
    const damaged = targets.map(({ node }) => node)
    return this.#comeBack({ kind: 'another on each node', what: done.join('; '), damaged })
  }

  /** What only shows when other nodes lead, or are asked. */
  async checkEveryWay(at: number): Promise<EveryWay> {
    const checked = { cluster: this.#cluster, db: this.#db, ledger: this.#ledger }
    return checkEveryWay(checked, this.#cluster.nodes[at]!)
  }

  /** What the nodes of this cluster printed, for a person. Resolves to where it is kept. */
  async keepLogs(): Promise<string> {
    const kept = await mkdtemp(join(tmpdir(), 'holdfast-rot-logs-'))
    for (const { logFile } of this.#cluster.nodes) await copyFile(logFile, join(kept, basename(logFile)))
    return kept
  }

  async finish(): Promise<void> {
    await this.#db.close()
    await this.#cluster.stop()
  }

  async #rotRunning(node: NodeProcess, how: string): Promise<RotResult> {
    const explained = await explanations(node)
    // A node that knows of damage may refuse, or die; what it answers has to be right.
    const own = await checkOwn({ db: this.#db, ledger: this.#ledger }, node).catch(messageOf)
    const answered = typeof own === 'string' ? null : own
    const died =
      answered === null ? await eventually('', DIES_WITHIN_MS, async () => node.ended).catch(() => null) : null
    const end =
      died === null
        ? `it lived${answered === null ? ` and refused: ${own}` : ''}`
        : `it died of ${died.signal ?? `exit ${died.code}`}`
    const what = `${how}; ${end}`
    await node.end('SIGTERM')
    const result = await this.#comeBack({ kind: RUNNING, what, damaged: [node] })
    const violations = (answered ?? []).map((difference) => `${what}: replicas of the running node: ${difference}`)
    if (died !== null && (await explanations(node)) === explained) {
      violations.push(`${what}: the start after it did not say what may have ended the one before`)
    }
    return { ...result, violations: [...violations, ...result.violations] }
  }

  /** Fails if LevelDB made another table of it meanwhile. */
  async #cutTable(node: NodeProcess): Promise<string> {
    const table = largestOfKind(await filesOf(node.directory)).find(({ kind }) => kind === 'state table')
    if (table === undefined) throw new Error(`${node.directory} has no state table`)
    await this.#openTables(node)
    await truncate(join(node.directory, table.path), table.bytes >> 1)
    return table.path
  }

  /** Each table is read a little, so that it is mapped and little of it cached. */
  async #openTables(node: NodeProcess): Promise<void> {
    const { version } = await this.#db.put('checked', true)
    const own = new OwnReplicas(node.listenAddress)
    const some = Array.from({ length: TOUCHED }, (_, n) => Math.floor((n * this.#written) / TOUCHED))
    const keys = some.map((n) => this.#keyAt(n)).filter((key) => this.#ledger.acknowledged.has(key))
    await own.getMany(keys, version).finally(() => own.close())
  }

  async #comeBack(case_: { kind: string; what: string; damaged: readonly NodeProcess[] }): Promise<RotResult> {
    const { kind, what, damaged } = case_
    const violations: string[] = []
    let comebacks: Comeback[] = []
    this.#wrongReads = []
    const isServing = damaged.length === 1
    if (isServing) {
      this.#readers.start(READERS, () => this.#readOne())
      await this.#write(FRESH_WRITES)
    }
    try {
      comebacks = await bringBack(this.#cluster, this.#db, damaged)
    } catch (error) {
      violations.push(messageOf(error))
    }
    if (isServing) await this.#readers.stop()
    violations.push(...this.#wrongReads)
    const checked = { cluster: this.#cluster, db: this.#db, ledger: this.#ledger }
    if (violations.length === 0) violations.push(...(await checkAnswers(checked, damaged).catch((e) => [messageOf(e)])))
    for (const node of damaged) await removeAside(node)
    return { kind, what, comebacks, violations: violations.map((violation) => `${what}: ${violation}`) }
  }

  /** Leaves a node with damage on record: one of its tables is damaged, and it is killed before it has given up what that held. */
  async #recordDamage(node: NodeProcess): Promise<void> {
    const record = join(node.directory, 'state', 'DAMAGED.json')
    for (let attempt = 0; attempt < RECORD_ATTEMPTS; attempt++) {
      await rot(node.directory, await this.#stopped(node, 'SIGTERM', 'state table'), 'middle')
      node.start()
      const until = performance.now() + STUCK_AFTER_MS
      while (!existsSync(record) && performance.now() < until) await setTimeout(1)
      await node.end('SIGKILL')
      if (existsSync(record)) return
    }
    throw new Error(`${record} is not there when the node is killed`)
  }

  /** The node is down then, and has such a file. */
  async #stopped(node: NodeProcess, stop: Stop, kind: string): Promise<NodeFile> {
    const find = async () => largestOfKind(await filesOf(node.directory)).find((file) => file.kind === kind)
    await node.end(stop)
    let file = await find()
    if (file !== undefined) return file
    // A node that just had its state fetched anew has no tables until LevelDB is opened again.
    node.start()
    await wholeAgain(this.#cluster, this.#db, STUCK_AFTER_MS)
    await node.end(stop)
    file = await find()
    if (file === undefined) throw new Error(`${node.directory} has no ${kind} after ${stop}`)
    return file
  }

  /** A key that this kind of file of this node holds, in a range of its own. Tables hold what was there at the last start, logs what came later. */
  async #placeValue({ kind }: RoundDamage, node: NodeProcess, at: number): Promise<string> {
    const key = await this.#writeKey(`w/${RANGES[at]}/${kind}`)
    // What a node applies only after its restart is in no table of it yet.
    await wholeAgain(this.#cluster, this.#db, STUCK_AFTER_MS)
    if (kind === 'state table') await this.#restart(node)
    return key
  }

  async #readOne(): Promise<void> {
    const at = Math.floor(((this.reads++ * 7_919) % 1_000_003) % this.#written)
    const key = this.#keyAt(at)
    if (!this.#ledger.acknowledged.has(key)) return
    const value = await this.#db.get(key).catch(messageOf)
    if (value !== valueFor(key, VALUE_BYTES))
      this.#wrongReads.push(`wrong read: ${key}: ${String(JSON.stringify(value)).slice(0, 60)}`)
  }

  /** Over all ranges in turn. */
  #keyAt(n: number): string {
    return `w/${RANGES[n % RANGES.length]}/${String(n).padStart(8, '0')}`
  }

  async #write(count: number): Promise<void> {
    const until = this.#written + count
    const writer = async (): Promise<void> => {
      while (this.#written < until) await this.#ledger.write(this.#db, this.#keyAt(this.#written++))
    }
    await Promise.all(Array.from({ length: WRITERS }, writer))
  }

  async #writeKey(name: string): Promise<string> {
    const key = `${name}/${this.#written}`
    await this.#ledger.write(this.#db, key)
    return key
  }

  async #restart(node: NodeProcess): Promise<void> {
    await node.end('SIGTERM')
    node.start()
    await wholeAgain(this.#cluster, this.#db, STUCK_AFTER_MS)
  }
}

/** How often starts of the node have said that the process before them did not end in order, and of what it may have died. */
async function explanations(node: NodeProcess): Promise<number> {
  const lines = await node.lastLines(Number.MAX_SAFE_INTEGER)
  return lines.filter((line) => /did not end in order.*SIGBUS/.test(line)).length
}

async function damageAs({ directory }: NodeProcess, { kind, place }: RoundDamage, key: string): Promise<string> {
  if (place === 'a value') {
    const how = await rotWhere(directory, kind, randomPartOf(key))
    if (how === null) throw new Error(`no ${kind} holds ${key}`)
    return how
  }
  const file = largestOfKind(await filesOf(directory)).find((each) => each.kind === kind)
  if (file === undefined) throw new Error(`${directory} has no ${kind}`)
  return rot(directory, file, place)
}

/** As an operator may, once all is well. */
async function removeAside({ directory }: NodeProcess): Promise<void> {
  for (const name of await readdir(directory))
    if (ASIDE.test(name)) await rm(join(directory, name), { recursive: true })
}

/** Stands in the file as it is, also where tables are compressed. */
function randomPartOf(key: string): string {
  return valueFor(key, VALUE_BYTES).slice(key.length + 2, key.length + 34)
}
