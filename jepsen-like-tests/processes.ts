import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connect, type Holdfast } from '../src/client/index.js'

const holdfast = fileURLToPath(new URL('../cli/main.js', import.meta.url))

/** Ports that nobody holds just now. Held all at once, so that none comes twice. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1')
      await once(server, 'listening')
      return server
    }),
  )
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}

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

/** One node in a process of its own. Its log goes to a file beside its data. */
export class NodeProcess {
  readonly clientAddress: string
  readonly peerAddress: string
  readonly #directory: string
  readonly #join: readonly string[]
  #child: ChildProcess | null = null

  constructor(options: { directory: string; clientPort: number; peerPort: number; join: readonly string[] }) {
    this.clientAddress = `127.0.0.1:${options.clientPort}`
    this.peerAddress = `127.0.0.1:${options.peerPort}`
    this.#directory = options.directory
    this.#join = options.join
  }

  get pid(): number {
    return this.#child!.pid!
  }

  get isUp(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null
  }

  start(): void {
    const log = openSync(`${this.#directory}.log`, 'a')
    const addresses = ['--listen', this.clientAddress, '--peer-listen', this.peerAddress]
    const args = [holdfast, 'start', '--data', this.#directory, ...addresses, '--join', this.#join.join(',')]
    this.#child = spawn(process.execPath, args, { stdio: ['ignore', log, log] })
    closeSync(log)
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal)
  }

  /** Sends the signal and waits until the process is gone. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (this.#child === null || !this.isUp) return
    const gone = once(this.#child, 'exit')
    this.#child.kill(signal)
    await gone
  }
}

export class ProcessCluster {
  readonly nodes: readonly NodeProcess[]
  readonly directory: string

  private constructor(directory: string, nodes: readonly NodeProcess[]) {
    this.directory = directory
    this.nodes = nodes
  }

  /** A fresh cluster of real processes in a temporary directory, initialised and serving. */
  static async start(options: { nodes?: number; splitAt?: readonly string[] } = {}): Promise<ProcessCluster> {
    const count = options.nodes ?? 3
    const directory = await mkdtemp(join(tmpdir(), 'holdfast-'))
    const ports = await freePorts(count * 2)
    const join_ = ports.slice(count).map((port) => `127.0.0.1:${port}`)
    const nodes = Array.from(
      { length: count },
      (_, at) =>
        new NodeProcess({
          directory: join(directory, `node-${at + 1}`),
          clientPort: ports[at]!,
          peerPort: ports[count + at]!,
          join: join_,
        }),
    )
    const cluster = new ProcessCluster(directory, nodes)
    try {
      for (const node of nodes) node.start()
      const splitAt = (options.splitAt ?? []).flatMap((key) => ['--split-at', key])
      const init = ['init', '--endpoint', nodes[0]!.clientAddress, ...splitAt]
      await eventually('init', 20_000, () => runCli(init))
      const db = await cluster.connect()
      await eventually('first write', 20_000, () => db.put('ready', true))
      await db.close()
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  get endpoints(): string[] {
    return this.nodes.map((node) => node.clientAddress)
  }

  connect(): Promise<Holdfast> {
    return connect({ endpoints: this.endpoints, deadlineMs: 20_000 })
  }

  /** The node that leads most ranges just now. */
  async busiest(db: Holdfast): Promise<NodeProcess> {
    const { nodes } = await db.status()
    const up = nodes.filter((node) => node.up).sort((a, b) => b.leaders - a.leaders)
    return this.nodes.find((node) => node.clientAddress === up[0]?.address)!
  }

  /** Kills what still runs and removes the data. */
  async stop(): Promise<void> {
    for (const node of this.nodes) {
      if (node.isUp) node.signal('SIGCONT')
      await node.end('SIGKILL')
    }
    await rm(this.directory, { recursive: true, force: true })
  }
}
