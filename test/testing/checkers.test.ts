import { describe, expect, it } from 'vitest'
import type { Descriptor } from '../../src/base/descriptor.js'
import type { Entry, Heartbeat } from '../../src/raft/types.js'
import type { LogItem, NodeLog } from '../../src/storage/types.js'
import { AppliedChecker, type AppliedState } from '../../src/testing/checkers/applied.js'
import { ClusterCheckers } from '../../src/testing/checkers/cluster.js'
import { LeaderChecker } from '../../src/testing/checkers/leaders.js'
import { LogChecker } from '../../src/testing/checkers/logs.js'
import { overlapFault, partitionFault } from '../../src/testing/checkers/spans.js'
import { Violations } from '../../src/testing/checkers/violations.js'

function violations() {
  return new Violations(() => {})
}

function heartbeat(from: number, term: number, range = 2): Heartbeat {
  const numbers = { range, from, to: 9, boot: 1, term, commit: 0, allPersisted: 0, round: 0 }
  return { type: 'heartbeat', ...numbers } as unknown as Heartbeat
}

function entry(index: number, term: number, text = 'x'): Entry {
  return { index, term, timestamp: index, kind: 'commands', payload: Buffer.from(text) } as unknown as Entry
}

function entries(...list: Entry[]): LogItem[] {
  return [{ kind: 'entries', range: 2 as never, entries: list }]
}

/** The log begins behind `index`; the state is durable up to `applied`. */
function checkpoint(index: number, term: number, applied = index): LogItem[] {
  const truncated = { index, term }
  return [
    { kind: 'checkpoint', range: 2, checkpoint: { replica: 1, truncated, applied: { index: applied, term } } },
  ] as never
}

/** A log as it is found after a restart. */
function reopenedLog(terms: readonly number[]): NodeLog {
  return {
    recovered: new Map([[2, { checkpoint: null, lastIndex: terms.length }]]),
    tombstones: new Map(),
    reader: () => ({ term: (index: number) => terms[index - 1] }),
  } as unknown as NodeLog
}

describe('one leader per term', () => {
  it('reports two replicas that lead in one term, on one node or two', () => {
    const found = violations()
    const checker = new LeaderChecker(found)
    checker.sent(1 as never, [heartbeat(1, 5)])
    checker.sent(2 as never, [heartbeat(2, 6), heartbeat(3, 5, 3)])
    expect(found.found).toEqual([])
    checker.sent(2 as never, [heartbeat(2, 5)])
    expect(found.found).toHaveLength(1)
    expect(found.found[0]).toContain('two leaders of range 2 in term 5')
  })

  it('counts a change for every later term that got a leader', () => {
    const checker = new LeaderChecker(violations())
    checker.sent(1 as never, [heartbeat(1, 5), heartbeat(1, 5), heartbeat(2, 7), heartbeat(1, 8)])
    expect(checker.changes).toBe(2)
  })
})

describe('log matching', () => {
  it('accepts the same entries on two nodes, and a suffix replaced in a later term', () => {
    const found = violations()
    const checker = new LogChecker(found)
    checker.wrote(1 as never, entries(entry(1, 1), entry(2, 1), entry(3, 1)))
    checker.wrote(2 as never, entries(entry(1, 1)))
    checker.wrote(2 as never, entries(entry(2, 2), entry(3, 2)))
    checker.wrote(1 as never, entries(entry(2, 2), entry(3, 2)))
    expect(found.found).toEqual([])
  })

  it('reports another payload under the same name', () => {
    const found = violations()
    const checker = new LogChecker(found)
    checker.wrote(1 as never, entries(entry(1, 1, 'this')))
    checker.wrote(2 as never, entries(entry(1, 1, 'that')))
    expect(found.found[0]).toContain('another entry 1 of term 1')
  })

  it('reports the same entry behind another one', () => {
    const found = violations()
    const checker = new LogChecker(found)
    checker.wrote(1 as never, entries(entry(1, 1), entry(2, 3)))
    checker.wrote(2 as never, entries(entry(1, 2), entry(2, 3)))
    expect(found.found[0]).toContain('another entry 2 of term 3')
  })

  it('reports a gap', () => {
    const found = violations()
    new LogChecker(found).wrote(1 as never, entries(entry(5, 1)))
    expect(found.found[0]).toContain('after a gap')
  })

  it('reports a node that drops an entry which is committed, and not one that drops another', () => {
    const found = violations()
    const committed = new Map([[2, 1]])
    const checker = new LogChecker(found, (_range, index) => (committed.get(index) ?? null) as never)
    checker.wrote(1 as never, entries(entry(1, 1), entry(2, 1), entry(3, 1)))
    checker.wrote(1 as never, entries(entry(3, 2)))
    expect(found.found).toEqual([])
    checker.wrote(1 as never, entries(entry(1, 3)))
    expect(found.found).toEqual(['node 1 replaced entry 2 of term 1 of range 2, which is committed'])
  })

  it('knows what a disk durably holds: what is synced, or lies below a durable beginning of the log', () => {
    const checker = new LogChecker(violations())
    const holds = (index: number, term: number) => checker.holds(1 as never, 2 as never, { index, term } as never)
    const synced = checker.wrote(1 as never, entries(entry(1, 1), entry(2, 1)))
    expect(holds(1, 1)).toBe(false)
    synced()
    expect([holds(1, 1), holds(2, 1), holds(2, 2), holds(3, 1)]).toEqual([true, true, false, false])
    const installed = checker.wrote(1 as never, checkpoint(9, 4))
    expect(holds(9, 4)).toBe(false)
    installed()
    expect([holds(9, 4), holds(5, 2), holds(10, 4)]).toEqual([true, true, false])
    checker.forget(1 as never)
    expect(holds(9, 4)).toBe(false)
    // An older copy of the disk came and went: what was on its way since then may be counted all the same.
    checker.reopened(1 as never, reopenedLog([1, 1]))
    checker.forget(1 as never)
    expect(checker.held(1 as never, 2 as never, { index: 9, term: 4 } as never)).toBe(true)
  })

  it('reports a durable checkpoint that a restart does not find', () => {
    const found = violations()
    const checker = new LogChecker(found)
    checker.wrote(1 as never, [...entries(entry(1, 1), entry(2, 1)), ...checkpoint(1, 1, 2)])()
    checker.reopened(1 as never, reopenedLog([1, 1]))
    expect(found.found[0]).toContain('node 1 begins range 2 at entry 0; it had made 2 durable')
  })

  it('reports a synced entry that a restart does not find, and not one that was never synced', () => {
    const found = violations()
    const checker = new LogChecker(found)
    checker.wrote(1 as never, entries(entry(1, 1), entry(2, 1)))()
    checker.wrote(1 as never, entries(entry(3, 1)))
    checker.reopened(1 as never, reopenedLog([1, 1]))
    expect(found.found).toEqual([])
    checker.reopened(1 as never, reopenedLog([1]))
    expect(found.found[0]).toContain('lost synced entry 2')
  })
})

describe('equal state at equal index', () => {
  const state = (index: number, digest: number): AppliedState =>
    ({ range: 2, index, term: 1, clock: index * 10, digest, generation: 1 }) as unknown as AppliedState

  it('accepts replicas that agree, and a replay after a restart', () => {
    const found = violations()
    const checker = new AppliedChecker(found)
    for (const index of [1, 2, 3]) checker.applied(1 as never, state(index, index))
    checker.applied(2 as never, state(1, 1))
    checker.restarted(1 as never)
    checker.applied(1 as never, state(2, 2))
    checker.applied(1 as never, state(3, 3))
    expect(found.found).toEqual([])
    expect(checker.count).toBe(3)
  })

  it('says whether an entry was applied for the first time anywhere', () => {
    const checker = new AppliedChecker(violations())
    expect(checker.applied(1 as never, state(1, 1))).toBe(true)
    expect(checker.applied(2 as never, state(1, 1))).toBe(false)
    expect(checker.termAt(2 as never, 1 as never)).toBe(1)
    expect(checker.termAt(2 as never, 2 as never)).toBe(null)
  })

  it('reports a term or a clock that goes back along the log', () => {
    for (const back of [{ term: 0 }, { clock: 5 }]) {
      const found = violations()
      const checker = new AppliedChecker(found)
      checker.applied(1 as never, state(1, 1))
      checker.applied(1 as never, { ...state(2, 2), ...back } as never)
      expect(found.found[0]).toContain('node 1 went back: range 2 index 2')
    }
  })

  it('reports a replica whose digest differs', () => {
    const found = violations()
    const checker = new AppliedChecker(found)
    checker.applied(1 as never, state(1, 1))
    checker.applied(2 as never, state(1, 2))
    expect(found.found[0]).toContain('node 2 differs')
  })

  it('reports an applied index that skips or goes back', () => {
    const found = violations()
    const checker = new AppliedChecker(found)
    checker.applied(1 as never, state(1, 1))
    checker.applied(1 as never, state(3, 3))
    expect(found.found[0]).toContain('applied entry 3 of range 2 after 1')
  })
})

describe('leader completeness', () => {
  it('reports a leader without an entry that was applied in an earlier term', () => {
    const terms = new Map([[1, 1]])
    const checkers = new ClusterCheckers({
      kept: { historyMs: 0, sessionsMs: 0 },
      onFirst: () => {},
      termAt: (_node, _range, index) => (terms.get(index) ?? 0) as never,
    })
    const applied = { range: 2, index: 1, term: 1, clock: 1, digest: 0, generation: 1 } as unknown as AppliedState
    checkers.applied.applied(1 as never, applied)
    checkers.leaders.sent(2 as never, [heartbeat(2, 2)])
    expect(checkers.violations.found).toEqual([])
    terms.set(1, 2)
    checkers.leaders.sent(3 as never, [heartbeat(3, 3)])
    expect(checkers.violations.found[0]).toContain('leads range 2 in term 3 without entry 1 of term 1')
  })
})

describe('spans partition the key space', () => {
  const descriptor = (range: number, start: string, end: string | null): Descriptor =>
    ({ range, span: { start, end } }) as unknown as Descriptor

  it.each([
    ['whole', [descriptor(1, '', 'b'), descriptor(2, 'b', null)], null],
    ['a gap', [descriptor(1, '', 'b'), descriptor(2, 'c', null)], 'no range between ranges 1 and 2'],
    ['an overlap', [descriptor(1, '', 'c'), descriptor(2, 'b', null)], 'ranges 1 and 2 overlap'],
    ['no beginning', [descriptor(2, 'b', null)], 'no range begins where the keys begin'],
    ['no end', [descriptor(1, '', 'b')], 'no range follows range 1'],
    ['an open end too early', [descriptor(1, '', null), descriptor(2, 'b', null)], 'ranges 1 and 2 overlap'],
  ] as const)('%s', (_name, descriptors, fault) => {
    expect(partitionFault(descriptors)).toBe(fault)
  })

  it('on one node spans may leave gaps but never overlap', () => {
    expect(overlapFault([descriptor(3, 'x', null), descriptor(1, 'a', 'c')])).toBe(null)
    expect(overlapFault([descriptor(3, 'b', 'd'), descriptor(1, 'a', 'c')])).toBe('ranges 1 and 3 overlap')
  })
})
