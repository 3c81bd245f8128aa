// npm run overload [-- --connections N]
import Table from 'cli-table3'
import { runCommand, type Scope } from '../jepsen-like-tests/command.js'
import { type NodeProcess, ProcessCluster } from '../jepsen-like-tests/processes.js'
import type { Generation, RangeId, SessionId, Version } from '../src/base/ids.js'
import type { Holdfast } from '../src/client/index.js'
import { storedKeyOf } from '../src/client/index.js'
import type { Request } from '../src/kv/requests.js'
import { encodeRequests } from '../src/transport/wire/request-encoder.js'
import { framed, RawStream } from './lib/deaf.js'
import { MemoryWatch, Page } from './lib/node-metrics.js'

const MiB = 1024 * 1024
const DEAF = 32
const DEAF_ASKS = 40
const FLOOD_PUTS = 32
const FLOOD_VALUE_BYTES = 32 * 1024
const SLOW_MS = 8_000
const SLOW_CALLERS = 64
const SLOW_VALUE_BYTES = 64 * 1024
const RECOVER_MS_MAX = 10_000

interface Result {
  readonly what: string
  readonly grewMiB: number
  readonly boundMiB: number
  readonly refused: number
  readonly recoverMs: number
}

/** A load, and by how much it may make the node grow. */
interface Scenario {
  readonly what: string
  readonly boundMiB: number
  run(): Promise<void>
}

const head = { range: 2 as RangeId, generation: 1 as Generation, deadlineMs: 30_000, seen: 0 as Version }

function gets(count: number): Buffer {
  const keys = [storedKeyOf('big')]
  const requests = Array.from(
    { length: count },
    (_, at): Request => ({ kind: 'get', id: at + 1, ...head, keys }) as Request,
  )
  return Buffer.concat(encodeRequests(requests).map(framed))
}

function puts(caller: number): Buffer {
  const session = `flood-${caller}`.padEnd(22, '-') as SessionId
  const value = new Uint8Array(FLOOD_VALUE_BYTES)
  const requests = Array.from({ length: FLOOD_PUTS }, (_, at): Request => {
    const write = { kind: 'put', key: storedKeyOf(`flood-${caller}-${at}`), codec: 'bytes', value } as const
    const origin = { session, sequence: at + 1, firstSent: 0 as Version, lowest: 1 }
    return { kind: 'write', id: at + 1, ...head, origin, conditions: [], writes: [write], wantValue: false }
  })
  return Buffer.concat(encodeRequests(requests).map(framed))
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

class Overload {
  readonly results: Result[] = []
  readonly violations: string[] = []
  readonly #cluster: ProcessCluster
  readonly #db: Holdfast
  readonly #scope: Scope
  /** Of each node before any load. */
  readonly #idleBytes = new Map<NodeProcess, number>()

  private constructor(cluster: ProcessCluster, db: Holdfast, scope: Scope) {
    this.#cluster = cluster
    this.#db = db
    this.#scope = scope
  }

  static async begin(cluster: ProcessCluster, db: Holdfast, scope: Scope): Promise<Overload> {
    const run = new Overload(cluster, db, scope)
    await db.put('big', new Uint8Array(MiB), { codec: 'bytes' })
    for (const node of cluster.nodes) run.#idleBytes.set(node, (await Page.of(node.httpAddress)).memoryBytes)
    return run
  }

  /** Runs it against the node that leads the data, and then waits until that node serves as before. */
  async measure(node: NodeProcess, { what, boundMiB, run }: Scenario): Promise<void> {
    const before = await Page.of(node.httpAddress)
    const watch = new MemoryWatch(node.httpAddress)
    await run()
    const grewMiB = Math.round(((await watch.end()) - this.#idleBytes.get(node)!) / MiB)
    const began = performance.now()
    await this.#db.put('after', what, { deadlineMs: RECOVER_MS_MAX })
    if ((await this.#db.get('after', { deadlineMs: RECOVER_MS_MAX })) !== what)
      this.violations.push(`${what}: a write is gone`)
    const recoverMs = Math.round(performance.now() - began)
    const refused = (await Page.of(node.httpAddress)).answered('OVERLOADED') - before.answered('OVERLOADED')
    this.results.push({ what, grewMiB, boundMiB, refused, recoverMs })
    if (grewMiB > boundMiB) this.violations.push(`${what}: the node grew by ${grewMiB} MiB, the bound is ${boundMiB}`)
    if (!node.isUp) this.violations.push(`${what}: the node ended: ${JSON.stringify(node.ended)}`)
  }

  /** Clients that ask for large values and take none of them. */
  async deaf(node: NodeProcess): Promise<void> {
    const asked = gets(DEAF_ASKS)
    const streams = this.#streams(node, DEAF)
    for (const stream of streams) await stream.send(asked)
    await pause(5_000)
    for (const stream of streams) stream.close()
  }

  /** Many clients that all write at once. */
  async flood(node: NodeProcess, connections: number): Promise<void> {
    const streams = this.#streams(node, connections)
    for (const stream of streams) stream.read()
    await Promise.all(streams.map((stream, caller) => stream.send(puts(caller))))
    const isAnswered = async () => (await Page.of(node.httpAddress)).value('holdfast_client_requests') === 0
    while (!(await isAnswered())) await pause(100)
    for (const stream of streams) stream.close()
  }

  /** Writes while one follower stands still. */
  async slowPeer(follower: NodeProcess): Promise<void> {
    follower.signal('SIGSTOP')
    const until = performance.now() + SLOW_MS
    const value = new Uint8Array(SLOW_VALUE_BYTES)
    const caller = async (number: number): Promise<void> => {
      for (let n = 0; performance.now() < until; n++) {
        await this.#db.put(`slow-${number}-${n % 100}`, value, { codec: 'bytes', deadlineMs: 30_000 })
      }
    }
    await Promise.all(Array.from({ length: SLOW_CALLERS }, (_, number) => caller(number)))
    follower.signal('SIGCONT')
  }

  #streams(node: NodeProcess, count: number): RawStream[] {
    return Array.from({ length: count }, () => {
      const stream = new RawStream(node.clientAddress)
      this.#scope.defer('a connection', () => stream.close())
      return stream
    })
  }

  /** The node that leads the data, and one that does not. */
  async nodes(): Promise<{ leader: NodeProcess; follower: NodeProcess }> {
    for (;;) {
      const { ranges, nodes } = await this.#db.status()
      const leader = nodes.find(({ id }) => id === ranges.find(({ id: range }) => range === head.range)?.leader)
      const found = this.#cluster.nodes.find(({ clientAddress }) => clientAddress === leader?.address)
      if (found !== undefined) return { leader: found, follower: this.#cluster.nodes.find((node) => node !== found)! }
      await pause(100)
    }
  }
}

await runCommand(
  {
    name: 'overload',
    about:
      'Clients that read nothing, a thousand that write at once, a follower that stands still: the memory of a node stays bounded, and it serves on.',
    settings: { connections: { value: 1_000, min: 1, max: 4_000, about: 'clients that write at once' } },
    secondsMax: () => 300,
  },
  async ({ connections }, scope) => {
    const cluster = await ProcessCluster.start()
    scope.defer('processes', () => cluster.stop())
    const db = await cluster.connect()
    scope.defer('client', () => db.close())
    const run = await Overload.begin(cluster, db, scope)
    const one = await run.nodes()
    await run.measure(one.leader, {
      what: `${DEAF} clients that do not read`,
      boundMiB: 500,
      run: () => run.deaf(one.leader),
    })
    const two = await run.nodes()
    await run.measure(two.leader, {
      what: `${connections} clients that write at once`,
      boundMiB: 600,
      run: () => run.flood(two.leader, connections),
    })
    const three = await run.nodes()
    await run.measure(three.leader, {
      what: 'a follower that stands still',
      boundMiB: 500,
      run: () => run.slowPeer(three.follower),
    })
    const table = new Table({
      style: { head: [], border: [] },
      head: ['load', 'grew by MiB', 'bound', 'refused', 'serves after ms'],
    })
    for (const { what, grewMiB, boundMiB, refused, recoverMs } of run.results)
      table.push([what, grewMiB, boundMiB, refused, recoverMs])
    console.log(table.toString())
    return run.violations
  },
)
