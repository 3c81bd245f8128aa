import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Command, Option } from 'commander'
import { HoldfastError } from '../../src/base/errors.js'
import type { ClusterStatus, Holdfast } from '../../src/client/index.js'
import { integer } from '../arguments.js'
import type { Context } from '../context.js'
import { followEvents, ignoreUnavailable } from '../dev/events.js'
import { greeting } from '../dev/greeting.js'
import { type DevState, Layout } from '../dev/layout.js'
import { lockFolder } from '../dev/lock.js'
import { choosePorts, refusePortsInUse } from '../dev/ports.js'
import { Supervisor } from '../dev/supervisor.js'
import { isServing } from '../dev/watch.js'

const DEFAULT_NODES = 3
const DEFAULT_PORT = 7400
const NODES_MAX = 9
const RANGES_MAX = 1_000
const REPLICAS_MAX = 3
const SERVE_MS_MAX = 60_000
const POLL_MS = 100
/** npm and the terminal both pass a Ctrl-C on: what comes within this time is the same one. */
const SAME_SIGNAL_MS = 1_000

interface DevOptions {
  readonly nodes?: number
  readonly ranges?: number
  readonly port?: number
  readonly data: string
  readonly restart: boolean
  readonly reset?: true
}

export function devCommand(context: Context): Command {
  return new Command('dev')
    .description('run a whole cluster on this machine, in the foreground')
    .addOption(
      new Option('--nodes <n>', `node processes (default: ${DEFAULT_NODES})`).argParser(
        integer({ min: 1, max: NODES_MAX }),
      ),
    )
    .addOption(
      new Option('--ranges <n>', 'cut the data into this many ranges once there is some to cut it by').argParser(
        integer({ min: 1, max: RANGES_MAX }),
      ),
    )
    .addOption(
      new Option(
        '--port <n>',
        `client port of node 1, the others follow, peers 100 above, HTTP 200; 0: free ones (default: ${DEFAULT_PORT})`,
      ).argParser(integer({ min: 0, max: 65_000 })),
    )
    .addOption(new Option('--data <folder>', 'where the cluster lives').default('.holdfast'))
    .addOption(new Option('--no-restart', 'leave a node that died dead'))
    .addOption(new Option('--reset', 'delete the data of the last time first'))
    .addHelpText(
      'after',
      `
The data stays for the next start, and so do the ports. A node that dies is started again after 2 seconds. Each node's log is
node.log beside its data.

Examples:
  holdfast dev
  holdfast dev --nodes 5 --ranges 8 --reset
  holdfast dev --port 0 --data /tmp/cluster`,
    )
    .action((options: DevOptions) => runDev(options, context))
}

async function runDev(options: DevOptions, context: Context): Promise<void> {
  const say = (line: string) => void context.terminal.write(`${new Date().toTimeString().slice(0, 8)} ${line}\n`)
  const layout = new Layout(options.data)
  const unlock = lockFolder(layout)
  try {
    if (options.reset) for (const path of layout.reset()) say(`removed ${path}`)
    const state = await stateFor(options, layout)
    const supervisor = new Supervisor({ nodes: state.nodes, layout, restart: options.restart, say })
    const stop = stopSignal(supervisor)
    try {
      await serve({ state, layout, supervisor, say, context }, stop)
    } finally {
      say('stopping all nodes')
      await supervisor.stopAll()
      say('stopped; the data stays')
    }
  } finally {
    unlock()
  }
}

interface Parts {
  readonly state: Omit<DevState, 'format'>
  readonly layout: Layout
  readonly supervisor: Supervisor
  readonly say: (line: string) => void
  readonly context: Context
}

/** What was there the last time, if it fits what is asked now. */
async function stateFor(options: DevOptions, layout: Layout): Promise<Omit<DevState, 'format'>> {
  const known = layout.read()
  if (known !== null) refuseOtherShape(known, options, layout)
  const nodes =
    known?.nodes ?? (await choosePorts({ nodes: options.nodes ?? DEFAULT_NODES, port: options.port ?? DEFAULT_PORT }))
  const advice =
    known === null
      ? 'choose others with --port N, or --port 0 for any free ones'
      : 'the nodes of this cluster know each other by it, so stop the other process, or begin anew with --reset --port 0'
  await refusePortsInUse(nodes, advice)
  layout.prepare(nodes)
  const state = { initialised: known?.initialised ?? false, ranges: options.ranges ?? known?.ranges ?? 1, nodes }
  layout.write(state)
  return state
}

function refuseOtherShape(known: DevState, options: DevOptions, layout: Layout): void {
  if (options.nodes !== undefined && options.nodes !== known.nodes.length) {
    throw new HoldfastError(
      'NOT_PERMITTED',
      `the cluster in ${layout.folder} has ${known.nodes.length} nodes, not ${options.nodes}: leave --nodes out to start it, add --reset to delete it first, or use another folder with --data`,
    )
  }
  const port = known.nodes[0]!.port
  if (options.port !== undefined && options.port !== 0 && options.port !== port) {
    throw new HoldfastError(
      'NOT_PERMITTED',
      `the cluster in ${layout.folder} uses port ${port}, not ${options.port}: leave --port out to start it, add --reset to delete it first, or use another folder with --data`,
    )
  }
}

async function serve({ state, layout, supervisor, say, context }: Parts, stop: AbortSignal): Promise<void> {
  const endpoints = state.nodes.map(({ port }) => `127.0.0.1:${port}`)
  say(`starting ${state.nodes.length} nodes in ${layout.folder}`)
  await supervisor.startAll(stop)
  if (stop.aborted) return
  if (!state.initialised) {
    await context.initCluster(endpoints.slice(0, 1), { replicas: Math.min(REPLICAS_MAX, state.nodes.length) })
    layout.write({ ...state, initialised: true })
  }
  const db = await context.connect({ endpoints, deadlineMs: SERVE_MS_MAX, signal: stop })
  try {
    const status = await waitUntilServing(db, state.nodes.length, stop)
    if (status === null) return
    await context.terminal.write(greeting(status, state, commandName(context)))
    await followEvents(status, { db, supervisor, ranges: state.ranges, say }, stop)
  } finally {
    await db.close()
  }
}

async function waitUntilServing(db: Holdfast, nodes: number, stop: AbortSignal): Promise<ClusterStatus | null> {
  const until = performance.now() + SERVE_MS_MAX
  for (;;) {
    const status = await ignoreUnavailable(() => db.status())
    if (stop.aborted) return null
    if (status !== null && isServing(status, nodes)) return status
    if (performance.now() > until) {
      throw new HoldfastError(
        'UNAVAILABLE',
        `the cluster does not serve after ${SERVE_MS_MAX / 1000} s; see each node's node.log`,
      )
    }
    await sleep(POLL_MS)
  }
}

/** Aborted by the first Ctrl-C; a later one ends the nodes without waiting for them. */
function stopSignal(supervisor: Supervisor): AbortSignal {
  const controller = new AbortController()
  let firstAt = Number.POSITIVE_INFINITY
  const onSignal = () => {
    const now = performance.now()
    if (controller.signal.aborted && now - firstAt > SAME_SIGNAL_MS) supervisor.killAll()
    if (controller.signal.aborted) return
    firstAt = now
    controller.abort()
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
  return controller.signal
}

/** How the person who started this runs the command line again. */
function commandName({ terminal }: Context): string {
  const isInstalled = basename(process.argv[1] ?? '') === 'holdfast' && terminal.env.npm_command !== 'exec'
  return isInstalled ? 'holdfast' : 'npx holdfast'
}
