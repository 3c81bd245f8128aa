import { META_RANGE } from '../base/ids.js'
import type { Logger } from '../base/ports.js'
import type { AppliedEntry } from '../kv/types.js'
import type { Keeping } from './keeping.js'
import type { KnownNodes } from './known-nodes.js'
import type { MetaDuties } from './meta-duties.js'
import type { MetaIndex } from './meta-index.js'
import type { Outbox } from './outbox.js'
import type { Replica } from './replica.js'
import type { ReplicaHost } from './replica-parts.js'
import type { Requests } from './requests.js'

/** What replicas report of themselves in the course of a turn. */
export type Reports = Pick<
  ReplicaHost,
  'send' | 'onApplied' | 'onSplit' | 'onLeadership' | 'onReplicas' | 'onSnapshotsNeeded'
>

interface ReportParts {
  readonly index: MetaIndex
  readonly nodes: KnownNodes
  readonly outbox: Outbox
  readonly logger: Logger
  /** Made after the replicas' host is. */
  duties(): MetaDuties
  requests(): Requests
  keeping(): Keeping
  onApplied(replica: Replica, applied: AppliedEntry): void
}

/** Hands what replicas report to whom it concerns. */
export function reportsOf(parts: ReportParts): Reports {
  const { index, nodes, outbox, logger, duties, requests, keeping } = parts
  return {
    send(replica, message) {
      const node = replica.nodeOf(message.to)
      if (node !== null) outbox.message(node, message)
    },
    onApplied(replica, applied) {
      if (replica.range === META_RANGE) {
        for (const record of applied.records) {
          const node = index.applied(record)
          if (node !== null) nodes.told(node)
        }
      }
      if (applied.digest !== null) keeping().digests.applied(replica, applied.digest)
      parts.onApplied(replica, applied)
    },
    onSplit(parent, effect, storages) {
      if (keeping().lifecycle.split(parent, effect, storages)) duties().reportSoon()
    },
    onLeadership(replica) {
      const { raft, leaderNode, range } = replica
      const { role, term, leader } = raft
      logger.log('info', 'leadership', { range, role, term, leader, leaderNode })
      if (replica.leads) duties().reportSoon()
      else requests().leadLost(replica)
    },
    onReplicas(replica) {
      duties().reportSoon()
      const isIn = replica.descriptor.replicas.some((each) => each.replica === replica.id)
      if (!isIn) keeping().lifecycle.remove(replica)
    },
    onSnapshotsNeeded(replica, to) {
      for (const each of to) keeping().sender.start(replica, each)
    },
  }
}
