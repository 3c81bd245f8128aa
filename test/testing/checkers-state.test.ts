import { describe, expect, it } from 'vitest'
import type { Descriptor } from '../../src/base/descriptor.js'
import type { LogIndex, NodeId, RangeId, ReplicaId, Term, Version } from '../../src/base/ids.js'
import { SessionTable } from '../../src/kv/sessions.js'
import type { AppliedEntry, Origin, Outcome, StateRecord } from '../../src/kv/types.js'
import { recordKey } from '../../src/storage/state/keys.js'
import type { LogItem, NodeLog } from '../../src/storage/types.js'
import { CallChecker } from '../../src/testing/checkers/calls.js'
import { DurabilityChecker } from '../../src/testing/checkers/durability.js'
import { LogChecker } from '../../src/testing/checkers/logs.js'
import { RecordsModel } from '../../src/testing/checkers/records.js'
import { SessionTableChecker } from '../../src/testing/checkers/session-tables.js'
import { StateOrderChecker } from '../../src/testing/checkers/state-order.js'
import { Violations } from '../../src/testing/checkers/violations.js'

function violations(): Violations {
  return new Violations(() => {})
}

const NODE = 1 as never

function entryOf(parts: Partial<AppliedEntry>): AppliedEntry {
  return { records: [], journal: null, outcomes: [], split: null, replicas: null, digest: null, ...parts }
}

function record(key: string, version: number, text: string | null): StateRecord {
  return { key, version, codec: 'utf8', value: text === null ? null : Buffer.from(text) } as unknown as StateRecord
}

/** A model of what ranges wrote. */
function modelOf(...written: readonly (readonly [range: number, ...records: StateRecord[]])[]): RecordsModel {
  const model = new RecordsModel(violations())
  for (const [range, ...records] of written) model.applied(range as never, entryOf({ records }), 0)
  return model
}

describe('what a replica remembers of requests', () => {
  const request = (sequence: number, lowest: number, version: number): { origin: Origin; outcome: Outcome } => ({
    origin: { session: 's', sequence, lowest, firstSent: 0 } as unknown as Origin,
    outcome: { kind: 'written', version, deleted: [] } as unknown as Outcome,
  })
  const requests = [request(1, 1, 10), request(3, 1, 20), request(4, 3, 30)]

  function scene() {
    const found = violations()
    const checker = new SessionTableChecker(found)
    requests.forEach((outcome, at) => {
      const journal = { timestamp: outcome.outcome as never, outcomes: [outcome], changes: [] }
      checker.applied({ range: 2, index: at + 1 } as never, entryOf({ journal }))
    })
    const look = (sessions: SessionTable, { range = 2, applied = 3 } = {}) =>
      checker.look(NODE, { range, applied, incarnation: 0, machine: { sessions } } as never)
    return { found, checker, look }
  }

  function tableOf(...remembered: typeof requests): SessionTable {
    const table = new SessionTable()
    for (const { origin, outcome } of remembered) table.remember(origin, outcome)
    return table
  }

  it('is all that it executed so far, down to what the client still waits for, and not what the floor has passed', () => {
    const { found, look } = scene()
    look(tableOf(...requests))
    look(tableOf(...requests.slice(0, 2)), { applied: 2 })
    const old = tableOf(...requests)
    old.raiseFloor(25 as Version)
    look(old)
    expect(found.found).toEqual([])
  })

  it('is reported where some of it, or all, is missing', () => {
    const { found, look } = scene()
    look(tableOf(requests[0]!, requests[2]!))
    look(new SessionTable())
    expect(found.found).toEqual([
      'node 1 at entry 3 of range 2 remembers 4 from 3 on of session s, not 3, 4 from 3 on',
      'node 1 at entry 3 of range 2 remembers nothing of session s, not 3, 4 from 3 on',
    ])
  })

  it('is known by a range that was cut off, too', () => {
    const { found, checker, look } = scene()
    const split = { bookkeeping: { descriptor: { range: 5 } } } as never
    checker.applied({ range: 2, index: 4 } as never, entryOf({ split }))
    look(tableOf(...requests), { range: 5, applied: 1 })
    expect(found.found).toEqual([])
    look(new SessionTable(), { range: 5, applied: 1 })
    expect(found.found).toHaveLength(1)
  })

  it('is looked at once for each table that was made', () => {
    const { found, checker } = scene()
    const replica = (incarnation: number) =>
      ({ range: 2, applied: 3, incarnation, machine: { sessions: new SessionTable() } }) as never
    checker.maybeLook(NODE, replica(0))
    checker.maybeLook(NODE, replica(0))
    expect(found.found).toHaveLength(1)
    checker.maybeLook(NODE, replica(1))
    expect(found.found).toHaveLength(2)
    checker.restarted(NODE)
    checker.maybeLook(NODE, replica(0))
    expect(found.found).toHaveLength(3)
  })
})

describe('a page of a scan', () => {
  const written = [
    record('a', 1, 'o'),
    record('b', 2, 'x'),
    record('a', 3, 'p'),
    record('c', 4, 'y'),
    record('b', 5, null),
  ]

  function scanned(at: number, rows: readonly StateRecord[], seen: number | null = null): readonly string[] {
    const found = violations()
    const checker = new CallChecker(found, modelOf([2, ...written]), (name) => name as never)
    checker.scanned({ client: 1, span: { start: 'a', end: 'c' }, at, rows, seen } as never)
    return found.found
  }

  it('shows what was written to its span up to its version', () => {
    expect(scanned(2, [written[0]!, written[1]!])).toEqual([])
    expect(scanned(4, [written[2]!, written[1]!])).toEqual([])
    expect(scanned(5, [written[2]!])).toEqual([])
  })

  it('of any replica shows no less than the client had seen', () => {
    expect(scanned(5, [written[2]!], 5)).toEqual([])
    expect(scanned(4, [written[2]!, written[1]!], 5)).toEqual([
      'client 1 had seen version 5 and was shown a page at version 4',
    ])
  })

  it('is reported where it shows what came later, or lacks what was there', () => {
    expect(scanned(2, [written[2]!, written[1]!])).toEqual([
      'client 1 scanned at version 2 and was shown "a" of version 3; written up to then was version 1',
    ])
    expect(scanned(2, [written[0]!])).toEqual(['client 1 scanned at version 2 and was not shown "b" of version 2'])
    expect(scanned(5, [written[2]!, written[1]!])[0]).toContain('was shown "b" of version 2')
  })
})

describe('ids that are out', () => {
  it('are reported when a restart has forgotten them', () => {
    const found = violations()
    const checker = new LogChecker(found)
    const reopened = (lowest: number) =>
      checker.reopened(NODE, { recovered: new Map(), tombstones: new Map([[2, lowest]]) } as unknown as NodeLog)
    const tombstone = (lowest: number) => [{ kind: 'tombstone', range: 2, lowest }] as unknown as LogItem[]
    checker.wrote(NODE, tombstone(4))()
    checker.wrote(NODE, tombstone(5))
    reopened(4)
    expect(found.found).toEqual([])
    reopened(3)
    expect(found.found[0]).toContain('replica ids of range 2 to be out below 3; it had made 4 durable')
  })
})

describe('a replica whose log is let go of', () => {
  const voters = [1, 2, 3].map((node) => ({ node, replica: node, role: 'voter' }))
  const descriptor = {
    range: 2,
    replicas: [...voters, { node: 3, replica: 4, role: 'learner' }],
  } as unknown as Descriptor

  function scene() {
    const found = violations()
    const held = { holds: () => true, held: () => true, lowest: () => 0 as ReplicaId }
    const checker = new DurabilityChecker(found, held)
    checker.committed({ index: 5 as LogIndex, term: 1 as Term, descriptor })
    return { found, checker }
  }

  it('may be a voter that has forgotten something, and one that is out', () => {
    const { found, checker } = scene()
    checker.forgot(3 as NodeId)
    checker.buried(3 as NodeId, 2 as RangeId, 4 as ReplicaId)
    const without = { ...descriptor, replicas: descriptor.replicas.filter(({ replica }) => replica !== 2) }
    checker.committed({ index: 6 as LogIndex, term: 1 as Term, descriptor: without })
    checker.buried(2 as NodeId, 2 as RangeId, 3 as ReplicaId)
    expect(found.found).toEqual([])
  })

  it('counts only if its log names a state of its own: else it can not be made where its parent is lost', () => {
    const { found, checker } = scene()
    const log = new LogChecker(found, undefined, (...buried) => checker.buried(...buried))
    const wrote = (item: object) => log.wrote(3 as NodeId, [{ range: 2, ...item }] as unknown as LogItem[])()
    const checkpointOf = (storages: object[]) => ({ replica: 3, truncated: { index: 0, term: 0 }, storages })
    wrote({ kind: 'entries', entries: [{ index: 1, term: 1, kind: 'commands', payload: new Uint8Array() }] })
    wrote({ kind: 'tombstone', lowest: 4 })
    wrote({ kind: 'checkpoint', checkpoint: checkpointOf([]) })
    wrote({ kind: 'tombstone', lowest: 4 })
    expect(found.found).toEqual([])
    wrote({ kind: 'checkpoint', checkpoint: checkpointOf([{ storage: 1 }]) })
    wrote({ kind: 'tombstone', lowest: 4 })
    expect(found.found).toEqual(['node 3 gives up replica 3 of range 2, a voter that had forgotten nothing'])
  })

  it('is no voter that has forgotten nothing', () => {
    const { found, checker } = scene()
    checker.buried(3 as NodeId, 2 as RangeId, 4 as ReplicaId)
    expect(found.found).toEqual(['node 3 gives up replica 3 of range 2, a voter that had forgotten nothing'])
  })
})

describe('a state and its own log', () => {
  const keyOf = (key: string, version: number, storage = 1) => recordKey(storage as never, key, version as Version)
  const replica = (range: number, start: string, end: string | null, applied: number) =>
    ({
      range,
      applied,
      appliedTerm: 1,
      descriptor: { span: { start, end } },
      storages: [{ storage: 1, span: { start, end } }],
    }) as never

  /** Entries up to `durable` are on disk, of every range. */
  function scene({ durable }: { durable: number }) {
    const found = violations()
    const checker = new StateOrderChecker(found, { holds: (_node, _range, { index }) => index <= durable })
    checker.applied({ range: 2, index: 1, term: 1 } as never, [record('a', 1, 'x')])
    checker.applied({ range: 2, index: 3, term: 1 } as never, [record('a', 7, 'y')])
    return {
      found,
      stored: (...keys: Uint8Array[]) =>
        checker.stored(NODE, [replica(2, 'a', 'k', 4), replica(5, 'k', null, 9)], keys),
    }
  }

  it('accepts what is durable in the log, and what is the state of nobody', () => {
    const { found, stored } = scene({ durable: 3 })
    stored(keyOf('a', 1), keyOf('a', 7))
    stored(keyOf('a', 9, 8))
    expect(found.found).toEqual([])
  })

  it('reports what is not, also of the entry that is being applied', () => {
    const { found, stored } = scene({ durable: 2 })
    stored(keyOf('a', 1), keyOf('a', 7))
    stored(keyOf('b', 8))
    stored(keyOf('k', 8))
    expect(found.found.map((text) => text.split(' before ')[1])).toEqual([
      'entry 3 of range 2 was durable in its log',
      'entry 4 of range 2 was durable in its log',
      'entry 9 of range 5 was durable in its log',
    ])
  })
})
