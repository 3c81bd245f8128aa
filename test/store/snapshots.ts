import type { Descriptor } from '../../src/base/descriptor.js'
import type { LogIndex, ReplicaId, Term } from '../../src/base/ids.js'
import { replicaCodec } from '../../src/storage/codec/replica-codec.js'
import type { Bench } from './bench.js'
import { append } from './followers.js'
import { DATA, v } from './requests.js'

/**
 * Node 2 leads the data range in term 3 and sends node 1 a snapshot of it without records, as of entry 20, in which the descriptor has
 * changed by `changed`. Its one chunk has arrived; it is not installed yet.
 */
export async function sendSnapshot(bench: Bench, changed: Partial<Descriptor> = {}): Promise<void> {
  bench.receive(2, append(2, 3, []))
  await bench.runFor(20)
  const { bookkeeping } = bench.replica(DATA).machine
  const between = { range: DATA, from: 2 as ReplicaId, to: 1 as ReplicaId, id: 9 }
  bench.receive(2, {
    type: 'snapshotOffer',
    ...between,
    term: 3 as Term,
    index: 20 as LogIndex,
    entryTerm: 2 as Term,
    timestamp: v(5_000),
    bookkeeping: { ...bookkeeping, clock: v(5_000), descriptor: { ...bookkeeping.descriptor, ...changed } },
  })
  await bench.runWhile(() => bench.messagesTo(2, 'snapshotPull').length === 0)
  const bytes = replicaCodec.encodeChunk({ records: [], journals: [] })
  bench.receive(2, { type: 'snapshotChunk', ...between, sequence: 1, last: true, bytes })
}
