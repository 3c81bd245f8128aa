import { describe, expect, it } from 'vitest'
import type { Descriptor, ReplicaRole } from '../../src/base/descriptor.js'
import { VERSION_TICKS_PER_MS } from '../../src/base/version.js'
import type { AppliedEntry, JournalRecord, StateRecord } from '../../src/kv/types.js'
import type { PeerMessage } from '../../src/store/ports.js'
import { CallChecker } from '../../src/testing/checkers/calls.js'
import { DurabilityChecker } from '../../src/testing/checkers/durability.js'
import { FloorChecker } from '../../src/testing/checkers/floors.js'
import { QueueChecker } from '../../src/testing/checkers/queues.js'
import { RecordsModel } from '../../src/testing/checkers/records.js'
import { SessionChecker } from '../../src/testing/checkers/sessions.js'
import { checkStored } from '../../src/testing/checkers/stored.js'
import { TermChecker } from '../../src/testing/checkers/terms.js'
import { VersionChecker } from '../../src/testing/checkers/versions.js'
import { Violations } from '../../src/testing/checkers/violations.js'
import type { EndedCall } from '../../src/testing/history.js'

function violations(): Violations {
  return new Violations(() => {})
}

function message(type: string, from: number, to: number, term: number, more: object = {}): PeerMessage {
  return { type, range: 2, from, to, term, ...more } as unknown as PeerMessage
}

describe('votes and terms', () => {
  it('accepts one vote in each term, repeated or not', () => {
    const found = violations()
    const checker = new TermChecker(found)
    checker.sent([message('vote', 1, 2, 5), message('vote', 1, 3, 5)])
    checker.sent([message('voteReply', 2, 1, 5, { granted: true }), message('voteReply', 2, 3, 5, { granted: false })])
    checker.sent([message('voteReply', 2, 1, 5, { granted: true }), message('voteReply', 2, 3, 6, { granted: true })])
    expect(found.found).toEqual([])
  })

  it('reports a replica that votes twice in a term', () => {
    const found = violations()
    const checker = new TermChecker(found)
    checker.sent([message('voteReply', 2, 1, 5, { granted: true }), message('voteReply', 2, 3, 5, { granted: true })])
    expect(found.found).toEqual(['replica 2 of range 2 voted for 1 and for 3 in term 5'])
  })

  it('reports a candidate that also votes for another', () => {
    const found = violations()
    const checker = new TermChecker(found)
    checker.sent([message('vote', 2, 1, 5), message('voteReply', 2, 3, 5, { granted: true })])
    expect(found.found).toEqual(['replica 2 of range 2 voted for 2 and for 3 in term 5'])
  })

  it('reports a term that goes back', () => {
    const found = violations()
    const checker = new TermChecker(found)
    checker.sent([message('heartbeat', 2, 1, 5), message('append', 2, 1, 4)])
    expect(found.found).toEqual(['replica 2 of range 2 went back from term 5 to 4'])
  })
})

describe('nothing acknowledged is missing on any majority', () => {
  const descriptor = (...roles: ReplicaRole[]): Descriptor =>
    ({
      range: 2,
      replicas: roles.map((role, at) => ({ role, replica: at + 1, node: at + 1 })),
    }) as unknown as Descriptor
  const three = descriptor('voter', 'voter', 'voter')

  /** `holders`: nodes that hold everything. */
  function checkerOver(holders: Set<number>, forgotten: readonly number[] = []) {
    const found = violations()
    const holds = (node: number) => holders.has(node)
    const checker = new DurabilityChecker(found, {
      holds,
      held: (node: number) => holds(node) || forgotten.includes(node),
      lowest: () => 0,
    } as unknown as ConstructorParameters<typeof DurabilityChecker>[1])
    const commit = (of: Descriptor) => checker.committed({ index: 7, term: 3, descriptor: of } as never)
    return { found, checker, commit }
  }

  it('reports an entry applied before a majority of the voters holds it durably', () => {
    const { found, commit } = checkerOver(new Set([1]))
    commit(three)
    expect(found.found).toHaveLength(1)
    expect(found.found[0]).toContain('entry 7 of term 3 of range 2 was applied when [replica 1 on node 1] of')
  })

  it('counts no learner', () => {
    const { found, commit } = checkerOver(new Set([1, 4, 5]))
    commit(descriptor('voter', 'voter', 'voter', 'learner', 'learner'))
    expect(found.found).toHaveLength(1)
  })

  it('wants both majorities while a change is under way', () => {
    const joint = descriptor('voter', 'outgoing', 'outgoing', 'incoming', 'incoming')
    const whole = checkerOver(new Set([1, 2, 4]))
    whole.commit(joint)
    expect(whole.found.found).toEqual([])
    const half = checkerOver(new Set([1, 4, 5]))
    half.commit(joint)
    expect(half.found.found).toHaveLength(1)
  })

  it('counts what was held when it was acknowledged and forgotten since', () => {
    const { found, commit } = checkerOver(new Set([1]), [2])
    commit(three)
    expect(found.found).toEqual([])
  })

  it('reports, at any later moment, a majority that could elect a leader without it', () => {
    const holders = new Set([1, 2])
    const { found, checker, commit } = checkerOver(holders)
    commit(three)
    checker.look()
    expect(found.found).toEqual([])
    holders.delete(2)
    checker.look()
    expect(found.found).toHaveLength(1)
    expect(found.found[0]).toContain('is missing on a majority: [replica 2 on node 2, replica 3 on node 3]')
  })

  it('leaves out who has forgotten it and votes no more', () => {
    const holders = new Set([1, 2])
    const { found, checker, commit } = checkerOver(holders)
    commit(three)
    holders.delete(2)
    checker.forgot(2 as never)
    checker.look()
    expect(found.found).toEqual([])
  })

  it('who has forgotten a range has forgotten the range that is cut off from it', () => {
    const holders = new Set([1, 2])
    const { found, checker, commit } = checkerOver(holders)
    commit(three)
    checker.forgot(3 as never)
    const child = { ...three, range: 9 } as unknown as Descriptor
    checker.split(three, child)
    commit(child)
    holders.delete(2)
    checker.look()
    expect(found.found.some((text) => text.includes('range 9'))).toBe(false)
  })
})

describe('sessions apply once', () => {
  const journal = (session: string, ...sequences: number[]): JournalRecord =>
    ({ outcomes: sequences.map((sequence) => ({ origin: { session, sequence } })) }) as unknown as JournalRecord

  it('reports a request that two entries execute, also of two ranges', () => {
    const found = violations()
    const checker = new SessionChecker(found)
    checker.applied({ range: 2, index: 1 } as never, journal('s', 1, 2))
    checker.applied({ range: 2, index: 2 } as never, journal('t', 1))
    expect(found.found).toEqual([])
    checker.applied({ range: 3, index: 2 } as never, journal('s', 2))
    expect(found.found).toEqual(['request 2 of session s was executed by entry 1 of range 2 and by entry 2 of range 3'])
  })
})

describe('queues within their bounds', () => {
  it('reports one beyond its bound, and one below nothing', () => {
    const found = violations()
    const checker = new QueueChecker(found)
    checker.saw(1 as never, [{ name: 'reads', length: 10, bound: 10 }])
    expect(found.found).toEqual([])
    checker.saw(1 as never, [{ name: 'reads', length: 11, bound: 10 }])
    checker.saw(1 as never, [{ name: 'reads', length: -1, bound: 10 }])
    expect(found.found).toEqual([
      'node 1: reads at 11, beyond the bound of 10',
      'node 1: reads at -1, beyond the bound of 10',
    ])
    expect(checker.longest).toEqual({ reads: 11 })
  })
})

describe('versions of a key never back in real time', () => {
  const saw = (client: number, [invoke, complete]: readonly [number, number], version: number, key = 'k') => ({
    client,
    key,
    invoke,
    complete,
    version,
  })

  it('accepts what overlaps, and other keys', () => {
    const found = violations()
    const checker = new VersionChecker(found)
    checker.saw(saw(1, [1, 5], 20))
    checker.saw(saw(2, [4, 6], 10))
    checker.saw(saw(1, [7, 8], 20))
    checker.saw(saw(1, [9, 10], 5, 'other'))
    expect(found.found).toEqual([])
  })

  it('reports an older version seen by the same client, or by another', () => {
    for (const client of [1, 2]) {
      const found = violations()
      const checker = new VersionChecker(found)
      checker.saw(saw(1, [1, 2], 20))
      checker.saw(saw(client, [3, 4], 19))
      expect(found.found).toHaveLength(1)
      expect(found.found[0]).toContain(`client ${client} saw k at version 19`)
    }
  })
})

const record = (key: string, version: number, text: string | null): StateRecord =>
  ({ key, version, codec: 'utf8', value: text === null ? null : Buffer.from(text) }) as unknown as StateRecord

function entry(...records: StateRecord[]): AppliedEntry {
  return { records, journal: null, outcomes: [], split: null, replicas: null, digest: null }
}

describe('digests against the model', () => {
  it('reports a range whose digest is not the sum over what it wrote', () => {
    const found = violations()
    const model = new RecordsModel(found)
    model.applied(2 as never, entry(record('a', 1, 'x')), 12345)
    expect(found.found[0]).toContain('range 2 has digest 12345')
  })

  it('reports two contents under one key and version', () => {
    const found = violations()
    const model = new RecordsModel(found)
    model.applied(2 as never, entry(record('a', 1, 'x'), record('a', 1, 'y')), 0)
    expect(found.found[0]).toContain('two records of "a" under version 1')
  })

  it('shows what a read at a version finds', () => {
    const model = new RecordsModel(violations())
    model.applied(
      2 as never,
      entry(record('a', 1, 'x'), record('b', 2, 'y'), record('a', 3, null), record('c', 4, 'z')),
      0,
    )
    const keys = (at: number, end: string | null = null) => [
      ...model.visible({ start: 'a', end } as never, at as never).keys(),
    ]
    expect(keys(2)).toEqual(['a', 'b'])
    expect(keys(4)).toEqual(['b', 'c'])
    expect(keys(4, 'c')).toEqual(['b'])
  })
})

describe('what clients were told', () => {
  let moment = 0
  const call = (parts: object): EndedCall =>
    ({ client: 1, key: 'a', invoke: ++moment, complete: ++moment, status: 'ok', ...parts }) as unknown as EndedCall
  const put = (key: string, value: string, version?: number, status = 'ok') =>
    call({ op: 'put', key, value, status, ...(version === undefined ? {} : { version }) })
  const get = (key: string, result: string | null, version: number) => call({ op: 'get', key, result, version })

  function checked(...records: StateRecord[]) {
    const found = violations()
    const model = new RecordsModel(new Violations(() => {}))
    model.applied(2 as never, entry(...records), 0)
    return { found, checker: new CallChecker(found, model, (name) => name as never) }
  }

  it('accepts what is there', () => {
    const { found, checker } = checked(record('a', 1, 'x'), record('a', 2, null))
    checker.ended([put('a', 'x', 1)], false)
    checker.ended([get('a', 'x', 1)], false)
    checker.ended([call({ op: 'delete', result: true, version: 2 })], false)
    checker.ended([get('a', null, 0)], false)
    checker.finish(['a'])
    expect(found.found).toEqual([])
  })

  it('reports a write that is acknowledged and not there, or not so', () => {
    const { found, checker } = checked(record('a', 1, 'x'))
    checker.ended([put('a', 'x', 5)], false)
    checker.ended([put('a', 'y', 1)], false)
    expect(found.found[0]).toContain('was told that a = x is written under version 5; there is undefined')
    expect(found.found.some((text) => text.includes('a = y is written under version 1; there is x'))).toBe(true)
  })

  it('reports a delete that is acknowledged and left no tombstone', () => {
    const { found, checker } = checked(record('a', 1, 'x'))
    checker.ended([call({ op: 'delete', result: true, version: 2 })], false)
    expect(found.found[0]).toContain('a = null is written under version 2; there is undefined')
  })

  it('reports a read of what nobody wrote there', () => {
    const { found, checker } = checked(record('a', 1, 'x'))
    checker.ended([get('a', 'y', 1)], false)
    expect(found.found).toEqual(['client 1 read a = y at version 1; written there was x'])
  })

  it('reports half a batch in a read of one moment, and not in one of several', () => {
    const { found, checker } = checked(
      record('a', 1, 'o'),
      record('b', 1, 'o'),
      record('a', 2, 'x'),
      record('b', 2, 'x'),
    )
    const [one, other] = [put('a', 'x', 2), put('b', 'x', 2)]
    checker.ended([{ ...one, version: undefined } as never, { ...other, version: undefined } as never], false)
    const half = [get('a', 'x', 2), { ...get('b', 'o', 1) }]
    checker.ended(half, false)
    expect(found.found).toEqual([])
    checker.ended(half, true)
    expect(found.found).toEqual(['client 1 saw half a batch: a = x at version 2, b at version 1'])
  })

  it('takes reads that go on at one moment for one view, also over other calls', () => {
    const { found, checker } = checked(record('a', 2, 'x'), record('b', 1, 'o'), record('b', 2, 'x'))
    const later = get('b', 'o', 1)
    checker.ended([put('a', 'x', 2), put('b', 'x', 2)], false)
    checker.ended([get('a', 'x', 2)], true)
    checker.ended([later], false)
    expect(found.found).toEqual([])
    checker.ended([later], 'goes on')
    expect(found.found).toEqual(['client 1 saw half a batch: a = x at version 2, b at version 1'])
  })

  it.each([
    { seen: 1, version: 1, holds: true },
    { seen: 1, version: 2, holds: true },
    { seen: 2, version: 1, holds: false },
    { seen: 3, version: 0, holds: true },
    { seen: 3, version: 2, holds: false },
  ])('asks of a follower what the client has seen: $seen, read at $version', ({ seen, version, holds }) => {
    const { found, checker } = checked(record('a', 1, 'o'), record('a', 2, 'x'), record('a', 3, null))
    const result = version === 0 ? null : version === 1 ? 'o' : 'x'
    checker.followed([{ client: 1, key: 'a', result, version: version as never }], seen as never)
    expect(found.found).toHaveLength(holds ? 0 : 1)
  })

  it.each([
    ['a write', (version: number) => [put('a', 'x', version)]],
    ['a read', (version: number) => [get('a', 'x', version)]],
  ])('reports a client that asks any replica for less than %s told it of', (_, calls) => {
    const { found, checker } = checked(record('a', 2, 'x'))
    checker.ended(calls(2), false)
    const follow = (seen: number | null) =>
      checker.followed([{ client: 1, key: 'a', result: 'x', version: 2 as never }], seen as never)
    follow(2)
    follow(null)
    expect(found.found).toEqual([])
    follow(1)
    expect(found.found).toEqual(['client 1 was told of version 2 and asks for version 1 only'])
  })

  it('what one read of any replica tells is asked for by the next, not by its other keys', () => {
    const { found, checker } = checked(record('a', 2, 'x'), record('b', 1, 'y'))
    const reads = [
      { client: 1, key: 'a', result: 'x', version: 2 as never },
      { client: 1, key: 'b', result: 'y', version: 1 as never },
    ]
    checker.followed(reads, 1 as never)
    expect(found.found).toEqual([])
    checker.followed(reads, 1 as never)
    expect(found.found).toContain('client 1 was told of version 2 and asks for version 1 only')
  })

  it('of a batch with deletes beside its puts, only the puts are looked for at its version', () => {
    const { found, checker } = checked(record('a', 2, 'x'), record('c', 1, 'o'))
    checker.ended([put('a', 'x', 2), call({ op: 'delete', key: 'b', result: false, version: 2 })], false)
    checker.ended([get('a', 'x', 2), get('b', null, 0)], true)
    expect(found.found.filter((text) => text.includes('half'))).toEqual([])
  })

  it('at the end: reports what is written to a key that no call named', () => {
    const { found, checker } = checked(record('a', 1, 'x'), record('a!', 1, 'x'))
    checker.ended([put('a', 'x', 1)], false)
    checker.finish(['a'])
    expect(found.found).toEqual(['"a!" is written, and nobody asked for it'])
  })

  it('reports half a batch that is missing altogether, unless it was deleted since', () => {
    for (const deleted of [false, true]) {
      const gone = deleted ? [record('b', 3, null)] : []
      const { found, checker } = checked(record('a', 2, 'x'), record('b', 2, 'x'), ...gone)
      checker.ended([put('a', 'x', 2), put('b', 'x', 2)], false)
      checker.ended([get('a', 'x', 2), get('b', null, 0)], true)
      expect(found.found).toHaveLength(deleted ? 0 : 1)
    }
  })

  it('at the end: reports a write that was said to have failed, and one that nobody asked for', () => {
    const { found, checker } = checked(record('a', 1, 'x'), record('a', 2, 'y'))
    checker.ended([put('a', 'x', undefined, 'fail')], false)
    checker.finish(['a'])
    expect(found.found).toEqual([
      'a = x is written under version 1, by a call that failed',
      'a = y is written under version 2, by nobody',
    ])
  })

  it('at the end: reports a write of unknown outcome that was done twice', () => {
    const { found, checker } = checked(record('a', 1, 'x'), record('a', 2, 'x'))
    checker.ended([put('a', 'x', undefined, 'info')], false)
    checker.finish(['a'])
    expect(found.found).toEqual(['a = x is written twice, again under version 2'])
  })

  it('at the end: reports half a batch', () => {
    const { found, checker } = checked(record('a', 1, 'x'))
    checker.ended([put('a', 'x', undefined, 'info'), put('b', 'x', undefined, 'info')], false)
    checker.finish(['a', 'b'])
    expect(found.found).toEqual(['half a batch is written: a = x under version 1, and not b'])
  })

  it('at the end: reports a tombstone that nobody asked for', () => {
    const { found, checker } = checked(
      record('a', 1, 'x'),
      record('a', 2, null),
      record('a', 3, 'y'),
      record('a', 4, null),
    )
    checker.ended([put('a', 'x', 1)], false)
    checker.ended([call({ op: 'delete', status: 'info' })], false)
    checker.ended([put('a', 'y', 3)], false)
    checker.finish(['a'])
    expect(found.found).toEqual(['a was deleted 2 times by 1 calls of unknown outcome'])
  })
})

describe('what a replica has stored', () => {
  const stored = (rows: StateRecord[]) =>
    ({ scan: (_page: unknown, done: (rows: StateRecord[], more: boolean) => void) => done(rows, false) }) as never
  const span = { start: '', end: null }
  const replica = { range: 2, descriptor: { span }, storages: [{ storage: 1, span }], clock: 9 } as never

  function check(rows: StateRecord[]): readonly string[] {
    const found = violations()
    const model = new RecordsModel(violations())
    model.applied(
      2 as never,
      entry(record('a', 1, 'x'), record('a', 2, 'y'), record('b', 3, 'z'), record('c', 4, 'z')),
      0,
    )
    model.applied(2 as never, entry(record('c', 5, null)), 0)
    let ended = false
    checkStored('node 1', { replica, state: stored(rows) }, { model, violations: found }, () => {
      ended = true
    })
    expect(ended).toBe(true)
    return found.found
  }

  it('is what was written', () => {
    expect(check([record('a', 2, 'y'), record('b', 3, 'z')])).toEqual([])
  })

  it('is reported where it is older, changed, deleted, invented or missing', () => {
    expect(check([record('a', 1, 'x'), record('b', 3, 'z')])[0]).toContain(
      'holds "a" at version 1; written was version 2',
    )
    expect(check([record('a', 2, '?'), record('b', 3, 'z')])).toHaveLength(1)
    expect(check([record('a', 2, 'y'), record('b', 3, 'z'), record('c', 4, 'z')])[0]).toContain('nothing that is left')
    expect(check([record('a', 2, 'y')])).toEqual(['range 2 on node 1 lacks "b" at version 3'])
  })
})

describe('what a range lets go of', () => {
  const MS = VERSION_TICKS_PER_MS
  const lets = (history: number, sessions: number, sessionsMs: number | null = 50) => {
    const found = violations()
    const checker = new FloorChecker(found, { historyMs: 20, sessionsMs })
    const at = { range: 2, index: 7, clock: 100 * MS } as never
    checker.applied(at, { history: (history * MS) as never, sessions: (sessions * MS) as never })
    return found.found.map((text) => text.replace(/ below.*/, ''))
  }

  it('is as old as it was told to keep', () => {
    expect(lets(80, 50)).toEqual([])
    expect(lets(0, 0)).toEqual([])
    expect(lets(81, 51)).toEqual(['range 2 lets go of history', 'range 2 lets go of outcomes'])
  })

  it('may be an outcome of any age where there may be too many', () => {
    expect(lets(80, 100, null)).toEqual([])
    expect(lets(80, 101, null)).toEqual(['range 2 lets go of outcomes'])
  })
})
