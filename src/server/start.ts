import type { NodeInfo } from '../base/descriptor.js'
import { HoldfastError } from '../base/errors.js'
import type { NodeId } from '../base/ids.js'
import type { Fatal, Logger } from '../base/ports.js'
import { openDataDirectory } from '../storage/data-directory.js'
import { readIdentity, recordBoot, writeIdentity } from '../storage/identity.js'
import { startClientServer } from '../transport/client-server.js'
import { startPeerServer } from '../transport/peer-server.js'
import type { JoinAnswer, JoinRequest } from '../transport/peer-types.js'
import { formatAddress, parseAddress, refuseOpenListener } from './addresses.js'
import { Membership } from './membership.js'
import { type OpenNode, openNode } from './node.js'
import { killingFatal, newBootId, newToken } from './real-ports.js'
import { UnaryService } from './unary.js'

export interface NodeOptions {
  /** Made if it does not exist, mode 0700. */
  readonly dataDirectory: string
  /** host:port for clients; port 0 picks a free one. */
  readonly listen: string
  /** host:port for other nodes; port 0 picks a free one. */
  readonly peerListen: string
  /** How clients reach this node, where that differs from `listen`. */
  readonly advertise?: string
  /** How other nodes reach this node, where that differs from `peerListen`. */
  readonly peerAdvertise?: string
  /** Peer addresses: of the cluster to join, or before `init` of all its future members. */
  readonly join: readonly string[]
  /** Allows listeners outside loopback although nothing is encrypted. Default false. */
  readonly insecure?: boolean
  readonly logger: Logger
  /** Default: logs and kills this process. */
  readonly fatal?: Fatal
}

export interface RunningNode {
  readonly clientAddress: string
  readonly peerAddress: string
  /** null until the node belongs to a cluster. */
  readonly node: NodeId | null
  /** Drains, makes the state durable and closes everything. */
  stop(): Promise<void>
}

const CLOSE_GRACE_MS = 1_000

/** Starts one node in this process. It serves once it belongs to a cluster: by `init`, by a birth it is part of, or by joining. */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const listen = parseAddress('listen', options.listen)
  const peerListen = parseAddress('peer-listen', options.peerListen)
  refuseOpenListener('listen', listen, options.insecure ?? false)
  refuseOpenListener('peer-listen', peerListen, options.insecure ?? false)
  const join = options.join.map((address) => formatAddress(parseAddress('join', address)))
  const directory = await openDataDirectory(options.dataDirectory)
  try {
    return await startIn(directory, { ...options, join }, { listen, peerListen })
  } catch (error) {
    await directory.release()
    throw error
  }
}

async function startIn(
  directory: Awaited<ReturnType<typeof openDataDirectory>>,
  options: NodeOptions,
  listeners: { listen: { host: string; port: number }; peerListen: { host: string; port: number } },
): Promise<RunningNode> {
  const { logger } = options
  const fatal = options.fatal ?? killingFatal(logger)
  const { files } = directory
  const boot = newBootId()
  const identity = await recordBoot(files, (await readIdentity(files)) ?? newIdentity(), boot)
  let open: OpenNode | null = null
  const addresses = { clientAddress: '', peerAddress: '' }

  const membership = new Membership({
    identity,
    self: () => addresses,
    join: options.join,
    logger,
    save: (next) => writeIdentity(files, next),
    becomeMember: async ({ cluster, node, birth }) => {
      const self: NodeInfo = { node: node!, pid: process.pid, ...addresses }
      const parts = { dataDirectory: options.dataDirectory, files, cluster: cluster!, self, boot, logger, fatal }
      open = await openNode({ ...parts, birth: birth ?? { nodes: [], ranges: [] } })
      logger.log('info', 'serving', { cluster, node, ...addresses })
    },
    admit: (request) => (open === null ? null : admit(open, request)),
  })

  const peerServer = await startPeerServer({
    ...listeners.peerListen,
    logger,
    handler: {
      identity: () => open?.peers.identity ?? null,
      frame: (frame) => open?.store.receive(frame),
      nodeSeen: (info) => open?.store.nodeSeen(info),
      join: (request) => membership.join(request),
      birth: (document) => membership.birth(document),
      identify: () => membership.identify(),
    },
  })
  const unary = new UnaryService({ endpoint: () => addresses.clientAddress, status: () => open?.store.status() ?? null })
  const clientServer = await startClientServer({
    ...listeners.listen,
    logger,
    handler: {
      hello: () => open?.store.hello() ?? null,
      submit: (requests, sink) => open?.store.submit(requests, sink),
      closed: () => {},
      init: (request) => membership.init(request),
      unary,
    },
  }).catch(async (error: unknown) => {
    await peerServer.close(0)
    throw error
  })
  addresses.clientAddress = options.advertise ?? formatAddress({ host: listeners.listen.host, port: clientServer.port })
  addresses.peerAddress =
    options.peerAdvertise ?? formatAddress({ host: listeners.peerListen.host, port: peerServer.port })

  const stop = async (): Promise<void> => {
    membership.stop()
    await clientServer.close(CLOSE_GRACE_MS)
    unary.close()
    await open?.close()
    await peerServer.close(CLOSE_GRACE_MS)
    await directory.release()
  }
  await membership.start()
  return {
    ...addresses,
    get node() {
      return membership.identity.node
    },
    stop,
  }
}

function newIdentity() {
  return { format: 1 as const, cluster: null, node: null, boots: [], birth: null, token: newToken() }
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
