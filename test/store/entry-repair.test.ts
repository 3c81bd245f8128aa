import { describe, expect, it } from 'vitest'
import type { LogIndex, NodeId, RangeId, ReplicaId, Term, Version } from '../../src/base/ids.js'
import { silentLogger } from '../../src/base/ports.js'
import type { Entry } from '../../src/raft/types.js'
import type { LogItem, NodeLog } from '../../src/storage/types.js'
import { LogWriter } from '../../src/store/log-writer.js'
import type { PeerMessage } from '../../src/store/ports.js'
import type { Replica } from '../../src/store/replica.js'
import { EntryRepair } from '../../src/store/upkeep/entry-repair.js'

const range = 2 as RangeId
const SEVEN = 7 as LogIndex
const replicas = [1, 2, 3].map((id) => ({ replica: id as ReplicaId, node: id as NodeId, role: 'voter' as const }))

/** Replica 1 with a damaged entry 7 of term 1. */
function damaged() {
  const log = { indexes: [SEVEN], term: 1 as Term }
  const raft = { leader: null as ReplicaId | null }
  const replica = {
    range,
    id: 1,
    applied: 5,
    damagedFrom: null,
    cutLogTo: () => {},
    descriptor: { replicas },
    raft,
    leaderNode: null,
  }
  const sent: PeerMessage[] = []
  const lost: string[] = []
  const repair = new EntryRepair({
    replicas: new Map([[range, replica as unknown as Replica]]),
    log: { damaged: () => log.indexes, reader: () => ({ term: () => log.term }) } as unknown as NodeLog,
    repair: () => {},
    onLost: (_, what) => lost.push(what),
    send: (_, message) => sent.push(message),
    touch: () => {},
    logger: silentLogger,
  })
  repair.watch(replica as unknown as Replica)
  const hasNot = (from: number): void =>
    repair.answered({
      type: 'fetchedEntry',
      range,
      from: from as ReplicaId,
      to: 1 as ReplicaId,
      index: SEVEN,
      entry: null,
    })
  return { repair, replica, log, sent, lost, hasNot }
}

describe('an entry that is damaged in our log', () => {
  it('that nobody has: the state is given up, and once a snapshot is past the entry the replica is fit again', () => {
    const { repair, replica, log, lost, hasNot } = damaged()
    expect(replica.damagedFrom).toBe(SEVEN)
    for (const from of [2, 3]) hasNot(from)
    repair.look()
    expect(lost).toHaveLength(1)
    log.indexes = []
    replica.applied = 9
    repair.look()
    expect(replica.damagedFrom).toBeNull()
    expect(repair.isWaiting).toBe(false)
  })

  it('that the leader has cut off: who else was asked may be gone for good and is not waited for', () => {
    const { repair, replica, lost, hasNot } = damaged()
    replica.raft.leader = 3 as ReplicaId
    hasNot(2)
    repair.look()
    expect(lost).toHaveLength(0)
    hasNot(3)
    repair.look()
    expect(lost).toHaveLength(1)
  })

  it('that nobody has, behind the snapshot that was taken: it is asked for again', () => {
    const { repair, replica, sent, hasNot } = damaged()
    for (const from of [2, 3]) hasNot(from)
    repair.look()
    replica.applied = 6
    sent.length = 0
    repair.look()
    expect(sent.map(({ type }) => type)).toEqual(['fetchEntry', 'fetchEntry'])
  })

  it('is not written over when the batch before has replaced it', () => {
    const appended: LogItem[][] = []
    let done = (): void => {}
    const held = { damaged: [SEVEN] as readonly LogIndex[], term: 1 as Term }
    const log = {
      node: {},
      damaged: () => held.damaged,
      reader: () => ({ term: () => held.term }),
      append: (items: LogItem[], then: () => void) => {
        appended.push(items)
        done = then
      },
    } as unknown as NodeLog
    const writer = new LogWriter(log, () => {})
    const entry = (term: number): Entry => ({
      index: SEVEN,
      term: term as Term,
      timestamp: 70 as Version,
      kind: 'noop',
      payload: new Uint8Array(0),
    })
    let repaired = 0
    writer.repair(range, entry(1), () => repaired++)
    writer.flush()
    expect(appended.at(-1)!.map(({ kind }) => kind)).toEqual(['repair'])
    done()
    writer.repair(range, entry(1), () => repaired++)
    held.damaged = []
    writer.flush()
    expect(appended.at(-1)).toEqual([])
    done()
    writer.drainFinished()
    expect(repaired).toBe(2)
  })
})
