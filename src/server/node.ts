import { join } from 'node:path'
import type { NodeInfo } from '../base/descriptor.js'
import type { HoldfastError } from '../base/errors.js'
import type { BootId } from '../base/ids.js'
import { limits } from '../base/limits.js'
import type { Clock, Fatal, Logger, Metrics } from '../base/ports.js'
import { replicaCodec } from '../storage/codec/replica-codec.js'
import type { DataDirectory } from '../storage/data-directory.js'
import { historyOf, type Identity } from '../storage/identity.js'
import { openStateDb } from '../storage/leveldb/open.js'
import { openOwnLog } from '../storage/own-log.js'
import { openStateStore } from '../storage/state/state-store.js'
import type { Files } from '../storage/types.js'
import { Store } from '../store/store.js'
import { GrpcPeers } from '../transport/peers.js'
import { newToken, realClock, realRandom } from './real-ports.js'

export interface OpenNodeOptions {
  readonly dataDirectory: string
  readonly files: Files
  /** See DataDirectory. */
  readonly putAside: DataDirectory['putAside']
  /** Of a member of a cluster. */
  readonly identity: Identity
  readonly self: NodeInfo
  readonly boot: BootId
  /** The process before this one did not end in order: all tables of the state are checked before anything is read. */
  readonly suspect: boolean
  /** Of the log. */
  readonly segmentBytes: number
  /** What the store defers is its turn. */
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  readonly fatal: Fatal
  /** Another node refuses this one, which may have forgotten what it promised. */
  readonly onKeptOut: (error: HoldfastError) => void
}

export interface OpenNode {
  readonly store: Store
  readonly peers: GrpcPeers
  close(): Promise<void>
}

/** The real node: its log, its state store and its peers under one store. The simulator composes the same over other ports. */
export async function openNode(options: OpenNodeOptions): Promise<OpenNode> {
  const { self, boot, clock, logger, metrics, fatal, onKeptOut } = options
  const { log, identity } = await openOwnLog({ ...options, clock: realClock, newToken })
  const { db, verdict } = await openStateDb(join(options.dataDirectory, 'state'), {
    disk: log.node.disk,
    marker: log.node.stateMarker,
    suspect: options.suspect,
    nextStorage: log.node.nextStorage,
    logger,
  }).catch(async (error: unknown) => {
    await log.close()
    throw error
  })
  if (verdict.kind !== 'whole') {
    const what = verdict.kind === 'lost' ? verdict.what : verdict.damage.what
    logger.log(
      'error',
      `the state is ${verdict.kind}: ${what}. Replicas that it concerns are given up and fetched anew`,
    )
  }
  const { latestCacheBytes: cacheBytes, latestCacheValueBytesMax: cacheValueBytesMax } = limits
  const state = openStateStore({
    db,
    cacheBytes,
    cacheValueBytesMax,
    clock: realClock,
    onDamage: (damage) => store.stateDamaged(damage),
    fatal,
    logger,
  })
  const cluster = identity.cluster!
  const own = { cluster, node: self.node, boot, info: self, history: historyOf(identity) }
  const lastBatch = () => log.lastBatch
  const peers = new GrpcPeers({ identity: own, lastBatch, clock: realClock, logger, random: realRandom, onKeptOut })
  const birth = identity.birth ?? { nodes: [], ranges: [] }
  const store: Store = new Store({
    stateVerdict: verdict,
    cluster,
    self,
    boot,
    birth,
    log,
    state,
    codec: replicaCodec,
    transport: peers,
    clock,
    random: realRandom,
    logger,
    metrics,
    fatal,
    onNode: (info) => peers.setPeer(info),
  })
  peers.onDown = (node) => store.peerDown(node)
  for (const info of birth.nodes) if (info.node !== self.node) peers.setPeer(info)
  await new Promise<void>((resolve) => store.start(resolve))
  return {
    store,
    peers,
    async close() {
      await new Promise<void>((resolve) => store.stop(resolve))
      await peers.close()
      await log.close()
      await state.close()
    },
  }
}
