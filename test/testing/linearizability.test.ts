import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkLinearizability, type Operation } from '../../src/testing/linearizability.js'
import { isExplainable } from './brute-force.js'
import { corpus } from './corpus.js'

describe('histories known to be legal or illegal', () => {
  it.each(corpus())('$verdict: $name', ({ history, verdict }) => {
    expect(checkLinearizability(history).kind).toBe(verdict)
  })

  it('there are at least twenty of each', () => {
    expect(corpus().filter(({ verdict }) => verdict === 'legal').length).toBeGreaterThanOrEqual(20)
    expect(corpus().filter(({ verdict }) => verdict === 'illegal').length).toBeGreaterThanOrEqual(20)
  })
})

describe('against a search over all orders', () => {
  it('agrees on arbitrary small histories', () => {
    let legal = 0
    const runs = 6_000
    fc.assert(
      fc.property(arbitraryHistory(), (history) => {
        const verdict = checkLinearizability(history).kind
        if (verdict === 'legal') legal++
        expect(verdict).toBe(isExplainable(history) ? 'legal' : 'illegal')
      }),
      { numRuns: runs, seed: 20 },
    )
    expect(legal).toBeGreaterThan(runs / 20)
    expect(legal).toBeLessThan((runs * 19) / 20)
  })

  it('shows a piece that is itself illegal', () => {
    fc.assert(
      fc.property(arbitraryHistory(), (history) => {
        const verdict = checkLinearizability(history)
        if (verdict.kind !== 'illegal') return
        expect(verdict.piece.length).toBeLessThanOrEqual(history.length)
        expect(isExplainable(verdict.piece)).toBe(false)
      }),
      { numRuns: 2_000, seed: 21 },
    )
  })
})

describe('histories made from a sequential run', () => {
  it('are legal', () => {
    fc.assert(
      fc.property(sequentialRun(60), (history) => {
        expect(checkLinearizability(history).kind).toBe('legal')
      }),
      { numRuns: 500, seed: 22 },
    )
  })

  it('are caught when one read is changed to what nobody ever wrote', () => {
    fc.assert(
      fc.property(sequentialRun(60), fc.nat(), (history, pick) => {
        const reads = history.filter((operation) => operation.op === 'get' && operation.status === 'ok')
        fc.pre(reads.length > 0)
        const victim = reads[pick % reads.length]!
        const mutated = history.map((operation) =>
          operation === victim && operation.op === 'get' ? { ...operation, result: 'never written' } : operation,
        )
        const verdict = checkLinearizability(mutated)
        expect(verdict.kind).toBe('illegal')
        const piece = verdict.kind === 'illegal' ? verdict.piece : []
        expect(piece.some((operation) => operation.op === 'get' && operation.result === 'never written')).toBe(true)
      }),
      { numRuns: 300, seed: 23 },
    )
  })

  it('are caught when one read is changed to a value that was overwritten before it began', () => {
    let caught = 0
    fc.assert(
      fc.property(spacedRun(40), fc.nat(), (history, pick) => {
        const stale = staleReads(history)
        fc.pre(stale.length > 0)
        caught++
        const { read, overwritten } = stale[pick % stale.length]!
        const verdict = checkLinearizability(
          history.map((operation) => (operation === read ? { ...read, result: overwritten } : operation)),
        )
        expect(verdict.kind).toBe('illegal')
      }),
      { numRuns: 300, seed: 25 },
    )
    expect(caught).toBe(300)
  })

  it('are caught when the write that a read saw is taken out, or said to have failed', () => {
    fc.assert(
      fc.property(spacedRun(40), fc.nat(), fc.boolean(), (history, pick, out) => {
        const seen = history.flatMap((operation) =>
          operation.op === 'get' && operation.status === 'ok' && operation.result !== null ? [operation.result] : [],
        )
        fc.pre(seen.length > 0)
        const victim = seen[pick % seen.length]!
        const mutated = history.flatMap((operation) => {
          if (!('value' in operation) || operation.value !== victim) return [operation]
          return out ? [] : [{ ...operation, status: 'fail' as const }]
        })
        expect(checkLinearizability(mutated).kind).toBe('illegal')
      }),
      { numRuns: 300, seed: 26 },
    )
  })

  it('agree with the search over all orders after any change of one result', () => {
    fc.assert(
      fc.property(sequentialRun(6), fc.nat(), fc.constantFrom('0', '1', '2', null), (history, pick, result) => {
        fc.pre(history.length > 0)
        const mutated = history.map((operation, at) =>
          at === pick % history.length && operation.op === 'get' ? { ...operation, result } : operation,
        )
        expect(checkLinearizability(mutated).kind).toBe(isExplainable(mutated) ? 'legal' : 'illegal')
      }),
      { numRuns: 3_000, seed: 24 },
    )
  })
})

describe('bounded work', () => {
  it('is undecided, and names the key, when the bound is reached', () => {
    const history: Operation[] = []
    for (let i = 0; i < 12; i++) {
      history.push({ client: i, key: 'k', op: 'put', value: `v${i}`, invoke: i, complete: 100 + i, status: 'ok' })
    }
    history.push({ client: 99, key: 'k', op: 'get', result: 'v3', invoke: 200, complete: 201, status: 'ok' })
    expect(checkLinearizability(history, { stepsMax: 1_000 })).toEqual({ kind: 'undecided', keys: ['k'] })
  })

  it('is enough where many writes and deletes of unknown outcome are open, and deletes tell what they found', () => {
    const history: Operation[] = []
    for (let at = 0; at < 30; at++) {
      const open = { key: 'k', invoke: at, complete: at, status: 'info' } as const
      history.push({ ...open, client: `w${at}`, op: 'put', value: `v${at}` })
      history.push({ ...open, client: `d${at}`, op: 'delete' })
    }
    for (let at = 0; at < 60; at++) {
      const done = { client: 'c', key: 'k', invoke: 100 + 2 * at, complete: 101 + 2 * at, status: 'ok' } as const
      history.push(at % 2 === 0 ? { ...done, op: 'delete', result: true } : { ...done, op: 'get', result: null })
    }
    expect(checkLinearizability(history, { stepsMax: 10_000 }).kind).toBe('legal')
    const more: Operation = {
      client: 'c',
      key: 'k',
      op: 'delete',
      result: true,
      invoke: 300,
      complete: 301,
      status: 'ok',
    }
    expect(checkLinearizability([...history, more], { stepsMax: 10_000 }).kind).toBe('illegal')
  })

  it('is enough for fifty thousand operations of five clients on one key, some unknown', () => {
    const history = longRun(50_000)
    expect(checkLinearizability(history).kind).toBe('legal')
    const stale = history.findLast((operation) => operation.op === 'get' && operation.status === 'ok')!
    const mutated = history.map((operation) =>
      operation === stale && operation.op === 'get' ? { ...operation, result: 'v1' } : operation,
    )
    const verdict = checkLinearizability(mutated)
    expect(verdict.kind).toBe('illegal')
    expect(verdict.kind === 'illegal' && verdict.piece.length).toBeLessThanOrEqual(4)
  })
})

/** Anything at all, mostly illegal when long. */
function arbitraryHistory(): fc.Arbitrary<Operation[]> {
  const value = fc.constantFrom('0', '1', '2')
  const seen = fc.option(value)
  const status = fc.constantFrom('ok', 'ok', 'ok', 'info', 'fail')
  const call = fc.oneof(
    fc.record({ op: fc.constant('put' as const), value }),
    fc.record({ op: fc.constant('get' as const), result: seen }),
    fc.record({ op: fc.constant('delete' as const) }),
    fc.record({ op: fc.constant('delete' as const), result: fc.boolean() }),
    fc.record({ op: fc.constant('cas' as const), expect: seen, value, result: fc.boolean() }),
    fc.record({ op: fc.constant('cas' as const), expect: seen, value, result: fc.constant(false), found: seen }),
  )
  const timed = fc.record({ call, status, from: fc.nat(12), length: fc.nat(6) })
  return fc.array(timed, { minLength: 1, maxLength: 6 }).map((parts) =>
    parts.map(
      ({ call, status, from, length }, at) =>
        ({
          ...call,
          client: at,
          key: 'k',
          status,
          invoke: from * 10 + at,
          complete: (from + 1 + length) * 10 + at,
        }) as Operation,
    ),
  )
}

/** Each operation takes effect at its own moment, in order; its interval is drawn around that moment. */
function sequentialRun(maxLength: number): fc.Arbitrary<Operation[]> {
  const part = fc.record({
    kind: fc.constantFrom('put', 'get', 'get', 'delete', 'cas'),
    before: fc.nat(40),
    after: fc.nat(40),
    unknown: fc.nat(9).map((n) => n === 0),
    hit: fc.boolean(),
  })
  return fc.array(part, { maxLength }).map((parts) => {
    let state: string | null = null
    return parts.map(({ kind, before, after, unknown, hit }, at): Operation => {
      const moment = at * 10
      const timed = {
        client: at,
        key: 'k',
        invoke: moment - before * 1.01 - 0.001,
        complete: moment + after * 1.01 + 0.001 * (at + 1),
        status: unknown ? ('info' as const) : ('ok' as const),
      }
      const value = String(at % 7)
      const was = state
      if (kind === 'put') state = value
      if (kind === 'delete') state = null
      if (kind === 'put') return { ...timed, op: 'put', value }
      if (kind === 'get') return { ...timed, op: 'get', result: was }
      if (kind === 'delete') return { ...timed, op: 'delete', result: was !== null }
      const expect = hit ? was : 'other'
      if (hit) state = value
      return { ...timed, op: 'cas', expect, value, result: hit }
    })
  })
}

/** As `sequentialRun`, but every value is written once. */
function spacedRun(maxLength: number): fc.Arbitrary<Operation[]> {
  const part = fc.record({
    kind: fc.constantFrom('put', 'put', 'get', 'get', 'cas'),
    before: fc.nat(15),
    after: fc.nat(15),
  })
  return fc.array(part, { minLength: 4, maxLength }).map((parts) => {
    let state: string | null = null
    return parts.map(({ kind, before, after }, at): Operation => {
      const timed = {
        client: at,
        key: 'k',
        invoke: at * 10 - before,
        complete: at * 10 + 1 + after,
        status: 'ok' as const,
      }
      const was = state
      if (kind === 'get') return { ...timed, op: 'get', result: was }
      state = `v${at}`
      if (kind === 'put') return { ...timed, op: 'put', value: state }
      return { ...timed, op: 'cas', expect: was, value: state, result: true }
    })
  })
}

type Read = Operation & { readonly op: 'get' }

/** Reads, each with a value that another write had certainly replaced before the read began. */
function staleReads(history: readonly Operation[]): { read: Read; overwritten: string }[] {
  const writes = history.filter((operation) => operation.op === 'put' || operation.op === 'cas')
  return history.flatMap((read) => {
    if (read.op !== 'get') return []
    const before = writes.filter(({ complete }) => complete < read.invoke)
    const old = before.find((write) => before.some((later) => write.complete < later.invoke))
    return old === undefined ? [] : [{ read, overwritten: old.value }]
  })
}

function longRun(length: number): Operation[] {
  const history: Operation[] = []
  let state: string | null = null
  let seed = 1
  const draw = (bound: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return Math.floor((seed / 2 ** 32) * bound)
  }
  for (let at = 0; at < length; at++) {
    const moment = at * 10
    const status = draw(50) === 0 ? ('info' as const) : ('ok' as const)
    const timed = { client: at % 5, key: 'k', invoke: moment - draw(20), complete: moment + 5 + draw(15), status }
    const invoke = timed.invoke - at / length / 2
    const complete = timed.complete + at / length / 2
    if (draw(2) === 0) {
      history.push({ ...timed, invoke, complete, op: 'get', result: state })
    } else {
      const value: string = `v${at}`
      const applied = status === 'ok' || draw(2) === 0
      history.push({ ...timed, invoke, complete, op: 'put', value })
      if (applied) state = value
    }
  }
  return history
}
