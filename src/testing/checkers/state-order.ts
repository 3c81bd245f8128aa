import type { Key, LogIndex, NodeId, RangeId, StorageId, Term, Version } from '../../base/ids.js'
import type { StateRecord } from '../../kv/types.js'
import { contains } from '../../range/span.js'
import { decodeRecordKey } from '../../storage/state/keys.js'
import type { Replica } from '../../store/replica.js'
import { JOURNAL, storageOf } from '../state-damage.js'
import type { LogChecker } from './logs.js'
import type { Violations } from './violations.js'

/** The entry that wrote a record. */
interface Place {
  readonly range: RangeId
  readonly index: LogIndex
  readonly term: Term
}

type Storing = Pick<Replica, 'range' | 'applied' | 'appliedTerm' | 'descriptor' | 'storages'>

/**
 * The state database gets a record only once the node's own log holds its entry durably: after a power cut the state has nothing that
 * the log it is replayed from has forgotten.
 */
export class StateOrderChecker {
  readonly #violations: Violations
  readonly #logs: Pick<LogChecker, 'holds'>
  readonly #writers = new Map<Key, Map<Version, Place>>()

  constructor(violations: Violations, logs: Pick<LogChecker, 'holds'>) {
    this.#violations = violations
    this.#logs = logs
  }

  /** The entry was applied for the first time. */
  applied(place: Place, records: readonly StateRecord[]): void {
    for (const { key, version } of records) {
      const versions = this.#writers.get(key) ?? new Map<Version, Place>()
      this.#writers.set(key, versions.set(version, place))
    }
  }

  /** A node with these replicas hands records to its state database, under these physical keys. */
  stored(node: NodeId, replicas: readonly Storing[], keys: readonly Uint8Array[]): void {
    for (const physical of keys) {
      const storage = storageOf(physical) as StorageId
      if (storage === JOURNAL) continue
      const { key, version } = decodeRecordKey(physical)
      const replica = replicas.find((each) => isStateOf(each, storage, key))
      // What comes by snapshot is of no entry of this log, and is nobody's state yet.
      if (replica === undefined) continue
      const { range, index, term } = this.#writers.get(key)?.get(version) ?? applying(replica)
      this.#violations.require(
        this.#logs.holds(node, range, { index, term }),
        () =>
          `node ${node} stored ${JSON.stringify(key)} of version ${version} before entry ${index} of range ${range} was durable in its log`,
      )
    }
  }
}

function isStateOf({ descriptor, storages }: Storing, storage: StorageId, key: Key): boolean {
  return contains(descriptor.span, key) && storages.some((each) => each.storage === storage && contains(each.span, key))
}

/** What nobody has told yet is written by the entry that is just being applied. */
function applying({ range, applied, appliedTerm }: Storing): Place {
  return { range, index: applied, term: appliedTerm }
}
