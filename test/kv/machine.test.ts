import { describe, expect, test } from 'vitest'
import type { Generation, Key, NodeId, RangeId, ReplicaId, SessionId } from '../../src/base/ids.js'
import { limits } from '../../src/base/limits.js'
import { SPLITS_REMEMBERED } from '../../src/kv/machine.js'
import type { Command, Condition } from '../../src/kv/types.js'
import {
  bookkeeping,
  bytes,
  del,
  descriptor,
  digestOf,
  Harness,
  k,
  origin,
  put,
  RANGE,
  span,
  v,
  writeAt,
} from './helpers.js'

const splitAt = (
  version: number,
  key: string,
  parts: { child?: number; generation?: number; session?: string } = {},
) => ({
  kind: 'split' as const,
  version: v(version),
  origin: parts.session === undefined ? null : origin(parts.session, 1),
  generation: (parts.generation ?? 1) as Generation,
  at: k(key),
  child: (parts.child ?? 7) as RangeId,
})

describe('writes', () => {
  test('a put writes one record under its command version, and needs no read', () => {
    const range = new Harness()
    expect(range.machine.needs([writeAt(5, [put('a', '1')])])).toEqual([])
    const applied = range.apply(writeAt(5, [put('a', '1')]))
    expect(applied.records).toEqual([{ key: k('a'), version: 5, codec: 'utf8', value: bytes('1') }])
    expect(applied.outcomes).toEqual([{ kind: 'written', version: 5, deleted: [] }])
    expect(applied.journal).toEqual({ timestamp: 5, outcomes: [], changes: [{ key: k('a'), version: 5 }] })
    expect(range.machine.bookkeeping.clock).toBe(5)
  })

  test('needs names every key once', () => {
    const commands = [
      writeAt(1, [del('a'), put('b', '1')], { conditions: [{ kind: 'absent', key: k('a') }] }),
      writeAt(2, [del('a')]),
    ]
    expect(new Harness().machine.needs(commands)).toEqual([k('a')])
  })

  test('a delete says whether something was there, and writes a tombstone only then', () => {
    const range = new Harness()
    range.apply(writeAt(1, [put('a', '1')]))
    const applied = range.apply(writeAt(2, [del('b'), del('a')]), writeAt(3, [del('a')]))
    expect(applied.outcomes).toEqual([
      { kind: 'written', version: 2, deleted: [false, true] },
      { kind: 'written', version: 3, deleted: [false] },
    ])
    expect(applied.records).toEqual([{ key: k('a'), version: 2, codec: 'bytes', value: null }])
  })

  test('later commands of an entry see what earlier ones wrote', () => {
    const range = new Harness()
    const absent: Condition[] = [{ kind: 'absent', key: k('a') }]
    const applied = range.apply(
      writeAt(1, [put('a', '1')], { conditions: absent }),
      writeAt(2, [put('a', '2')], { conditions: absent }),
      writeAt(3, [put('a', '3')], { conditions: [{ kind: 'version', key: k('a'), version: v(1) }] }),
    )
    expect(applied.outcomes.map(({ kind }) => kind)).toEqual(['written', 'conditionFailed', 'written'])
    expect(applied.records.map(({ version }) => version)).toEqual([1, 3])
  })

  test('one failed condition of a batch, and nothing of it is written', () => {
    const range = new Harness()
    range.apply(writeAt(1, [put('a', '1')]))
    const conditions: Condition[] = [
      { kind: 'version', key: k('a'), version: v(1) },
      { kind: 'version', key: k('b'), version: v(9) },
    ]
    const applied = range.apply(writeAt(2, [put('a', '2'), put('c', '2')], { conditions }))
    expect(applied.records).toEqual([])
    expect(applied.journal).toBeNull()
  })

  test('a refusal names every failed condition with the present version, and the value only if wanted', () => {
    const range = new Harness()
    range.apply(writeAt(1, [put('a', 'old')]))
    range.apply(writeAt(2, [put('gone', '1')]))
    range.apply(writeAt(3, [del('gone')]))
    const conditions: Condition[] = [
      { kind: 'absent', key: k('a') },
      { kind: 'value', key: k('a'), codec: 'utf8', value: bytes('new') },
      { kind: 'value', key: k('a'), codec: 'json', value: bytes('old') },
      { kind: 'value', key: k('a'), codec: 'utf8', value: bytes('old') },
      { kind: 'version', key: k('gone'), version: v(3) },
      { kind: 'absent', key: k('gone') },
      { kind: 'version', key: k('gone'), version: v(0) },
    ]
    const failed = (value: Uint8Array | null) => [
      { key: k('a'), version: 1, value, codec: 'utf8' },
      { key: k('a'), version: 1, value, codec: 'utf8' },
      { key: k('a'), version: 1, value, codec: 'utf8' },
      { key: k('gone'), version: 0, value: null, codec: 'bytes' },
    ]
    expect(range.apply(writeAt(4, [], { conditions })).outcomes).toEqual([
      { kind: 'conditionFailed', version: 4, failed: failed(null) },
    ])
    expect(range.apply(writeAt(5, [], { conditions, wantValue: true })).outcomes).toEqual([
      { kind: 'conditionFailed', version: 5, failed: failed(bytes('old')) },
    ])
  })

  test('the values of a refusal are bounded by the size of one, and own their memory', () => {
    const range = new Harness()
    const large = new Uint8Array(limits.valueBytesMax - 10)
    range.apply(
      writeAt(1, [{ kind: 'put', key: k('a'), codec: 'bytes', value: large }, put('b', '12345678901'), put('c', '1')]),
    )
    const conditions = ['a', 'b', 'c'].map((key): Condition => ({ kind: 'absent', key: k(key) }))
    const [outcome] = range.apply(writeAt(2, [], { conditions, wantValue: true })).outcomes
    if (outcome?.kind !== 'conditionFailed') throw new Error('expected a refusal')
    expect(outcome.failed.map(({ value }) => value?.length)).toEqual([large.length, undefined, 1])
    expect(outcome.failed[0]?.value?.buffer).not.toBe(large.buffer)
  })

  test('the values of all refusals of an entry are bounded together, and none is remembered', () => {
    const range = new Harness()
    const large = new Uint8Array(limits.valueBytesMax)
    range.apply(writeAt(1, [{ kind: 'put', key: k('a'), codec: 'bytes', value: large }]))
    const conditions: readonly Condition[] = [{ kind: 'absent', key: k('a') }]
    const failing = (version: number) =>
      writeAt(version, [], { conditions, wantValue: true, origin: origin(`s${version}`, 1) })
    const { outcomes, journal } = range.apply(...Array.from({ length: 20 }, (_, at) => failing(2 + at)))
    const lengths = outcomes.map((each) => each.kind === 'conditionFailed' && each.failed[0]!.value?.length)
    expect(lengths.filter((length) => length === large.length)).toHaveLength(4)
    expect(lengths.filter((length) => length === undefined)).toHaveLength(16)
    const [first] = range.apply({ ...failing(2), version: v(30) }).outcomes
    expect(first).toEqual({
      kind: 'conditionFailed',
      version: 2,
      failed: [{ key: k('a'), version: 1, value: null, codec: 'bytes' }],
    })
    expect(journal!.outcomes[0]!.outcome).toEqual(first)
  })

  test('a key twice among the writes is invalid, and nothing is written', () => {
    const applied = new Harness().apply(writeAt(1, [put('a', '1'), del('a')]))
    expect(applied.outcomes).toEqual([{ kind: 'invalid', reason: 'a key stands twice among the writes' }])
    expect(applied.records).toEqual([])
  })

  test('another generation, or any key outside of the span, and the range has moved', () => {
    const range = new Harness(bookkeeping({ descriptor: descriptor({ span: span('b', 'd') }) }))
    const moved = [{ kind: 'rangeMoved' }]
    expect(range.apply(writeAt(1, [put('b', '1')], { generation: 2 })).outcomes).toEqual(moved)
    expect(range.apply(writeAt(2, [put('b', '1'), put('d', '1')])).outcomes).toEqual(moved)
    expect(range.apply(writeAt(3, [put('a', '1')])).outcomes).toEqual(moved)
    expect(
      range.apply(writeAt(4, [put('b', '1')], { conditions: [{ kind: 'absent', key: k('a') }] })).outcomes,
    ).toEqual(moved)
    expect(range.apply(writeAt(5, [put('c', '1')])).outcomes).toEqual([{ kind: 'written', version: 5, deleted: [] }])
  })
})

describe('entries', () => {
  test('an entry without commands moves the clock and leaves no journal record', () => {
    const range = new Harness()
    expect(range.applyAt(9, [])).toEqual({
      records: [],
      journal: null,
      outcomes: [],
      split: null,
      replicas: null,
      digest: null,
    })
    expect(range.machine.bookkeeping).toEqual(bookkeeping({ clock: v(9) }))
  })

  test('a log whose versions do not ascend is a contradiction', () => {
    const start = bookkeeping({ clock: v(10) })
    expect(() => new Harness(start).applyAt(10, [])).toThrow('entry timestamps ascend')
    expect(() => new Harness(start).applyAt(12, [writeAt(10, [])])).toThrow('versions ascend')
    expect(() => new Harness(start).applyAt(12, [writeAt(13, [])])).toThrow('versions ascend')
    expect(() => new Harness(start).applyAt(13, [writeAt(12, []), writeAt(12, [])])).toThrow('versions ascend')
  })

  test.each([0, 2 ** 47, 2 ** 48 - 1])('the digest is the sum over all records, modulo 2^48, from %s on', (digest) => {
    const range = new Harness(bookkeeping({ digest }))
    const { records } = range.apply(writeAt(1, [put('a', '1'), put('b', '2')]), writeAt(2, [del('a')]))
    const sum = records.reduce((total, record) => total + BigInt(digestOf(record)), BigInt(digest))
    expect(range.machine.bookkeeping.digest).toBe(Number(sum % 2n ** 48n))
  })

  test('bookkeeping that was taken is not changed by later entries', () => {
    const range = new Harness()
    const taken = range.machine.bookkeeping
    range.apply(writeAt(1, [put('a', '1')]), splitAt(2, 'm'))
    expect(taken).toEqual(bookkeeping())
  })
})

describe('at most once', () => {
  test('a repeat gets the first outcome and writes nothing, in the same entry and later', () => {
    const range = new Harness()
    const first = writeAt(1, [put('a', '1')], { origin: origin('s', 1), conditions: [{ kind: 'absent', key: k('a') }] })
    const { outcomes, records } = range.apply(first, { ...first, version: v(2) })
    expect(outcomes).toEqual([outcomes[0], outcomes[0]])
    expect(records).toHaveLength(1)
    const again = range.apply({ ...first, version: v(3) })
    expect(again).toEqual({
      records: [],
      journal: null,
      outcomes: [outcomes[0]],
      split: null,
      replicas: null,
      digest: null,
    })
    expect(range.machine.sessions.known(origin('s', 1))).toEqual(outcomes[0])
  })

  test('a failed condition is remembered too', () => {
    const range = new Harness()
    const command = writeAt(1, [put('a', '1')], {
      origin: origin('s', 1),
      conditions: [{ kind: 'version', key: k('a'), version: v(5) }],
    })
    const { outcomes, journal } = range.apply(command)
    expect(journal?.outcomes).toEqual([{ origin: command.origin, outcome: outcomes[0] }])
    range.apply(writeAt(5, [put('a', '0')]))
    expect(range.apply({ ...command, version: v(6) }).outcomes).toEqual(outcomes)
  })

  test('the table is asked before generation and span', () => {
    const range = new Harness()
    const command = writeAt(1, [put('x', '1')], { origin: origin('s', 1) })
    const { outcomes } = range.apply(command)
    range.apply(splitAt(2, 'm'))
    expect(range.apply({ ...command, version: v(3) }).outcomes).toEqual(outcomes)
  })

  test('a refusal is not remembered and lets nothing go', () => {
    const range = new Harness()
    range.apply(writeAt(1, [put('a', '1')], { origin: origin('s', 1) }))
    const refused = [
      writeAt(2, [put('a', '2')], { origin: origin('s', 5, { lowest: 5 }), generation: 9 }),
      writeAt(3, [put('a', '2'), put('a', '3')], { origin: origin('s', 6, { lowest: 6 }) }),
    ]
    expect(range.apply(...refused).outcomes.map(({ kind }) => kind)).toEqual(['rangeMoved', 'invalid'])
    expect(range.machine.sessions.known(origin('s', 1))).not.toBeNull()
    expect(range.machine.sessions.size).toBe(1)
  })

  test('a late copy of a request that its session has let go of is refused, never executed', () => {
    const range = new Harness()
    const late = writeAt(1, [put('a', '1')], { origin: origin('s', 1) })
    range.apply(late)
    range.apply(writeAt(2, [put('a', '2')], { origin: origin('s', 2, { lowest: 2 }) }))
    expect(range.apply({ ...late, version: v(3) }).outcomes).toEqual([{ kind: 'sessionExpired', version: 3 }])
  })

  test('once the floor has passed, only requests first sent at or above it are executed', () => {
    const range = new Harness()
    const old = writeAt(1, [put('a', '1')], { origin: origin('s', 1) })
    range.apply(old)
    expect(range.apply({ kind: 'sessionFloor', version: v(20), floor: v(10) }).outcomes).toEqual([
      { kind: 'done', version: 20 },
    ])
    expect(range.machine.bookkeeping.sessionFloor).toBe(10)
    expect(range.machine.sessions.size).toBe(0)
    expect(range.apply({ ...old, version: v(21) }).outcomes).toEqual([{ kind: 'sessionExpired', version: 21 }])
    const stamped = (firstSent: number, version: number) =>
      writeAt(version, [put('a', '2')], { origin: origin('s', 2, { firstSent: v(firstSent) }) })
    expect(range.apply(stamped(9, 22)).outcomes).toEqual([{ kind: 'sessionExpired', version: 22 }])
    expect(range.apply(stamped(10, 23)).outcomes).toEqual([{ kind: 'written', version: 23, deleted: [] }])
  })

  test('a lower floor changes nothing, and one in the future is invalid', () => {
    const range = new Harness(bookkeeping({ clock: v(10), sessionFloor: v(8) }))
    range.apply({ kind: 'sessionFloor', version: v(11), floor: v(5) })
    expect(range.machine.bookkeeping.sessionFloor).toBe(8)
    expect(range.apply({ kind: 'sessionFloor', version: v(12), floor: v(13) }).outcomes[0]?.kind).toBe('invalid')
    expect(range.machine.bookkeeping.sessionFloor).toBe(8)
  })

  test.each([
    ['a sequence below 1', { sequence: 0, lowest: 0 }],
    ['a lowest above the sequence', { sequence: 3, lowest: 4 }],
    ['a lowest that is no whole number', { sequence: 3, lowest: 1.5 }],
    ['a first-sent version at its own', { sequence: 1, lowest: 1, firstSent: v(1) }],
    ['no number at all', { sequence: Number.NaN, lowest: Number.NaN }],
  ])('an origin with %s is invalid', (_, wrong) => {
    const from = { ...origin('s', 1), ...wrong }
    const applied = new Harness().apply(writeAt(1, [put('a', '1')], { origin: from }))
    expect(applied.outcomes[0]?.kind).toBe('invalid')
    expect(applied.journal).toBeNull()
  })
})

describe('split', () => {
  test('parent and child share span, generation, clock, digest and sessions as of this entry', () => {
    const range = new Harness(bookkeeping({ lineage: [{ range: 1 as RangeId, to: v(0) }], sessionFloor: v(0) }))
    const applied = range.apply(
      writeAt(1, [put('x', '1')], { origin: origin('s', 4) }),
      splitAt(3, 'm', { session: 't' }),
    )
    expect(applied.outcomes[1]).toEqual({ kind: 'split', version: 3, child: 7 })
    const parent = range.machine.bookkeeping
    expect(parent.descriptor).toEqual(descriptor({ span: span('', 'm'), generation: 2 as Generation }))
    expect(parent.lineage).toEqual([{ range: 1, to: 0 }])
    const child = applied.split!.bookkeeping
    expect(child.descriptor).toEqual({
      range: 7,
      span: span('m', null),
      generation: 2,
      epoch: 0,
      replicas: [
        { replica: 1, node: 1, role: 'voter' },
        { replica: 2, node: 3, role: 'voter' },
        { replica: 3, node: 2, role: 'learner' },
      ],
      nextReplica: 4,
    })
    expect(child).toMatchObject({ clock: 3, rangeVersion: 1, sessionFloor: 0, digest: parent.digest })
    expect(child.lineage).toEqual([
      { range: 1, to: 0 },
      { range: RANGE, to: 3 },
    ])
    expect(parent.digest).not.toBe(0)
    const { childSessions } = applied.split!
    expect(childSessions.image()).toEqual(range.machine.sessions.image())
    expect(childSessions.known(origin('t', 1))).toEqual(applied.outcomes[1])
  })

  test('the parent remembers where its last splits stand in its log, the child none', () => {
    const range = new Harness()
    range.apply(writeAt(1, [put('x', '1')]))
    const first = range.apply(splitAt(2, 'm'))
    expect(range.machine.bookkeeping.splits).toEqual([{ index: 2, term: 1 }])
    expect(first.split!.bookkeeping.splits).toEqual([])
    for (let at = 0; at < SPLITS_REMEMBERED; at++) {
      const generation = (2 + at) as Generation
      const key = `l${String.fromCharCode(2_000 - at)}` as Key
      const { outcomes } = range.apply({ ...splitAt(3 + at, key), child: (100 + at) as RangeId, generation })
      expect(outcomes[0]!.kind).toBe('split')
    }
    const { splits } = range.machine.bookkeeping
    expect([splits.length, splits[0], splits.at(-1)]).toEqual([
      SPLITS_REMEMBERED,
      { index: 3, term: 1 },
      { index: 2 + SPLITS_REMEMBERED, term: 1 },
    ])
  })

  test('a node with two ids in the parent has one in the child, as a voter', () => {
    const replicas = [
      { replica: 1 as ReplicaId, node: 1 as NodeId, role: 'voter' as const },
      { replica: 2 as ReplicaId, node: 2 as NodeId, role: 'voter' as const },
      { replica: 3 as ReplicaId, node: 3 as NodeId, role: 'voter' as const },
      { replica: 4 as ReplicaId, node: 2 as NodeId, role: 'learner' as const },
      { replica: 5 as ReplicaId, node: 4 as NodeId, role: 'learner' as const },
    ]
    const range = new Harness(bookkeeping({ descriptor: descriptor({ replicas }) }))
    expect(range.apply(splitAt(1, 'm')).split!.bookkeeping.descriptor).toMatchObject({
      replicas: [
        { replica: 1, node: 1, role: 'voter' },
        { replica: 2, node: 2, role: 'voter' },
        { replica: 3, node: 3, role: 'voter' },
        { replica: 4, node: 4, role: 'learner' },
      ],
      nextReplica: 5,
    })
  })

  test('pieces of lineage go one raise after both floors have passed them, but for the last', () => {
    const lineage = [3, 7, 9].map((to) => ({ range: to as RangeId, to: v(to) }))
    const range = new Harness(bookkeeping({ lineage, clock: v(10) }))
    const kept = () => range.machine.bookkeeping.lineage.map(({ to }) => to)
    range.apply({ kind: 'sessionFloor', version: v(11), floor: v(10) })
    range.apply({ kind: 'collectionFloor', version: v(12), floor: v(5) })
    expect(kept()).toEqual([3, 7, 9])
    range.apply({ kind: 'collectionFloor', version: v(13), floor: v(13) })
    expect(kept()).toEqual([7, 9])
    range.apply({ kind: 'sessionFloor', version: v(14), floor: v(14) })
    expect(kept()).toEqual([9])
  })

  test('both halves answer repeats of what was written before, and go their own ways after', () => {
    const range = new Harness()
    const before = writeAt(1, [put('x', '1')], { origin: origin('s', 1) })
    const { outcomes } = range.apply(before)
    const { split } = range.apply(splitAt(2, 'm'))
    const child = new Harness(split!.bookkeeping, range.latest, split!.childSessions)
    expect(child.apply({ ...before, version: v(3) }).outcomes).toEqual(outcomes)
    child.apply(writeAt(4, [put('x', '2')], { origin: origin('s', 2, { lowest: 2 }), generation: 2 }))
    expect(child.machine.sessions.known(origin('s', 1))).toBeNull()
    expect(range.machine.sessions.known(origin('s', 1))).toEqual(outcomes[0])
    range.apply(writeAt(5, [put('a', '2')], { origin: origin('s', 3), generation: 2 }))
    expect(child.machine.sessions.known(origin('s', 3))).toBeNull()
  })

  test('a repeated split gets its first outcome and cuts nothing', () => {
    const range = new Harness()
    const { outcomes } = range.apply(splitAt(1, 'm', { session: 's' }))
    const again = range.apply(splitAt(2, 'm', { session: 's', child: 8 }))
    expect(again).toEqual({ records: [], journal: null, outcomes, split: null, replicas: null, digest: null })
    expect(range.machine.bookkeeping.descriptor.generation).toBe(2)
  })

  test('after it, commands of the old generation are refused', () => {
    const range = new Harness()
    range.apply(splitAt(1, 'm'))
    expect(range.apply(writeAt(2, [put('a', '1')])).outcomes).toEqual([{ kind: 'rangeMoved' }])
    expect(range.apply(splitAt(3, 'c')).outcomes).toEqual([{ kind: 'rangeMoved' }])
    expect(range.apply(splitAt(4, 'c', { generation: 2, child: 8 })).split?.bookkeeping.descriptor.span).toEqual(
      span('c', 'm'),
    )
  })

  test('is refused where it is not the last of its entry, cuts off nothing, or names its own range', () => {
    const range = new Harness(bookkeeping({ descriptor: descriptor({ span: span('b', 'p') }) }))
    const refused = (...commands: readonly Command[]) => range.apply(...commands)
    expect(refused(splitAt(1, 'm'), writeAt(2, [])).outcomes.map(({ kind }) => kind)).toEqual(['invalid', 'written'])
    expect(refused(splitAt(3, 'm'), splitAt(4, 'n', { child: 8 })).outcomes.map(({ kind }) => kind)).toEqual([
      'invalid',
      'split',
    ])
    for (const [at, command] of [
      splitAt(5, 'b'),
      splitAt(6, 'n'),
      splitAt(7, 'a'),
      splitAt(8, 'm', { child: RANGE }),
    ].entries()) {
      const { outcomes, split } = range.apply({ ...command, generation: 2 as Generation })
      expect(outcomes[0]?.kind, String(at)).toBe('invalid')
      expect(split).toBeNull()
    }
    const meta = Harness.meta()
    expect(meta.apply({ ...splitAt(1, 'm'), at: '\0\0\0\x01m' as Key }).outcomes[0]).toEqual({
      kind: 'invalid',
      reason: 'the meta range never splits',
    })
  })
})

describe('restore', () => {
  test('a record newer than the bookkeeping is a contradiction', () => {
    const range = new Harness(bookkeeping({ clock: v(5) }))
    expect(() => range.machine.restore({ timestamp: v(6), outcomes: [], changes: [] })).toThrow('from the future')
  })

  test('bookkeeping and sessions must belong together', () => {
    const table = new Harness().machine.sessions
    expect(() => new Harness(bookkeeping({ sessionFloor: v(3) }), new Map(), table)).toThrow('another floor')
    expect(table.known(origin('nobody' as SessionId, 1))).toBeNull()
  })
})
