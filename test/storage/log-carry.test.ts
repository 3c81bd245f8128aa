import { expect, it } from 'vitest'
import type { LogIndex, RangeId, Term, Version } from '../../src/base/ids.js'
import type { Entry } from '../../src/raft/types.js'
import { Carrier } from '../../src/storage/log/carry.js'
import type { LogContents } from '../../src/storage/log/ranges.js'

const RANGE = 2 as RangeId
/** More than a call takes as arguments. */
const ENTRIES = 200_000

it('a tail is carried whole, however many entries it has', () => {
  const entries = Array.from(
    { length: ENTRIES },
    (_, at): Entry => ({
      index: (at + 1) as LogIndex,
      term: 1 as Term,
      timestamp: (at + 1) as Version,
      kind: 'commands',
      payload: new Uint8Array(1),
    }),
  )
  const log = { firstSegment: 1, damaged: [], bytes: ENTRIES, first: 1, last: ENTRIES }
  const contents = { liveBytes: 0, ranges: new Map([[RANGE, log]]), range: () => log } as unknown as LogContents
  const carrier = new Carrier({ contents, segmentBytes: 1_000, read: () => entries })
  const records = carrier.take({ oldest: 1, current: 9, writtenBytes: 1_000_000 })
  expect([records.length, records.at(-1)]).toMatchObject([ENTRIES, { range: RANGE, index: ENTRIES }])
})
