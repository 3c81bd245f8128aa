import { limits } from '../base/limits.js'
import type { StateStore } from '../storage/types.js'
import type { Replica } from './replica.js'

/** Something that waits, and how much of it may. `length` and `bound` count in the same unit, which the name says. */
export interface Queue {
  readonly name: string
  readonly length: number
  readonly bound: number
}

/**
 * Everything in a node that is filled by others, at its fullest (of ranges: the one with the most), with its bound. What a bound lets
 * in above it is part of the bound given here: one more entry of the largest size.
 */
export function queuesOf(parts: {
  readonly replicas: Iterable<Replica>
  readonly others: readonly Queue[]
  readonly versionReadBytes: number
  readonly snapshotsIn: number
  readonly snapshotsOut: number
  readonly state: Pick<StateStore, 'overlayBytes'>
}): readonly Queue[] {
  const all = [...parts.replicas]
  const most = (value: (replica: Replica) => number) => all.reduce((max, each) => Math.max(max, value(each)), 0)
  const { rangeProposalBytesMax, rangeReadBytesMax, overlayBytesMax, entryBytesMax, snapshotsInMax, snapshotsOutMax } =
    limits
  return [
    {
      name: 'proposal bytes of a range',
      length: most(({ proposals }) => proposals.bytes),
      bound: rangeProposalBytesMax,
    },
    {
      name: 'uncommitted bytes of a range',
      length: most(({ raft }) => raft.uncommittedBytes),
      bound: rangeProposalBytesMax + entryBytesMax,
    },
    { name: 'read bytes of a range', length: most(({ reads }) => reads.bytes), bound: rangeReadBytesMax },
    { name: 'bytes of reads by version of a range', length: parts.versionReadBytes, bound: rangeReadBytesMax },
    ...parts.others,
    {
      name: 'overlay bytes',
      length: parts.state.overlayBytes,
      // Each range may apply one more entry than it would have begun with.
      bound: overlayBytesMax + 2 * entryBytesMax * Math.max(1, all.length),
    },
    { name: 'snapshots in', length: parts.snapshotsIn, bound: snapshotsInMax },
    { name: 'snapshots out', length: parts.snapshotsOut, bound: snapshotsOutMax },
  ]
}
