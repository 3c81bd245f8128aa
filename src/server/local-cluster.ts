import { join } from 'node:path'
import { HoldfastError } from '../base/errors.js'
import { silentLogger } from '../base/ports.js'
import { connect } from '../client/connect.js'
import type { Holdfast } from '../client/types.js'
import { openDataDirectory } from '../storage/data-directory.js'
import { newIdentity, writeIdentity } from '../storage/identity.js'
import { makeTemporaryDirectory } from '../storage/temporary-directory.js'
import { drawBirth } from './birth.js'
import { takeFreePorts } from './free-ports.js'
import { newClusterId, newToken } from './real-ports.js'
import { type NodeOptions, type RunningNode, startNode } from './start.js'

export interface LocalClusterOptions {
  /** 1 to 7. Default 3. */
  readonly nodes?: number
}

/** A real cluster in this process. */
export interface LocalCluster {
  /** Connected to all nodes; closed by `stop`. */
  readonly db: Holdfast
  /** Client addresses, for `connect`: one more client, or a service that makes its own. */
  readonly endpoints: readonly string[]
  /** Ends the client and all nodes, and removes their data. Rejects if a node had ended itself. A second call waits for the first. */
  stop(): Promise<void>
  /** `stop`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}

const NODES_MAX = 7
const READY_MS_MAX = 30_000
/** Little data, and a log file is filled with zeros before it is used. */
const SEGMENT_BYTES = 4 * 1024 * 1024
/** A port that was free may be taken by the time a node listens on it. */
const ATTEMPTS_MAX = 5

type Place = Pick<NodeOptions, 'dataDirectory' | 'listen' | 'peerListen'>

/**
 * Starts nodes of one cluster on free ports of the loopback interface, with data in a temporary directory, and resolves when it serves.
 * All is real: disk, fsync, sockets, elections. Nothing is left when `stop` has resolved: no file, port or timer.
 */
export async function startLocalCluster({ nodes: count = 3 }: LocalClusterOptions = {}): Promise<LocalCluster> {
  if (!Number.isInteger(count) || count < 1 || count > NODES_MAX) {
    throw new HoldfastError('INVALID_ARGUMENT', `nodes: expected 1 to ${NODES_MAX}, got ${count}`)
  }
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(count)
    } catch (error) {
      if (attempt === ATTEMPTS_MAX || (error as { code?: unknown }).code !== 'EADDRINUSE') throw error
    }
  }
}

async function startOnce(count: number): Promise<LocalCluster> {
  const directory = await makeTemporaryDirectory('holdfast-local-')
  const ends: (() => Promise<unknown>)[] = [() => directory.remove()]
  const failures: string[] = []
  let stopped: Promise<void> | null = null
  const stop = (): Promise<void> => {
    stopped ??= closeAll(ends, failures)
    return stopped
  }
  try {
    const { ports, release } = await takeFreePorts(2 * count)
    ends.push(release)
    const places = await giveBirth(directory.path, count, ports)
    const nodes: RunningNode[] = []
    ends.push(() => Promise.all(nodes.map((node) => node.stop({ handOver: false }))))
    const results = await Promise.allSettled(places.map((place) => start(place, failures)))
    for (const result of results) if (result.status === 'fulfilled') nodes.push(result.value)
    for (const result of results) if (result.status === 'rejected') throw result.reason
    const endpoints = nodes.map(({ clientAddress }) => clientAddress)
    const db = await connect({ endpoints })
    ends.push(() => db.close())
    // Answered once there is a leader that serves.
    await db.get('ready', { deadlineMs: READY_MS_MAX })
    return { db, endpoints, stop, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop().catch(() => {})
    throw error
  }
}

/** Every data directory begins with what the cluster begins with: no node has to be told, and none waits for another. */
async function giveBirth(path: string, count: number, ports: readonly number[]): Promise<Place[]> {
  const members = Array.from({ length: count }, (_, at) => ({
    token: newToken(),
    cluster: null,
    node: null,
    pid: process.pid,
    clientAddress: `127.0.0.1:${ports[2 * at]}`,
    peerAddress: `127.0.0.1:${ports[2 * at + 1]}`,
    nodes: [],
  }))
  const { cluster, nodes, ranges, tokens } = drawBirth(newClusterId(), members, { replicas: null, splitAt: [] })
  const birth = { nodes: [...nodes], ranges: [...ranges], tokens: [...tokens] }
  return Promise.all(
    nodes.map(async ({ node, clientAddress, peerAddress }, at) => {
      const dataDirectory = join(path, `node-${node}`)
      const { files, release } = await openDataDirectory(dataDirectory)
      try {
        await writeIdentity(files, { ...newIdentity(members[at]!.token), cluster, node, birth })
      } finally {
        await release()
      }
      return { dataDirectory, listen: clientAddress, peerListen: peerAddress }
    }),
  )
}

function start(place: Place, failures: string[]): Promise<RunningNode> {
  return startNode({
    ...place,
    join: [],
    logger: silentLogger,
    logSegmentBytes: SEGMENT_BYTES,
    fatal: (reason, cause) => {
      failures.push(`${place.listen}: ${reason}`)
      throw new Error(reason, { cause })
    },
  })
}

/** What was opened last is closed first; all of it, also where one fails. */
async function closeAll(ends: (() => Promise<unknown>)[], failures: string[]): Promise<void> {
  for (const end of ends.splice(0).reverse()) {
    await end().catch((error: unknown) => failures.push(error instanceof Error ? error.message : String(error)))
  }
  if (failures.length > 0) throw new Error(`the local cluster failed: ${failures.join('; ')}`)
}
