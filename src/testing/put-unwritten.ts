import { assert } from '../base/assert.js'
import type { RangeId, StorageId } from '../base/ids.js'
import type { StateRecord } from '../kv/types.js'
import { encodeBatch } from '../storage/state/encode-batch.js'
import type { SimCluster } from './cluster.js'

/**
 * Puts a record that no entry wrote into the state of a replica, with all its checksums right. Its node must be down, and have
 * checkpointed what the record hides: replay would bring that into the cache.
 */
export function putUnwritten(
  cluster: SimCluster,
  at: { readonly node: number; readonly range: RangeId; readonly storage: StorageId },
  record: StateRecord,
): void {
  const node = cluster.node(at.node)
  assert(!node.isUp, 'the state of a node that runs is altered', at.node)
  cluster.alters(at.node, at.range)
  const { db } = node.disk
  db.isAltered = true
  db.batch(encodeBatch({ records: [{ storage: at.storage, record }], journals: [] }, null).puts, () => {})
}
