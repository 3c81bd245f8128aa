import type { NodeId, Version } from '../../base/ids.js'
import { decodeRecordKey } from '../../storage/state/keys.js'
import type { NodeLog } from '../../storage/types.js'
import { JOURNAL, storageOf } from '../state-damage.js'
import type { RecordsModel } from './records.js'
import type { Violations } from './violations.js'

/**
 * A state holds nothing that its own log has forgotten: each record is of an entry that the log still has or, if not that, is covered
 * by a checkpoint in it. `keys`: all of the state database, when its node has opened its log: that is when a power cut shows what was written in which order.
 */
export function checkStateCovered(
  { node, recovered, keys }: { node: NodeId; recovered: NodeLog['recovered']; keys: readonly Uint8Array[] },
  { model, violations }: { model: RecordsModel; violations: Violations },
): void {
  /** Per storage id: up to which version a checkpoint covers it. */
  const covered = new Map<number, Version>()
  for (const { checkpoint } of recovered.values()) {
    for (const { storage } of checkpoint?.storages ?? []) {
      const { clock } = checkpoint!.bookkeeping
      if (clock >= (covered.get(storage) ?? 0)) covered.set(storage, clock)
    }
  }
  for (const physical of keys) {
    const storage = storageOf(physical)
    const upTo = covered.get(storage)
    // Of no state: what is left of one, or what a snapshot brought that was not installed.
    if (storage === JOURNAL || upTo === undefined) continue
    const { key, version } = decodeRecordKey(physical)
    if (version <= upTo) continue
    const range = model.writerOf(key, version)
    const log = range === undefined ? undefined : recovered.get(range)
    if (log?.forgot === true) continue
    violations.require(
      (log?.lastTimestamp ?? 0) >= version,
      () =>
        `the state of node ${node} holds ${JSON.stringify(key)} of version ${version}, and its log of range ${range} ends at ${log?.lastTimestamp}`,
    )
  }
}
