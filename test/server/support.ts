import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Logger } from '../../src/base/ports.js'
import {
  type ClusterStatus,
  connect,
  type Holdfast,
  HoldfastError,
  initCluster,
  storedKeyOf,
} from '../../src/client/index.js'
import { takeFreePorts } from '../../src/server/free-ports.js'
import { type NodeOptions, type RunningNode, startNode } from '../../src/server/index.js'
import { eventually } from '../eventually.js'
import { Happenings } from '../happenings.js'

export { eventually }

const PORTS_AT_ONCE = 30

/** Ours until this process ends. */
let ports: number[] = []

export async function freePort(): Promise<number> {
  if (ports.length === 0) ports = [...(await takeFreePorts(PORTS_AT_ONCE)).ports]
  return ports.shift()!
}

export async function freeAddress(): Promise<string> {
  return `127.0.0.1:${await freePort()}`
}

/** A log that a test reads. */
export class Lines implements Logger {
  readonly all: string[] = []
  readonly whole: { readonly level: string; readonly message: string; readonly fields: unknown }[] = []
  readonly #logged = new Happenings()

  log(level: string, message: string, fields?: unknown): void {
    this.all.push(`${level}: ${message}`)
    this.whole.push({ level, message, fields })
    this.#logged.happened()
  }

  find(pattern: RegExp): Promise<string> {
    return this.until(() => this.all.find((line) => pattern.test(line)) ?? null)
  }

  /** For what is told by a line: looked at again after each. Resolves with the first answer that is neither null nor false. */
  until<Value>(look: () => Value | null): Promise<Value> {
    return this.#logged.until(look)
  }

  /** Resolves once so many lines, since the first, match. */
  async reach(pattern: RegExp, count: number): Promise<void> {
    await this.until(() => this.count(pattern) >= count)
  }

  count(pattern: RegExp): number {
    return this.all.filter((line) => pattern.test(line)).length
  }
}

/** Two such files are written in full when a node is made. */
const SEGMENT_BYTES = 4 * 1024 * 1024

/** A node of this process: its options survive it, so that it comes back where it was. */
export class TestNode {
  readonly directory: string
  readonly client: string
  readonly peer: string
  join: readonly string[]
  readonly lines = new Lines()
  /** Why it ended by itself; no test expects that. */
  readonly deaths: string[] = []
  #running: RunningNode | null = null

  constructor(options: { directory: string; client: string; peer: string; join?: readonly string[] }) {
    this.directory = options.directory
    this.client = options.client
    this.peer = options.peer
    this.join = options.join ?? []
  }

  get id(): number | null {
    return this.#running?.node ?? null
  }

  /** Resolves with its id once it belongs to a cluster; at the latest its line that it serves wakes who waits. */
  joined(): Promise<number> {
    return this.lines.until(() => this.id)
  }

  get http(): string | null {
    return this.#running?.httpAddress ?? null
  }

  async start(over: Partial<NodeOptions> = {}): Promise<this> {
    this.#running = await startNode({
      dataDirectory: this.directory,
      listen: this.client,
      peerListen: this.peer,
      join: this.join,
      logger: this.lines,
      logSegmentBytes: SEGMENT_BYTES,
      fatal: (reason, cause) => {
        this.deaths.push(`${reason}: ${cause instanceof Error ? cause.stack : cause}`)
        throw new Error(reason)
      },
      ...over,
    })
    return this
  }

  /** Resolves when it ended by itself because it must not go on. */
  get ended(): Promise<{ code: string; message: string }> {
    return this.#running?.ended ?? Promise.reject(new Error('the node does not run'))
  }

  async stop(how: { readonly handOver?: boolean } = {}): Promise<void> {
    await this.#running?.stop(how)
    this.#running = null
  }
}

/** Everything a test opens, closed behind it in reverse order. */
export class Bench {
  readonly nodes: TestNode[] = []
  #folder: string | null = null
  readonly #ends: (() => Promise<unknown>)[] = []

  atEnd(close: () => Promise<unknown>): void {
    this.#ends.push(close)
  }

  async folder(): Promise<string> {
    this.#folder ??= await mkdtemp(join(tmpdir(), 'holdfast-server-'))
    return this.#folder
  }

  /** A node that is not started yet. */
  async node(joins: readonly string[] = []): Promise<TestNode> {
    const directory = join(await this.folder(), `data-${this.nodes.length + 1}`)
    const node = new TestNode({ directory, client: await freeAddress(), peer: await freeAddress(), join: joins })
    this.nodes.push(node)
    return node
  }

  /** Nodes that know each other and run, before `init`. */
  async unborn(count: number): Promise<TestNode[]> {
    const nodes: TestNode[] = []
    for (let i = 0; i < count; i++) nodes.push(await this.node())
    for (const node of nodes) node.join = nodes.map(({ peer }) => peer)
    await Promise.all(nodes.map((node) => node.start()))
    return nodes
  }

  /** Nodes of one cluster, all of which serve. */
  async cluster(count: number, splitAt: readonly string[] = []): Promise<TestNode[]> {
    const nodes = await this.unborn(count)
    await initCluster(nodes[0]!.client, { splitAt: splitAt.map(storedKeyOf) })
    const db = await this.connect(nodes)
    await serving(db, { nodes: count, ranges: 2 + splitAt.length })
    return nodes
  }

  async init(node: TestNode): Promise<void> {
    await initCluster(node.client)
    await serving(await this.connect([node]), { nodes: 1, ranges: 2 })
  }

  async connect(nodes: readonly TestNode[]): Promise<Holdfast> {
    const db = await connect({ endpoints: nodes.map(({ client }) => client), deadlineMs: 30_000 })
    this.atEnd(() => db.close())
    return db
  }

  async clear(): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await end()
    const nodes = this.nodes.splice(0)
    await Promise.all(nodes.map((node) => node.stop({ handOver: false })))
    if (this.#folder !== null) await rm(this.#folder, { recursive: true })
    this.#folder = null
    const deaths = nodes.flatMap((node) => node.deaths)
    if (deaths.length > 0) throw new Error(`a node died: ${deaths.join('; ')}`)
  }
}

/** Resolves once so many nodes answer and so many ranges have leaders. */
export function serving(db: Holdfast, expected: { nodes: number; ranges: number }): Promise<ClusterStatus> {
  return eventually(async () => {
    const status = await db.status().catch(ifNobodyAnswers)
    if (status === null) return null
    const isUp = status.nodes.length === expected.nodes && status.nodes.every(({ up }) => up)
    const isLed = status.ranges.length === expected.ranges && status.ranges.every(({ leader }) => leader !== null)
    return isUp && isLed ? status : null
  })
}

/** Just after their birth nodes may all be busy, or not have heard of it. */
function ifNobodyAnswers(error: unknown): null {
  if (error instanceof HoldfastError && error.code === 'UNAVAILABLE') return null
  throw error
}

/** What the promise rejects with; an error of its own where it does not. */
export async function refusal(promise: Promise<unknown>): Promise<{ code?: string; message: string }> {
  return promise.then(
    () => {
      throw new Error('expected a refusal')
    },
    (error: { code?: string; message: string }) => error,
  )
}
