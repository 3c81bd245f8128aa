import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import type { Operation } from '../../src/testing/index.js'
import { HistoryLog } from '../history.js'
import { missing } from '../runner/bars.js'
import { findNemeses, findWorkloads } from '../runner/choices.js'
import { ciBars, ciMixes, skipsAllowed } from '../runner/mixes.js'
import { timelineHtml } from '../runner/timeline.js'
import { judge } from '../runner/verdict.js'

/** One client puts 1, 2, 3, … under a key and reads it back each time. */
function sequential(key: string, calls: number): Operation[] {
  return Array.from({ length: calls }, (_, at): Operation => {
    const timed = { client: 1, key, invoke: at * 10, complete: at * 10 + 5, status: 'ok' as const }
    const value = String(at >> 1)
    return at % 2 === 0 ? { ...timed, op: 'put', value } : { ...timed, op: 'get', result: value }
  })
}

describe('the verdict on a history', () => {
  it('finds nothing in one that is legal', () => {
    expect(judge([...sequential('a', 40), ...sequential('b', 40)])).toEqual({ findings: [], undecided: [] })
  })

  it('names the operations around a read whose value was changed, and only those', () => {
    const history = [...sequential('a', 40), ...sequential('b', 40)]
    // The eleventh read of b, told what the fifth one was.
    const place = 40 + 21
    history[place] = { ...history[place]!, op: 'get', result: '4' } as Operation
    const { findings } = judge(history)
    expect(findings).toHaveLength(1)
    expect(findings[0]!.what).toContain('b is not linearizable')
    expect(findings[0]!.operations).toContain(place)
    expect(findings[0]!.operations.length).toBeLessThan(5)
    expect(findings[0]!.operations.every((at) => history[at]!.key === 'b')).toBe(true)
  })
})

describe('the timeline', () => {
  const history = sequential('<a>', 10)
  const faults = [{ nemesis: 'kill-one', what: 'kill node 1', start_ns: 12, end_ns: 40 }]
  const page = timelineHtml({
    title: 'a < b',
    operations: history,
    faults,
    findings: [{ what: 'it should not be', operations: [3, 4] }],
  })

  it('marks what should not have been, and nothing else', () => {
    const data = JSON.parse(/const data = (.*)/.exec(page)![1]!) as { rows: (string | number)[][] }
    expect(data.rows.filter((row) => row.at(-1) === 1).map(([at]) => at)).toEqual([3, 4])
    expect(data.rows).toHaveLength(10)
  })

  it('draws every operation, and a frame around what should not have been', () => {
    const drawn = { bars: 0, frames: 0 }
    const pen = new Proxy<Record<string, unknown>>(
      { strokeRect: () => drawn.frames++, fillText: () => {}, clearRect: () => {}, fillRect: () => drawn.bars++ },
      { set: () => true },
    )
    const element = (): object => ({
      value: '',
      clientWidth: 800,
      style: {},
      addEventListener: () => {},
      append: () => {},
      getContext: () => pen,
    })
    const document = { getElementById: element, createElement: element }
    const script = /<script>(.*)<\/script>/s.exec(page)![1]!
    runInNewContext(script, { document, window: element(), console })
    // Eleven lines of the time axis, a fault.
    expect(drawn).toEqual({ bars: 10 + 11 + 1, frames: 2 })
  })

  it('needs nothing from elsewhere, and no value can break out of it', () => {
    expect(page).not.toMatch(/(src|href)=/)
    expect(page.match(/<\/script>/g)).toHaveLength(1)
    expect(page).toContain('<title>a &lt; b</title>')
    expect(page).not.toContain('<a>')
  })

  it('leaves out what is far from every finding where there is too much', () => {
    const many = sequential('k', 70_000).map((operation) => ({
      ...operation,
      invoke: operation.invoke * 1e6,
      complete: operation.complete * 1e6,
    }))
    const cut = timelineHtml({
      title: '',
      operations: many,
      faults: [],
      findings: [{ what: '', operations: [69_000] }],
    })
    const data = JSON.parse(/const data = (.*)/.exec(cut)![1]!) as { rows: (string | number)[][]; left: number }
    expect(data.rows.some(([at]) => at === 69_000)).toBe(true)
    expect(data.rows.length + data.left).toBe(70_000)
    expect(data.rows.length).toBeLessThan(1_000)
  })
})

describe('what the command line may name', () => {
  it('an unknown name is refused with the names that there are', () => {
    expect(() => findWorkloads('register,regster')).toThrow(/no workload regster; there are: register, set/)
    expect(() => findNemeses('kil')).toThrow(
      /no nemesis kil; did you mean kill-one, .*--list names all, groups are all, kill/,
    )
  })

  it('a group stands for all of its kind, each once', () => {
    const names = findNemeses('kill,kill-one').map(({ name }) => name)
    expect(names).toEqual(['kill-one', 'kill-leader', 'kill-minority', 'kill-majority', 'kill-all'])
  })

  it('the runs of --ci have every workload, and every nemesis but what a machine may lack', () => {
    const of = (list: 'workload' | 'nemesis'): string => ciMixes.map((mix) => mix[list]).join()
    const all = findNemeses('all').map(({ name }) => name)
    const used = findNemeses(of('nemesis')).map(({ name }) => name)
    expect(all.filter((name) => !used.includes(name) && !skipsAllowed.has(name))).toEqual([])
    expect(new Set(findWorkloads(of('workload'))).size).toBe(
      findWorkloads('register,set,append,counter,scan,long-read,batch').length,
    )
    expect(ciMixes.length).toBeGreaterThanOrEqual(6)
    for (const { workload } of ciMixes) expect(workload).toMatch(/^register,/)
  })
})

describe('what a run must have done', () => {
  it('is told item by item', () => {
    const history = new HistoryLog()
    const bars = { ...ciBars, ok: 4, keys: 2, okPerKey: 2 }
    const tally = history.tally('register')
    expect(missing(bars, { faultSeconds: 31, tally, unseen: ['kill-one'] })).toEqual([
      '0 of 4 operations ok',
      '0 of 2 keys with 2 operations ok',
      'kill-one never took effect',
    ])
    const add = (key: string, status: Operation['status'], op: 'get' | 'put'): void => {
      const begun = { client: history.newClient(), invoke: history.now(), status }
      history.add(begun, op === 'get' ? { op, key, result: null } : { op, key, value: '1' })
    }
    for (const key of ['register/a', 'register/b', 'set/c']) {
      add(key, 'ok', 'get')
      add(key, 'ok', 'put')
    }
    expect(missing(bars, { faultSeconds: 29, tally, unseen: [] })).toEqual([
      '29.0 of 30 s of faults',
      '0.0 of 5 % writes unknown',
    ])
    add('register/a', 'info', 'put')
    add('register/a', 'fail', 'get')
    expect(missing(bars, { faultSeconds: 30, tally, unseen: [] })).toEqual([])
  })
})
