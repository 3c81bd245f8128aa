import { join } from 'node:path'
import type { NodeInfo } from '../base/descriptor.js'
import type { BootId, ClusterId } from '../base/ids.js'
import { limits } from '../base/limits.js'
import type { Clock, Fatal, Logger } from '../base/ports.js'
import { recordDigest } from '../storage/codec/digest.js'
import { decodeCommands, encodeCommands } from '../storage/codec/entry.js'
import { openStateDb } from '../storage/leveldb/open.js'
import { openNodeLog } from '../storage/log/log.js'
import { openStateStore } from '../storage/state/state-store.js'
import type { Files } from '../storage/types.js'
import type { Birth } from '../store/factory.js'
import { Store } from '../store/store.js'
import { GrpcPeers } from '../transport/peers.js'
import { realClock, realRandom } from './real-ports.js'

export interface OpenNodeOptions {
  readonly dataDirectory: string
  readonly files: Files
  readonly cluster: ClusterId
  readonly self: NodeInfo
  readonly boot: BootId
  readonly birth: Birth
  /** What the store defers is its turn. */
  readonly clock: Clock
  readonly logger: Logger
  readonly fatal: Fatal
}

export interface OpenNode {
  readonly store: Store
  readonly peers: GrpcPeers
  close(): Promise<void>
}

/** The real node: its log, its state store and its peers under one store. The simulator composes the same over other ports. */
export async function openNode(options: OpenNodeOptions): Promise<OpenNode> {
  const { cluster, self, boot, birth, files, clock, logger, fatal } = options
  const log = await openNodeLog({ files, segmentBytes: limits.logSegmentBytes, clock: realClock, fatal, logger })
  const { db } = await openStateDb(join(options.dataDirectory, 'state'), {
    disk: log.node.disk,
    marker: log.node.stateMarker,
    suspect: false,
    logger,
  })
  const { latestCacheBytes: cacheBytes, latestCacheValueBytesMax: cacheValueBytesMax } = limits
  const state = openStateStore({
    db,
    cacheBytes,
    cacheValueBytesMax,
    clock: realClock,
    onDamage: ({ what }) => fatal(`the state is damaged: ${what}`),
    fatal,
    logger,
  })
  const identity = { cluster, node: self.node, boot, info: self }
  const peers = new GrpcPeers({ identity, clock: realClock, logger, random: realRandom })
  const store = new Store({
    cluster,
    self,
    boot,
    birth,
    log,
    state,
    codec: { encodeCommands, decodeCommands, recordDigest },
    transport: peers,
    clock,
    random: realRandom,
    logger,
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
