import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, fstatSync, openSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connect, type Holdfast } from '../src/client/index.js'
import { type Ended, type OwnEnd, ownEnd } from './ends.js'
import { freePorts } from './free-ports.js'

const holdfast = fileURLToPath(new URL('../cli/main.js', import.meta.url))

/** For a cluster to be made and to serve, on however slow a machine. */
const START_WITHIN_MS = 120_000

/** Runs `attempt` until it gives a value; throws its last error after `withinMs`. */
export async function eventually<T>(what: string, withinMs: number, attempt: () => Promise<T | null>): Promise<T> {
  const until = Date.now() + withinMs
  let last: unknown = null
  while (Date.now() < until) {
    try {
      const value = await attempt()
      if (value !== null) return value
    } catch (error) {
      last = error
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`${what}: not within ${withinMs} ms`, { cause: last })
}

/** Runs the command line tool; resolves with what it printed, rejects when it fails. */
export async function runCli(args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [holdfast, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`holdfast ${args.join(' ')} ended with ${code}: ${errors.trim()}`)
  return output
}

/** Where a node runs. */
export interface NodePlace {
  /** For clients; as `peerListen` and `http`: host:port. */
  readonly listen: string
  readonly peerListen: string
  readonly http: string
  /** What clients dial, where that is not `listen`. */
  readonly advertise?: string
  /** What other nodes dial, where that is not `peerListen`. */
  readonly peerAdvertise?: string
  /** Words before its command line, as in `nsenter …`. They must become the node by exec, so that its process id is theirs. */
  readonly wrapper?: readonly string[]
}

export interface NodeOptions {
  readonly place: NodePlace
  /** Its data. */
  readonly directory: string
  /** What it prints is appended here. */
  readonly logFile: string
  readonly join: readonly string[]
  /** Client address that others are told, where that is not its own. */
  readonly advertise?: string
  /** Further flags of `holdfast start`. */
  readonly flags?: readonly string[]
  /** Beside the variables of this process. */
  readonly env?: Readonly<Record<string, string>>
}

/** One node in a process of its own. */
export class NodeProcess {
  /** What clients dial. */
  readonly clientAddress: string
  /** What it listens on for clients. */
  readonly listenAddress: string
  readonly peerAddress: string
  readonly httpAddress: string
  readonly directory: string
  readonly logFile: string
  /** Ends of all its processes that nobody here asked for, whatever came after them. */
  readonly ownEnds: OwnEnd[] = []
  readonly #options: NodeOptions
  #child: ChildProcess | null = null
  #asked: 'SIGKILL' | 'SIGTERM' | null = null
  #isClosed = false

  constructor(options: NodeOptions) {
    const { place, advertise } = options
    this.listenAddress = place.listen
    this.clientAddress = advertise ?? place.listen
    this.peerAddress = place.peerAdvertise ?? place.peerListen
    this.httpAddress = place.http
    this.directory = options.directory
    this.logFile = options.logFile
    this.#options = options
  }

  get pid(): number {
    return this.#child!.pid!
  }

  get isUp(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** How its last process ended; null: it runs, or never did. */
  get ended(): Ended | null {
    if (this.#child === null || this.isUp) return null
    return { code: this.#child.exitCode, signal: this.#child.signalCode }
  }

  /** How its last process ended, if nobody here asked for it. */
  get endedByItself(): Ended | null {
    return this.#asked === null ? this.ended : null
  }

  /** Throws after `close`. */
  start(): void {
    if (this.#isClosed) throw new Error('the cluster is being taken down')
    const { place, join: others, flags = [], env = {} } = this.#options
    const log = openSync(this.logFile, 'a')
    const listen = ['--listen', place.listen, '--peer-listen', place.peerListen, '--http', place.http]
    const told = [...flag('--advertise', this.#options.advertise), ...flag('--peer-advertise', place.peerAdvertise)]
    const args = [holdfast, 'start', '--data', this.directory, ...listen, ...told, '--join', others.join(','), ...flags]
    const [command, ...rest] = [...(place.wrapper ?? []), process.execPath, ...args]
    this.#asked = null
    const fromByte = fstatSync(log).size
    this.#child = spawn(command!, rest, { stdio: ['ignore', log, log], env: { ...process.env, ...env } })
    // Before anybody else hears of it, and may start the next one.
    this.#child.once('exit', (code, signal) => {
      const end = ownEnd({ code, signal }, { asked: this.#asked, logFile: this.logFile, fromByte })
      if (end !== null) this.ownEnds.push(end)
    })
    closeSync(log)
  }

  signal(signal: NodeJS.Signals): void {
    if (signal === 'SIGKILL' || signal === 'SIGTERM') this.#asked = signal
    process.kill(this.pid, signal)
  }

  /** Sends the signal and waits until the process is gone. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (this.#child === null || !this.isUp) return
    const gone = once(this.#child, 'exit')
    this.#asked = signal
    this.#child.kill(signal)
    await gone
  }

  /** Kills it for good: whoever was about to start it again can't. */
  async close(): Promise<void> {
    this.#isClosed = true
    if (this.isUp) this.signal('SIGCONT')
    await this.end('SIGKILL')
  }

  /** What /readyz says; false also when nobody answers there. */
  async isReady(): Promise<boolean> {
    try {
      const answer = await fetch(`http://${this.httpAddress}/readyz`, { signal: AbortSignal.timeout(2_000) })
      await answer.arrayBuffer()
      return answer.ok
    } catch {
      return false
    }
  }

  /** The last lines that it printed. */
  async lastLines(count: number): Promise<string[]> {
    const text = await readFile(this.logFile, 'utf8')
    return text.trimEnd().split('\n').slice(-count)
  }
}

export interface ClusterOptions {
  readonly nodes?: number
  readonly splitAt?: readonly string[]
  /** Where a node keeps its data, made by then. Default: a folder beside its log. */
  readonly dataFolder?: (number: number, directory: string) => Promise<string>
  /** What a node tells clients to dial instead of `listen`. */
  readonly advertise?: (listen: string) => Promise<string>
  /** Further flags of `holdfast start`. */
  readonly flags?: readonly string[]
  /** Told before the first process starts, so that whoever is interrupted meanwhile can stop it all. */
  readonly onMade?: (cluster: ProcessCluster) => void
}

export class ProcessCluster {
  readonly nodes: readonly NodeProcess[]

  constructor(nodes: readonly NodeProcess[]) {
    this.nodes = nodes
  }

  /** A fresh cluster of real processes in a temporary directory, initialised and serving. */
  static async start(options: ClusterOptions = {}): Promise<ProcessCluster> {
    const directory = await mkdtemp(join(tmpdir(), 'holdfast-'))
    const cluster = new TemporaryCluster(directory, await makeNodes(directory, options))
    options.onMade?.(cluster)
    try {
      await cluster.begin(options.splitAt ?? [])
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  /** Starts all nodes, makes a cluster of them with a replica of every range on each, and waits until it has served a write. */
  async begin(splitAt: readonly string[]): Promise<void> {
    for (const node of this.nodes) node.start()
    const splits = splitAt.flatMap((key) => ['--split-at', key])
    const replicas = ['--replicas', String(this.nodes.length)]
    const init = ['init', '--endpoint', this.nodes[0]!.listenAddress, ...replicas, ...splits]
    await eventually('init', START_WITHIN_MS, () => runCli(init))
    const db = await this.connect()
    await eventually('first write', START_WITHIN_MS, () => db.put('ready', true))
    await db.close()
  }

  get endpoints(): string[] {
    return this.nodes.map((node) => node.clientAddress)
  }

  /** `deadlineMs`: of calls that name none. Default: 20,000. */
  connect({ deadlineMs = 20_000 }: { deadlineMs?: number } = {}): Promise<Holdfast> {
    return connect({ endpoints: this.endpoints, deadlineMs })
  }

  /** The node that leads most ranges just now. */
  async busiest(db: Holdfast): Promise<NodeProcess> {
    const { nodes } = await db.status()
    const up = nodes.filter((node) => node.up).sort((a, b) => b.leaders - a.leaders)
    return this.nodes.find((node) => node.clientAddress === up[0]?.address)!
  }

  /** Kills what still runs. */
  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.close()))
  }
}

class TemporaryCluster extends ProcessCluster {
  readonly #directory: string

  constructor(directory: string, nodes: readonly NodeProcess[]) {
    super(nodes)
    this.#directory = directory
  }

  /** And removes the data. */
  override async stop(): Promise<void> {
    await super.stop()
    await rm(this.#directory, { recursive: true, force: true })
  }
}

async function makeNodes(directory: string, options: ClusterOptions): Promise<NodeProcess[]> {
  const count = options.nodes ?? 3
  const ports = await freePorts(count * 3)
  const address = (at: number): string => `127.0.0.1:${ports[at]}`
  const peers = Array.from({ length: count }, (_, at) => address(count + at))
  const nodes: NodeProcess[] = []
  for (let at = 0; at < count; at++) {
    const folder = join(directory, `node-${at + 1}`)
    const advertise = await options.advertise?.(address(at))
    nodes.push(
      new NodeProcess({
        place: { listen: address(at), peerListen: address(count + at), http: address(2 * count + at) },
        directory: (await options.dataFolder?.(at + 1, directory)) ?? folder,
        logFile: `${folder}.log`,
        join: peers,
        ...(advertise === undefined ? {} : { advertise }),
        ...(options.flags === undefined ? {} : { flags: options.flags }),
      }),
    )
  }
  return nodes
}

function flag(name: string, value: string | undefined): string[] {
  return value === undefined ? [] : [name, value]
}
