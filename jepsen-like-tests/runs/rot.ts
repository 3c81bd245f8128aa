import type { Holdfast } from '../../src/client/index.js'
import { messageOf, type Scope } from '../command.js'
import { filesOf, type NodeFile, PLACES, type Place, rot, rotWhere } from '../faults/bit-rot.js'
import { Gateway } from '../gateway.js'
import { Callers, Ledger, valueFor } from '../ledger.js'
import { type NodeProcess, ProcessCluster } from '../processes.js'
import { differingDigests, wholeAgain } from '../whole.js'
import { bringBack, whileLeading } from './comeback.js'

const WRITERS = 64
const READERS = 4
const VALUE_BYTES = 256
const STUCK_AFTER_MS = 60_000
/** Written before and while the node is down, so that its log has a tail and it has something to catch up with. */
const FRESH_WRITES = 200

export interface RotCase {
  readonly file: NodeFile
  readonly place: Place
  readonly stop: 'SIGTERM' | 'SIGKILL'
}

export interface RotResult {
  /** What was damaged. */
  readonly what: string
  readonly comeback: string
  readonly violations: readonly string[]
}

/** One cluster of three with four data ranges, whose nodes' files are damaged while they are down. */
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
    const cluster = await ProcessCluster.start({ splitAt: ['w/b', 'w/c', 'w/d'], onMade })
    const run = new RotRun(cluster, await cluster.connect())
    await run.#write(options.keys)
    // LevelDB makes a table of what it finds in its log when it is opened.
    for (const node of cluster.nodes) await run.#restart(node)
    return run
  }

  get acknowledged(): number {
    return this.#ledger.acknowledged.size
  }

  /** Every file that the node has while it is down, at every place, after either kind of end where what it holds is data. */
  async cases(node: number): Promise<RotCase[]> {
    await this.#cluster.nodes[node]!.end('SIGTERM')
    const files = firstOfKind(await filesOf(this.#cluster.nodes[node]!.directory))
    this.#cluster.nodes[node]!.start()
    await wholeAgain(this.#cluster, this.#db, STUCK_AFTER_MS)
    return files.flatMap((file) => {
      const stops =
        file.kind.startsWith('log ') || file.kind.startsWith('state ') ? ['SIGTERM', 'SIGKILL'] : ['SIGTERM']
      return PLACES.flatMap((place) => stops.map((stop) => ({ file, place, stop: stop as RotCase['stop'] })))
    })
  }

  /** Damages a file of that kind, starts the node, and compares every answer. Not to be used again after violations. */
  async damageOne(at: number, { file: { kind }, place, stop }: RotCase): Promise<RotResult> {
    const node = this.#cluster.nodes[at]!
    await this.#write(FRESH_WRITES)
    await node.end(stop)
    let file = await fileOf(node, kind)
    if (file === undefined) {
      // A node that just had its state fetched anew has no tables until LevelDB is opened again.
      await this.#restart(node)
      await node.end(stop)
      file = await fileOf(node, kind)
    }
    const what = file === undefined ? `${kind}: none` : await rot(node.directory, file, place)
    return this.#comeBack(`${kind}, ${place}, after ${stop}: ${what}`, [node])
  }

  /**
   * Damages a file of another kind on each node, and with it data of another range: of every range two replicas stay whole. The
   * tables hold what was there when the node was last started; LevelDB's log and ours have what came later.
   */
  async damageAll(): Promise<RotResult> {
    const tableKey = await this.#writeKey('w/a/table')
    const stateLogNode = this.#cluster.nodes[1]!
    // What a node applies only after its restart is in no table of it yet.
    await wholeAgain(this.#cluster, this.#db, STUCK_AFTER_MS)
    await this.#restart(this.#cluster.nodes[0]!)
    const stateLogKey = await this.#writeKey('w/b/state-log')
    const logKey = await this.#writeKey('w/c/log')
    await wholeAgain(this.#cluster, this.#db, STUCK_AFTER_MS)
    const targets = [
      { node: this.#cluster.nodes[0]!, kind: 'state table', key: tableKey },
      { node: stateLogNode, kind: 'state log', key: stateLogKey },
      { node: this.#cluster.nodes[2]!, kind: 'log segment', key: logKey },
    ]
    await Promise.all(targets.map(({ node }) => node.end('SIGTERM')))
    const done: string[] = []
    for (const { node, kind, key } of targets) {
      const how = await rotWhere(node.directory, kind, randomPartOf(key))
      if (how === null) throw new Error(`no ${kind} holds ${key}`)
      done.push(`${kind} (${how})`)
    }
    return this.#comeBack(
      `another kind on each node: ${done.join('; ')}`,
      targets.map(({ node }) => node),
    )
  }

  async finish(): Promise<void> {
    await this.#db.close()
    await this.#cluster.stop()
  }

  async #comeBack(what: string, damaged: readonly NodeProcess[]): Promise<RotResult> {
    const violations: string[] = []
    let comeback = 'does not come back'
    this.#wrongReads = []
    const isServing = damaged.length === 1
    if (isServing) {
      this.#readers.start(READERS, () => this.#readOne())
      await this.#write(FRESH_WRITES)
    }
    try {
      comeback = (await bringBack(this.#cluster, this.#db, damaged)).join(', ')
    } catch (error) {
      violations.push(messageOf(error))
    }
    if (isServing) await this.#readers.stop()
    violations.push(...this.#wrongReads)
    if (violations.length === 0) violations.push(...(await this.#compare(damaged).catch((error) => [messageOf(error)])))
    return { what, comeback, violations: violations.map((violation) => `${what}: ${violation}`) }
  }

  /** Through the SDK, through each node as a gateway, and from each damaged node while it leads everything. */
  async #compare(damaged: readonly NodeProcess[]): Promise<string[]> {
    const violations = await this.#checked('through the SDK', this.#db.scan())
    for (const { listenAddress } of this.#cluster.nodes) {
      const gateway = new Gateway(listenAddress)
      violations.push(...(await this.#checked(`through ${listenAddress}`, gateway.scan())))
      gateway.close()
    }
    violations.push(...(await differingDigests(this.#db)))
    for (const node of damaged) {
      const led = await whileLeading(this.#cluster, this.#db, node, async () => {
        violations.push(...(await this.#checked('while the damaged node leads', this.#db.scan())))
      })
      if (!led) violations.push('it never led all ranges again')
    }
    return violations
  }

  async #checked(how: string, rows: AsyncIterable<{ key: unknown; value: unknown }>): Promise<string[]> {
    return (await this.#ledger.check(rows, 'w/')).map((difference) => `${how}: ${difference}`)
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
    return `w/${'abcd'[n % 4]}/${String(n).padStart(8, '0')}`
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

async function fileOf(node: NodeProcess, kind: string): Promise<NodeFile | undefined> {
  return firstOfKind(await filesOf(node.directory)).find((candidate) => candidate.kind === kind)
}

/** The largest of each kind: the others are damaged as it is. */
function firstOfKind(files: readonly NodeFile[]): NodeFile[] {
  const kinds = new Map<string, NodeFile>()
  for (const file of files) if (file.bytes > 0 && !kinds.has(file.kind)) kinds.set(file.kind, file)
  return [...kinds.values()]
}

/** Stands in the file as it is, also where tables are compressed. */
function randomPartOf(key: string): string {
  return valueFor(key, VALUE_BYTES).slice(key.length + 2, key.length + 34)
}
