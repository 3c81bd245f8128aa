import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ReplicaRole } from '../../src/base/descriptor.js'
import type { Generation, Key, LogIndex, NodeId, RangeId, ReplicaId, Term, Version } from '../../src/base/ids.js'
import { type AppliableEntry, RangeMachine } from '../../src/kv/machine.js'
import type {
  AppliedEntry,
  Bookkeeping,
  Command,
  Condition,
  JournalRecord,
  Origin,
  Outcome,
  StateRecord,
  Write,
} from '../../src/kv/types.js'
import { times } from '../property.js'
import { bookkeeping, bytes, digestOf, k, origin, RANGE, span, v } from './helpers.js'
import { ModelRange } from './model.js'

// ---- what a client may do, as data ----

const keyNames = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f')
const pick = fc.nat(1_000)
const condition = fc.record({
  kind: fc.constantFrom('version', 'absent', 'value'),
  key: keyNames,
  current: fc.boolean(),
  value: fc.constantFrom('1', '2'),
})
const write = fc.record({ delete: fc.boolean(), key: keyNames, value: fc.constantFrom('1', '2') })
const wish = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      conditions: fc.array(condition, { maxLength: 2 }),
      writes: fc.array(write, { maxLength: 3 }),
      session: fc.constantFrom(null, 's', 't'),
      lagging: fc.integer({ min: 0, max: 4 }),
      generationOff: fc.constantFrom(0, 0, 0, 0, 0, 1, -1),
      wantValue: fc.boolean(),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('repeat' as const), which: pick }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('split' as const), key: keyNames, session: fc.constantFrom(null, 's') }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('floor' as const), age: fc.integer({ min: 0, max: 60 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('collectionFloor' as const), age: fc.integer({ min: 0, max: 60 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('digest' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('replicas' as const),
      epochOff: fc.constantFrom(0, 0, 0, 1),
      roles: fc.array(fc.constantFrom('voter', 'voter', 'learner', 'incoming', 'outgoing'), { maxLength: 3 }),
    }),
  },
)
const scripts = fc.record({
  entries: fc.array(
    fc.record({ range: pick, wishes: fc.array(wish, { maxLength: 4 }), gap: fc.integer({ min: 1, max: 3 }) }),
    {
      maxLength: 40,
      size: 'max',
    },
  ),
  restarts: fc.array(pick, { minLength: 6, maxLength: 6 }),
})
type Script = typeof scripts extends fc.Arbitrary<infer T> ? T : never
type Wish = Script['entries'][number]['wishes'][number]

// ---- the ranges, each beside its model ----

/** Every record ever written. Reading as of a clock is what a state store does that may hold later records already. */
class Records {
  readonly #byKey = new Map<Key, StateRecord[]>()

  add(records: readonly StateRecord[]): void {
    for (const record of records) this.#byKey.set(record.key, [...(this.#byKey.get(record.key) ?? []), record])
  }

  latest(key: Key, upTo: Version): StateRecord | null {
    return this.#byKey.get(key)?.findLast(({ version }) => version <= upTo) ?? null
  }
}

interface Live {
  readonly machine: RangeMachine
  readonly model: ModelRange
  /** As it was at birth, and after every entry: places where it may restart. */
  readonly history: {
    readonly bookkeeping: Bookkeeping
    readonly entry: AppliableEntry | null
    readonly applied: AppliedEntry | null
  }[]
}

const newMachine = (start: Bookkeeping) => new RangeMachine(start.descriptor.range, start, { recordDigest: digestOf })
/** Reasons are for people; the model has its own. */
const plain = (outcome: Outcome) => ('reason' in outcome ? { kind: outcome.kind } : outcome)

class World {
  readonly ranges: Live[] = []
  readonly records = new Records()
  readonly journals = new Map<RangeId, JournalRecord[]>()
  readonly sent: Command[] = []
  readonly values = new Map()
  #version = 10
  readonly #sequences = new Map<string, number>()

  constructor() {
    const start = bookkeeping()
    const { epoch, replicas } = start.descriptor
    const first = { id: RANGE, span: span('', null), generation: 1, values: this.values, epoch, replicas }
    const model = new ModelRange(first)
    this.ranges.push({
      machine: newMachine(start),
      model,
      history: [{ bookkeeping: start, entry: null, applied: null }],
    })
  }

  run({ range, wishes, gap }: Script['entries'][number]): void {
    const live = this.ranges[range % this.ranges.length]!
    const commands = wishes.map((each) => this.#command(each, live)).filter((command) => command !== null)
    this.sent.push(...commands)
    this.#version += gap
    const entry = { index: live.history.length as LogIndex, term: 1 as Term, timestamp: v(this.#version), commands }
    const clock = live.machine.bookkeeping.clock
    const applied = live.machine.apply(entry, { latest: (key) => this.records.latest(key, clock) })
    this.records.add(applied.records)
    const id = live.machine.bookkeeping.descriptor.range
    if (applied.journal !== null) this.journals.set(id, [...(this.journals.get(id) ?? []), applied.journal])
    live.history.push({ bookkeeping: live.machine.bookkeeping, entry, applied })
    this.#compare(live, entry, applied)
  }

  #compare(live: Live, { commands }: AppliableEntry, applied: AppliedEntry): void {
    const results = commands.map((command, at) =>
      live.model.execute(command, at === commands.length - 1, commands.length === 1),
    )
    expect(applied.outcomes.map(plain)).toEqual(results.map(({ outcome }) => plain(outcome)))
    const { bookkeeping: now } = live.machine
    const { collectionFloor, descriptor } = now
    const { model } = live
    expect([collectionFloor, descriptor.epoch, descriptor.replicas]).toEqual([
      model.collectionFloor,
      model.epoch,
      model.replicas,
    ])
    expect(applied.replicas === null).toBe(
      !commands.some(({ kind }, at) => kind === 'replicas' && applied.outcomes[at]!.kind === 'done'),
    )
    expect(applied.digest).toBe(commands.some(({ kind }) => kind === 'digest') ? now.digest : null)
    const child = results.at(-1)?.child ?? null
    expect(applied.split === null).toBe(child === null)
    if (applied.split === null || child === null) return
    const { bookkeeping: start, childSessions } = applied.split
    const machine = new RangeMachine(start.descriptor.range, start, { recordDigest: digestOf }, childSessions)
    this.ranges.push({ machine, model: child, history: [{ bookkeeping: start, entry: null, applied: null }] })
  }

  #command(wish: Wish, live: Live): Command | null {
    const generation = live.machine.bookkeeping.descriptor.generation
    this.#version += 2
    const version = v(this.#version)
    switch (wish.kind) {
      case 'write': {
        const { session, lagging, generationOff, wantValue } = wish
        return {
          kind: 'write',
          version,
          origin: session === null ? null : this.#origin(session, lagging),
          generation: (generation + generationOff) as Generation,
          conditions: wish.conditions.map((each) => this.#condition(each)),
          writes: wish.writes.map(toWrite),
          wantValue,
        }
      }
      case 'repeat': {
        const earlier = this.sent[wish.which % Math.max(1, this.sent.length)]
        // A change of replicas is nobody's request: what ids may stand in it is not for this model.
        return earlier === undefined || earlier.kind === 'replicas'
          ? null
          : { ...earlier, version, ...(earlier.kind === 'write' ? { generation } : {}) }
      }
      case 'split': {
        const child = (100 + this.#version) as RangeId
        const from = wish.session === null ? null : this.#origin(wish.session, 0)
        return { kind: 'split', version, origin: from, generation, at: k(wish.key), child }
      }
      case 'floor':
        return { kind: 'sessionFloor', version, floor: v(Math.max(0, version - wish.age)) }
      case 'collectionFloor':
        return { kind: 'collectionFloor', version, floor: v(Math.max(0, version - wish.age)) }
      case 'digest':
        return { kind: 'digest', version }
      case 'replicas': {
        // A first voter, so that there is one whatever the others become.
        const { epoch, nextReplica } = live.machine.bookkeeping.descriptor
        const replicas = (['voter', ...wish.roles] as const).map((role, at) => ({
          replica: (nextReplica + at) as ReplicaId,
          node: (at + 1) as NodeId,
          role: role as ReplicaRole,
        }))
        const next = (nextReplica + replicas.length) as ReplicaId
        return { kind: 'replicas', version, epoch: epoch + 1 + wish.epochOff, replicas, nextReplica: next }
      }
    }
  }

  /** A fresh sequence, whose client still waits for some before it and has seen all but what is under way. */
  #origin(session: string, lagging: number): Origin {
    const sequence = (this.#sequences.get(session) ?? 0) + 1
    this.#sequences.set(session, sequence)
    return origin(session, sequence, { lowest: Math.max(1, sequence - lagging), firstSent: v(this.#version - 9) })
  }

  #condition({ kind, key, current, value }: typeof condition extends fc.Arbitrary<infer T> ? T : never): Condition {
    if (kind === 'absent') return { kind, key: k(key) }
    if (kind === 'value') return { kind, key: k(key), codec: 'utf8', value: bytes(value) }
    return { kind: 'version', key: k(key), version: current ? (this.values.get(k(key))?.version ?? v(0)) : v(3) }
  }
}

function toWrite(wish: typeof write extends fc.Arbitrary<infer T> ? T : never): Write {
  return wish.delete
    ? { kind: 'delete', key: k(wish.key) }
    : { kind: 'put', key: k(wish.key), codec: 'utf8', value: bytes(wish.value) }
}

// ---- a range that restarts ----

/** As a node does: bookkeeping as of some entry, the sessions from the journal up to it, then the entries behind it once more. */
function restart(world: World, { history, machine }: Live, place: number): void {
  const from = place % history.length
  const start = history[from]!.bookkeeping
  const again = newMachine(start)
  let after = 0
  for (const { range, to } of [...start.lineage, { range: start.descriptor.range, to: start.clock }]) {
    const records = (world.journals.get(range) ?? []).filter(({ timestamp }) => timestamp > after && timestamp <= to)
    for (const record of records) again.restore(record)
    after = to
  }
  for (const { entry, applied, bookkeeping: then } of history.slice(from + 1)) {
    const clock = again.bookkeeping.clock
    const replayed = again.apply(entry!, { latest: (key) => world.records.latest(key, clock) })
    expect(withoutTable(replayed)).toEqual(withoutTable(applied!))
    expect(again.bookkeeping).toEqual(then)
  }
  expect(again.bookkeeping).toEqual(machine.bookkeeping)
  expect(again.sessions.image()).toEqual(machine.sessions.image())
  expect(again.sessions.size).toBe(machine.sessions.size)
}

/** The child's table lives on after the split, so it is compared where the child is. */
const withoutTable = (applied: AppliedEntry) => ({ ...applied, split: applied.split?.bookkeeping ?? null })

describe('machine', () => {
  test('does what a Map and a list of everything done do, and after any restart is as if it had never stopped', () => {
    const seen = { kinds: new Set<string>(), children: 0, repeats: 0, changes: 0 }
    fc.assert(
      fc.property(scripts, ({ entries, restarts }) => {
        const world = new World()
        for (const entry of entries) world.run(entry)
        for (const [at, place] of restarts.entries()) restart(world, world.ranges[at % world.ranges.length]!, place)
        seen.children += world.ranges.length - 1
        for (const { entry, applied } of world.ranges.flatMap(({ history }) => history)) {
          if (applied !== null && applied.replicas !== null) seen.changes += 1
          for (const [at, outcome] of (applied?.outcomes ?? []).entries()) {
            seen.kinds.add(outcome.kind)
            if ('version' in outcome && outcome.version < entry!.commands[at]!.version) seen.repeats += 1
          }
        }
        expectSameValues(world)
      }),
      times(400, 41),
    )
    // The scripts reach what they are for.
    expect([...seen.kinds].sort()).toEqual([
      'conditionFailed',
      'done',
      'invalid',
      'notNow',
      'rangeMoved',
      'sessionExpired',
      'split',
      'written',
    ])
    expect(seen.children).toBeGreaterThan(100)
    expect(seen.repeats).toBeGreaterThan(200)
    expect(seen.changes).toBeGreaterThan(60)
  })
})

function expectSameValues(world: World): void {
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) {
    const stored = world.records.latest(k(name), v(Number.MAX_SAFE_INTEGER))
    const model = world.values.get(k(name)) ?? null
    if (stored === null || stored.value === null) expect(model).toBeNull()
    else expect(model).toEqual({ version: stored.version, value: stored.value, codec: stored.codec })
  }
}
