import { existsSync } from 'node:fs'
import { isIP } from 'node:net'
import { Command, Option } from 'commander'
import { errorCatalogue, HoldfastError } from '../../src/base/errors.js'
import type { LogLevel } from '../../src/base/ports.js'
import type { RunningNode } from '../../src/server/index.js'
import { address, addressList, addressOrOff, integer, splitAddress } from '../arguments.js'
import type { Context } from '../context.js'
import { type ProcessLogger, processLogger } from '../logging.js'
import {
  CONFIG_FILE,
  logLevels,
  readStartSettings,
  type StartSettings,
  settingNames,
  variableOf,
} from '../start-config.js'
import { tellParent, watchParent } from '../supervised.js'

const DEFAULTS = {
  data: 'holdfast-data',
  listen: '127.0.0.1:7400',
  peerListen: '127.0.0.1:7500',
  logLevel: 'info',
} as const

/** Between the client port and the others when only that one is named. */
const PEER_PORT_OFFSET = 100
const HTTP_PORT_OFFSET = 200
const PORT_MAX = 65_535
/** A stop that takes longer than this is cut off; nothing acknowledged depends on it. */
const STOP_MS_MAX = 15_000

interface StartFlags {
  readonly config?: string
  readonly port?: number
  readonly data?: string
  readonly listen?: string
  readonly peerListen?: string
  readonly http?: string
  readonly advertise?: string
  readonly peerAdvertise?: string
  readonly join?: readonly string[]
  readonly insecure?: true
  readonly logLevel?: (typeof logLevels)[number]
}

export function startCommand(context: Context): Command {
  return new Command('start')
    .description('run one node in the foreground')
    .addOption(new Option('--data <folder>', `its data (default: ${DEFAULTS.data})`))
    .addOption(new Option('--listen <host:port>', `for clients (default: ${DEFAULTS.listen})`).argParser(address))
    .addOption(
      new Option('--peer-listen <host:port>', `for other nodes (default: ${DEFAULTS.peerListen})`).argParser(address),
    )
    .addOption(
      new Option(
        '--http <host:port>',
        `for who watches it: /livez, /readyz, /metrics; off: none (default: loopback, ${HTTP_PORT_OFFSET} above the client port)`,
      ).argParser(addressOrOff),
    )
    .addOption(new Option('--advertise <host:port>', 'what clients dial, if not --listen').argParser(address))
    .addOption(
      new Option('--peer-advertise <host:port>', 'what other nodes dial, if not --peer-listen').argParser(address),
    )
    .addOption(new Option('--join <host:port,…>', 'peer addresses of other nodes').argParser(addressList))
    .addOption(
      new Option('--port <n>', `client port on loopback, peers ${PEER_PORT_OFFSET} above; 0: any free ones`)
        .argParser(integer({ min: 0, max: PORT_MAX - HTTP_PORT_OFFSET }))
        .conflicts(['listen', 'peerListen']),
    )
    .addOption(
      new Option('--insecure', 'allow addresses outside loopback, though there is neither encryption nor login'),
    )
    .addOption(
      new Option('--log-level <level>', `least level that is logged (default: ${DEFAULTS.logLevel})`).choices(
        logLevels,
      ),
    )
    .addOption(new Option('--config <file>', `settings in YAML (default: ${CONFIG_FILE}, if there is one)`))
    .addHelpText(
      'after',
      `
Settings come from the file, then the environment, then flags; later ones win. Unknown names are refused. The same setting is called
${namesTable()}
A new cluster needs one "holdfast init" after its nodes have been started; a node started later just joins.
Logs JSON to standard output. SIGTERM and Ctrl-C stop it in order.

Examples:
  holdfast start --data /var/lib/holdfast
  holdfast start --data n2 --port 7401 --join 127.0.0.1:7500
  holdfast start --config /etc/holdfast.yaml --log-level warn`,
    )
    .action(async (flags: StartFlags) => {
      context.exitCode = await runNode(settingsOf(flags, context))
    })
}

/** In the file, in the environment, as a flag. */
function namesTable(): string {
  return settingNames.map((name) => `  ${name.padEnd(16)}${variableOf(name).padEnd(26)}--${name}`).join('\n')
}

interface NodeSettings {
  readonly data: string
  readonly listen: string
  readonly peerListen: string
  /** null: none. */
  readonly http: string | null
  readonly advertise: string | undefined
  readonly peerAdvertise: string | undefined
  readonly join: readonly string[]
  readonly insecure: boolean
  readonly logLevel: LogLevel
}

function settingsOf(flags: StartFlags, context: Context): NodeSettings {
  const file = flags.config ?? (existsSync(CONFIG_FILE) ? CONFIG_FILE : null)
  const settings = readStartSettings({ file, env: context.terminal.env, flags: settingsOfFlags(flags) })
  const listen = settings.listen ?? DEFAULTS.listen
  const http = settings.http ?? besidePort(listen)
  return {
    data: settings.data ?? DEFAULTS.data,
    listen,
    peerListen: settings['peer-listen'] ?? DEFAULTS.peerListen,
    http: http === 'off' ? null : http,
    advertise: settings.advertise,
    peerAdvertise: settings['peer-advertise'],
    join: settings.join ?? [],
    insecure: settings.insecure ?? false,
    logLevel: settings['log-level'] ?? DEFAULTS.logLevel,
  }
}

/** Where a node is watched if nobody says so: nodes of one machine don't get in each other's way. */
function besidePort(listen: string): string {
  const { port } = splitAddress(listen)
  const http = port === 0 ? 0 : port + HTTP_PORT_OFFSET
  return `127.0.0.1:${http > PORT_MAX ? 0 : http}`
}

function settingsOfFlags(flags: StartFlags): StartSettings {
  const given: StartSettings = {
    data: flags.data,
    listen: flags.port === undefined ? flags.listen : `127.0.0.1:${flags.port}`,
    'peer-listen':
      flags.port === undefined ? flags.peerListen : `127.0.0.1:${flags.port === 0 ? 0 : flags.port + PEER_PORT_OFFSET}`,
    http: flags.http,
    advertise: flags.advertise,
    'peer-advertise': flags.peerAdvertise,
    join: flags.join === undefined ? undefined : [...flags.join],
    insecure: flags.insecure,
    'log-level': flags.logLevel,
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

/** Resolves to the exit code once the node has stopped. */
async function runNode(settings: NodeSettings): Promise<number> {
  const logger = processLogger(settings.logLevel)
  endOnContradiction(logger)
  const stopAsked = waitForStop(logger)
  try {
    const node = await open(settings, logger)
    const { clientAddress, peerAddress, httpAddress } = node
    logger.log('info', 'ready', { clientAddress, peerAddress, httpAddress, node: node.node, data: settings.data })
    tellParent({ kind: 'ready', clientAddress, peerAddress, node: node.node })
    const ended = await Promise.race([stopAsked, node.ended])
    await stopInTime(node, logger)
    return ended === undefined ? 0 : errorCatalogue[ended.code].exit
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    logger.log('error', `did not start: ${message}`, error instanceof HoldfastError ? { code: error.code } : {})
    tellParent({ kind: 'failed', message })
    throw error
  } finally {
    logger.flush()
  }
}

async function open(settings: NodeSettings, logger: ProcessLogger): Promise<RunningNode> {
  if (settings.listen === settings.peerListen && splitAddress(settings.listen).port !== 0) {
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      `--listen and --peer-listen are both ${settings.listen}: they must differ`,
    )
  }
  // Loaded only here: no other command needs the server's packages in memory.
  const { startNode } = await import('../../src/server/index.js')
  try {
    const { data, http, advertise, peerAdvertise, logLevel: _, ...same } = settings
    return await startNode({
      ...same,
      dataDirectory: data,
      ...(http === null ? {} : { http }),
      ...(advertise === undefined ? {} : { advertise }),
      ...(peerAdvertise === undefined ? {} : { peerAdvertise }),
      logger,
    })
  } catch (error) {
    throw namingTheFlag(error, settings)
  }
}

const LISTEN_PROBLEMS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is in use by another process',
  EACCES: 'may not be opened by this user',
  EADDRNOTAVAIL: 'is no address of this machine',
  ENOTFOUND: 'is no name of this machine',
}

/** An address that can't be listened on is told with the flag that changes it. */
function namingTheFlag(error: unknown, { listen, peerListen, http }: NodeSettings): unknown {
  if (!isOfListening(error)) return error
  const problem = LISTEN_PROBLEMS[error.code]
  if (problem === undefined) return error
  const all = [
    { flag: '--listen', asked: listen },
    { flag: '--peer-listen', asked: peerListen },
    ...(http === null ? [] : [{ flag: '--http', asked: http }]),
  ]
  const where = error.address ?? error.hostname
  const isOf = ({ host, port }: { host: string; port: number }) =>
    // Of a name that was resolved the error says the address only.
    (host === where || (where === error.address && isIP(host) === 0)) && (error.port ?? port) === port
  const { flag, asked } = all.find((each) => isOf(splitAddress(each.asked))) ?? all[0]!
  return new HoldfastError('UNAVAILABLE', `${asked} ${problem}: choose another address with ${flag}`, { cause: error })
}

interface ListenError extends Error {
  readonly code: string
  readonly port?: number
  readonly address?: string
  readonly hostname?: string
}

/** Not of a file: that may be refused with EACCES, too. */
function isOfListening(error: unknown): error is ListenError {
  return (
    error instanceof Error && 'syscall' in error && ['listen', 'bind', 'getaddrinfo'].includes(String(error.syscall))
  )
}

/** What nobody caught leaves the process in a state nobody knows: it ends, with the reason in the log. */
function endOnContradiction(logger: ProcessLogger): void {
  const end = (kind: string) => (cause: unknown) => {
    logger.log('error', `${kind}: this node ends`, { cause: cause instanceof Error ? cause.stack : String(cause) })
    process.kill(process.pid, 'SIGKILL')
  }
  process.on('uncaughtException', end('uncaught exception'))
  process.on('unhandledRejection', end('unhandled rejection'))
}

/** By signal, or because the process that supervises this one is gone. */
function waitForStop(logger: ProcessLogger): Promise<void> {
  return new Promise((resolve) => {
    let isAsked = false
    const stop = (reason: string) => {
      if (isAsked) return
      isAsked = true
      logger.log('info', 'stopping', { reason })
      resolve()
    }
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop(signal))
    watchParent(() => stop('the parent process ended'))
  })
}

async function stopInTime(node: RunningNode, logger: ProcessLogger): Promise<void> {
  const cut = setTimeout(() => {
    logger.log('warn', 'the stop took too long and was cut off', { afterMs: STOP_MS_MAX })
    logger.flush()
    process.exit(0)
  }, STOP_MS_MAX)
  await node.stop()
  clearTimeout(cut)
  logger.log('info', 'stopped')
  // Whatever still holds the event loop (an IPC channel) must not keep the process.
  if (process.connected) process.disconnect()
}
