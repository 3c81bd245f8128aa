import type { NodeInfo } from '../base/descriptor.js'
import { HoldfastError } from '../base/errors.js'
import type { NodeId } from '../base/ids.js'
import { limits } from '../base/limits.js'
import type { Fatal, Logger } from '../base/ports.js'
import { BootsSeen } from '../storage/boots-seen.js'
import { type DataDirectory, openDataDirectory } from '../storage/data-directory.js'
import { isDiskFull } from '../storage/disk-full.js'
import { writeIdentity } from '../storage/identity.js'
import { startClientServer } from '../transport/client-server.js'
import { startPeerServer } from '../transport/peer-server.js'
import type { JoinAnswer, JoinRequest } from '../transport/peer-types.js'
import {
  formatAddress,
  type HostPort,
  parseAddress,
  parseDialled,
  refuseOpenListener,
  refuseUnnamed,
} from './addresses.js'
import { Ending } from './ending.js'
import { refuseSharedPort, startHttp } from './http.js'
import { Membership } from './membership.js'
import { NodeMetrics } from './metrics.js'
import { type OpenNode, openNode } from './node.js'
import { NodeLogger } from './node-logger.js'
import { OrderlyEnd } from './orderly-end.js'
import { ownIdentity } from './own-identity.js'
import { killingFatal, newBootId, realClock } from './real-ports.js'
import { UnaryService } from './unary.js'
import { Watch } from './watch.js'

export interface NodeOptions {
  /** Made if it does not exist, mode 0700. */
  readonly dataDirectory: string
  /** host:port for clients; port 0 picks a free one. */
  readonly listen: string
  /** host:port for other nodes; port 0 picks a free one. */
  readonly peerListen: string
  /** host:port for who watches the node: /livez, /readyz, /metrics. Absent: none. Port 0 picks a free one. */
  readonly http?: string
  /** How clients reach this node, where that differs from `listen`. Required where that names no single address (0.0.0.0). */
  readonly advertise?: string
  /** How other nodes reach this node, where that differs from `peerListen`. */
  readonly peerAdvertise?: string
  /** Peer addresses: of the cluster to join, or before `init` of all its future members. */
  readonly join: readonly string[]
  /** Allows listeners outside loopback although nothing is encrypted. Default false. */
  readonly insecure?: boolean
  /** Size of the files of the log; two are made at the first start. A larger batch gets a larger one. Default 32 MiB. */
  readonly logSegmentBytes?: number
  readonly logger: Logger
  /** Default: logs and kills this process. */
  readonly fatal?: Fatal
}

export interface RunningNode {
  readonly clientAddress: string
  readonly peerAddress: string
  /** null: there is none. */
  readonly httpAddress: string | null
  /** null until the node belongs to a cluster. */
  readonly node: NodeId | null
  /**
   * Resolves when the node found that it must not go on: other nodes know more of it than its data directory does, so it may have
   * forgotten what it promised. It is stopped then. The error says by which command it comes back.
   */
  readonly ended: Promise<HoldfastError>
  /**
   * Hands its leads to other nodes, answers what is open, makes the state durable and closes everything. A second call waits for the
   * first. `handOver` false: where all nodes stop nobody takes a lead, and waiting for it is vain. Default true.
   */
  stop(how?: { readonly handOver?: boolean }): Promise<void>
}

const CLOSE_GRACE_MS = 1_000

interface Addresses {
  readonly listen: HostPort
  readonly peerListen: HostPort
  readonly http: HostPort | null
  readonly advertise: HostPort | null
  readonly peerAdvertise: HostPort | null
  readonly join: readonly string[]
}

/**
 * Starts one node in this process. It serves once it belongs to a cluster: by `init`, by a birth it is part of, or by joining.
 *
 * Rejects with a HoldfastError that names what is wrong with an option or the data directory, WRONG_CLUSTER where `join`
 * leads to another cluster than the data directory belongs to, DISK_FULL where its disk has no room, or with the error of `listen`.
 * Nothing stays open then.
 */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const addresses = addressesOf(options)
  const metrics = new NodeMetrics()
  const open: Closing[] = []
  try {
    const directory = await openDataDirectory(options.dataDirectory, { metrics })
    open.push(() => directory.release())
    return await startIn({ directory, metrics }, options, addresses, open)
  } catch (error) {
    await closeAll(open)
    throw isDiskFull(error as Error) ? noRoom(options.dataDirectory, error) : error
  }
}

/** A start is written down before the node tells anybody of it: without room it can't serve reads either. */
function noRoom(directory: string, cause: unknown): HoldfastError {
  const what = `no space is left on the device of the data directory ${directory}, and a node writes at every start`
  return new HoldfastError('DISK_FULL', `${what}. Free some, then start it again: nothing of it is lost`, { cause })
}

function addressesOf(options: NodeOptions): Addresses {
  const { advertise, peerAdvertise } = options
  const addresses = {
    listen: parseAddress('listen', options.listen),
    peerListen: parseAddress('peer-listen', options.peerListen),
    http: options.http === undefined ? null : parseAddress('http', options.http),
    advertise: advertise === undefined ? null : parseDialled('advertise', advertise),
    peerAdvertise: peerAdvertise === undefined ? null : parseDialled('peer-advertise', peerAdvertise),
    join: options.join.map((address) => formatAddress(parseDialled('join', address))),
  }
  refuseOpenListener('listen', addresses.listen, options.insecure ?? false)
  refuseOpenListener('peer-listen', addresses.peerListen, options.insecure ?? false)
  if (addresses.http !== null) refuseOpenListener('http', addresses.http, options.insecure ?? false)
  refuseSharedPort(addresses.http, { listen: addresses.listen, 'peer-listen': addresses.peerListen })
  if (addresses.advertise === null) refuseUnnamed('listen', addresses.listen)
  if (addresses.peerAdvertise === null) refuseUnnamed('peer-listen', addresses.peerListen)
  return addresses
}

type Closing = () => Promise<void>

/** What was opened last is closed first, everything once. */
async function closeAll(open: Closing[]): Promise<void> {
  for (const close of open.splice(0).reverse()) await close()
}

/** Whatever it opens it puts into `opened`, also when it fails half way. */
async function startIn(
  { directory: { files, putAside }, metrics }: { directory: DataDirectory; metrics: NodeMetrics },
  options: NodeOptions,
  asked: Addresses,
  opened: Closing[],
): Promise<RunningNode> {
  let nodeId: NodeId | null = null
  const logger = new NodeLogger(options.logger, () => nodeId, realClock)
  opened.push(async () => logger.flush())
  const fatal = options.fatal ?? killingFatal(logger)
  const boot = newBootId()
  const { dataDirectory } = options
  const peerAddress = formatAddress(asked.peerAdvertise ?? asked.peerListen)
  const identity = await ownIdentity({ files, dataDirectory, join: asked.join, peerAddress })
  nodeId = identity.node
  const bootsSeen = await BootsSeen.open(files, { clock: realClock, logger })
  opened.push(() => bootsSeen.close())
  const end = await OrderlyEnd.begin(files, identity, logger)
  opened.push(() => end.mark())
  const watch = new Watch({ metrics, isMember: () => membership.identity.node !== null })
  opened.push(async () => watch.close())
  let stopped: Promise<void> | null = null
  let handsOver = true
  const stop = ({ handOver = true } = {}): Promise<void> => {
    watch.phase = 'draining'
    handsOver &&= handOver
    stopped ??= closeAll(opened)
    return stopped
  }
  const ending = new Ending({ dataDirectory, logger }, stop)
  let open: OpenNode | null = null
  const addresses = { clientAddress: '', peerAddress: '' }

  const membership = new Membership({
    identity,
    self: () => addresses,
    join: asked.join,
    logger,
    fatal,
    save: (next) => writeIdentity(files, next),
    becomeMember: async (member) => {
      const { cluster, node } = member
      const self: NodeInfo = { node: node!, pid: process.pid, ...addresses }
      const onKeptOut = (error: HoldfastError) => ending.keptOut(error)
      const { clock } = watch
      const { isSuspect: suspect } = end
      const { logSegmentBytes: segmentBytes = limits.logSegmentBytes } = options
      const given = { dataDirectory, files, putAside, self, boot, segmentBytes }
      const parts = { ...given, suspect, clock, logger, metrics, fatal, onKeptOut }
      nodeId = node
      open = await end.opening(() => openNode({ ...parts, identity: member }))
      watch.open = open
      logger.log('info', 'serving', { cluster, node, ...addresses })
    },
    nodes: () => open?.store.hello().nodes ?? [],
    isConnected: (node) => open?.peers.isConnected(node) ?? false,
    nodeSeen: (info) => open?.store.nodeSeen(info),
    admit: (request) => (open === null ? null : admit(open, request)),
  })

  const http = asked.http === null ? null : await startHttp(asked.http, watch, logger)
  if (http !== null) opened.push(() => http.close())
  const peerServer = await startPeerServer({
    ...asked.peerListen,
    logger,
    handler: {
      identity: () => open?.peers.identity ?? null,
      admit: ({ info, boot: theirs, history }) => bootsSeen.admit({ node: info.node, boot: theirs, history }),
      logReaches: (reached) => bootsSeen.heard(reached),
      frame: (frame) => open?.store.receive(frame),
      nodeSeen: (info) => open?.store.nodeSeen(info),
      join: (request) => membership.join(request),
      birth: (document) => membership.birth(document),
      identify: () => membership.identify(),
    },
  })
  watch.peerServer = peerServer
  opened.push(() => peerServer.close(CLOSE_GRACE_MS))
  opened.push(async () => {
    if (open !== null) await end.closing(() => open!.close())
  })
  const unary = new UnaryService({
    endpoint: () => addresses.clientAddress,
    status: () => open?.store.status() ?? null,
  })
  const clientServer = await startClientServer({
    ...asked.listen,
    logger,
    metrics,
    handler: {
      hello: () => open?.store.hello() ?? null,
      submit: (requests, sink) => open?.store.submit(requests, sink),
      closed: () => {},
      init: (request) => membership.init(request),
      unary,
    },
  })
  watch.clients = clientServer
  opened.push(async () => unary.close())
  opened.push(() => clientServer.close(CLOSE_GRACE_MS))
  // While clients are still served: each lead goes to a node that they are then sent to, and none waits for an election.
  opened.push(async () => {
    if (open !== null && handsOver) await drained(open)
  })
  // First of all: from then on the node becomes no member any more, and what it is becoming is there to be closed.
  opened.push(() => membership.stop())
  addresses.clientAddress = formatAddress(asked.advertise ?? { host: asked.listen.host, port: clientServer.port })
  addresses.peerAddress = formatAddress(asked.peerAdvertise ?? { host: asked.peerListen.host, port: peerServer.port })
  await membership.start()
  if (stopped === null) watch.phase = 'running'
  return {
    ...addresses,
    httpAddress: http?.address ?? null,
    ended: ending.ended,
    get node() {
      return membership.identity.node
    },
    stop,
  }
}

/** This node leads nothing any more, as far as others could take over. */
function drained({ store }: OpenNode): Promise<void> {
  return new Promise((resolve) => store.drain(resolve))
}

function admit({ store, peers }: OpenNode, request: JoinRequest): Promise<JoinAnswer> {
  return new Promise((resolve, reject) => {
    store.join(request, (result) => {
      const { cluster, nodes } = store.hello()
      if (result.kind === 'joined') return resolve({ kind: 'joined', cluster, node: result.node, nodes })
      const leader =
        result.leader === null || result.leader === peers.identity.node ? undefined : store.node(result.leader)
      if (leader === undefined) return reject(new HoldfastError('UNAVAILABLE', 'the meta range has no leader just now'))
      resolve({ kind: 'redirect', peerAddress: leader.peerAddress })
    })
  })
}
