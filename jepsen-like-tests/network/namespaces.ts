import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readlink } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { Scope } from '../command.js'
import { eventually, type NodePlace } from '../processes.js'
import type { Block, Host, Network, NetworkOptions, Trouble } from './types.js'

const run = promisify(execFile)

/** Nothing outside sees these addresses: they exist only in namespaces of our own. */
const SUBNET = '10.77.0'
const CLIENTS = `${SUBNET}.100`
/** Begins a command that is killed when this process ends, however it ends. */
const WITH_PARENT = ['setpriv', '--pdeathsig', 'KILL']
const PORTS = { client: 7400, peer: 7500, http: 7600 }

/** Why this machine has no network namespaces for nodes; null: it has. */
export async function noNamespaces(): Promise<string | null> {
  if (process.platform !== 'linux') return 'network namespaces need Linux'
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  for (const [command, packaged] of [
    ['ip', 'iproute2'],
    ['nft', 'nftables'],
    ['nsenter', 'util-linux'],
  ] as const) {
    const missing = await run(command, ['--version']).then(
      () => false,
      (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
    )
    if (missing) return `${command} is missing (package ${packaged})`
  }
  try {
    await run('unshare', ['--net', ...WITH_PARENT, 'nft', 'list', 'ruleset'])
    return null
  } catch (error) {
    return `network namespaces do not work here: ${(error as Error).message.trim()}`
  }
}

/**
 * Each node in a network namespace of its own, connected by veth pairs with a bridge in the namespace of this process, where
 * clients are. This process must have been started in a namespace of its own (`unshare --net`): so nothing outside is touched, and
 * all of it goes when this process and its nodes do, however they end.
 */
export class NamespaceNetwork implements Network {
  readonly kind = 'a network namespace for each node'
  readonly noBlocks = null
  readonly noLoss = null
  readonly noDelay = 'packets can be lost here, not delayed (no netem)'
  /** A process that does nothing but keep a node's namespace, by node. It ends with its standard input: with this process. */
  readonly #keepers: readonly ChildProcess[]

  private constructor(keepers: readonly ChildProcess[]) {
    this.#keepers = keepers
  }

  static async make({ scope, nodes }: NetworkOptions): Promise<NamespaceNetwork> {
    await run('ip', ['link', 'add', 'hub', 'type', 'bridge'])
    scope.defer('the bridge', () => run('ip', ['link', 'del', 'hub']))
    await run('ip', ['addr', 'add', `${CLIENTS}/24`, 'dev', 'hub'])
    await run('ip', ['link', 'set', 'hub', 'up'])
    const keepers: ChildProcess[] = []
    for (let number = 1; number <= nodes; number++) keepers.push(await keepNamespace(scope, number))
    return new NamespaceNetwork(keepers)
  }

  place(number: number): NodePlace {
    const { client, peer, http } = PORTS
    return {
      listen: `${addressOf(number)}:${client}`,
      peerListen: `${addressOf(number)}:${peer}`,
      http: `${addressOf(number)}:${http}`,
      wrapper: [...WITH_PARENT, 'nsenter', `--net=/proc/${this.#keepers[number - 1]!.pid}/ns/net`],
    }
  }

  attach(): void {}

  /** Each host loses at its input what must not reach it. */
  async impose({ blocks, lossPercent }: Trouble): Promise<void> {
    const hosts: Host[] = [...this.#keepers.map((_, at) => at + 1), 'clients']
    await Promise.all(
      hosts.map((host) =>
        this.#filter(host, [...dropsOf(host, blocks), ...(host === 'clients' ? [] : loss(lossPercent))]),
      ),
    )
  }

  async #filter(host: Host, rules: readonly string[]): Promise<void> {
    const chain = ['chain input {', 'type filter hook input priority 0; policy accept', ...rules, '}']
    const table = ['table inet jepsen', 'delete table inet jepsen', 'table inet jepsen {', ...chain, '}', '']
    const [command, ...args] =
      host === 'clients' ? ['nft', '-f', '-'] : [...this.place(host).wrapper!, 'nft', '-f', '-']
    const nft = spawn(command!, args, { stdio: ['pipe', 'ignore', 'pipe'] })
    let errors = ''
    nft.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text
    })
    nft.stdin.end(table.join('\n'))
    const [code] = (await once(nft, 'close')) as [number | null]
    if (code !== 0) throw new Error(`nft for ${host}: ${errors.trim()}`)
  }
}

function addressOf(host: Host): string {
  return host === 'clients' ? CLIENTS : `${SUBNET}.${host}`
}

function dropsOf(host: Host, blocks: readonly Block[]): string[] {
  return blocks.filter(({ to }) => to === host).map(({ from }) => `ip saddr ${addressOf(from)} drop`)
}

function loss(percent: number): string[] {
  return percent === 0 ? [] : [`iifname != "lo" numgen random mod 1000 < ${Math.round(percent * 10)} drop`]
}

async function keepNamespace(scope: Scope, number: number): Promise<ChildProcess> {
  const keeper = spawn('unshare', ['--net', 'cat'], { stdio: ['pipe', 'ignore', 'inherit'] })
  scope.defer(`namespace of node ${number}`, async () => {
    const gone = once(keeper, 'exit')
    keeper.stdin.end()
    await gone
  })
  const own = await readlink('/proc/self/ns/net')
  await eventually(`namespace of node ${number}`, 60_000, async () =>
    (await readlink(`/proc/${keeper.pid}/ns/net`)) === own ? null : true,
  )
  await run('ip', ['link', 'add', `node${number}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(keeper.pid)])
  // Its other end goes with its namespace, but not at once.
  scope.defer(`link of node ${number}`, () => run('ip', ['link', 'del', `node${number}`]))
  await run('ip', ['link', 'set', `node${number}`, 'master', 'hub', 'up'])
  const inside = (...args: string[]): Promise<unknown> =>
    run('nsenter', [`--net=/proc/${keeper.pid}/ns/net`, 'ip', ...args])
  await inside('link', 'set', 'lo', 'up')
  await inside('addr', 'add', `${addressOf(number)}/24`, 'dev', 'eth0')
  await inside('link', 'set', 'eth0', 'up')
  return keeper
}
