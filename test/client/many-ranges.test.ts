import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Key, Version } from '../../src/base/ids.js'
import { KEYSPACES, storedKey } from '../../src/base/keyspace.js'
import type { Page } from '../../src/client/core.js'
import { times } from '../property.js'
import { FakeCluster, outcomeOf, type RangeShape, raw, route, settled } from './fake-cluster.js'
import { ModelCluster } from './model-cluster.js'

const letters = 'abcdefghij'.split('')
const RAW_END = storedKey(KEYSPACES.raw + 1, '')

/** Ranges cut at `cuts`, led by the nodes in turn. */
function routesCut(cuts: readonly string[]): ReturnType<typeof route>[] {
  const bounds = [...new Set(cuts)].sort().map((cut) => raw(cut))
  return [...bounds, null].map((end, index) => {
    const shape: RangeShape = {
      range: index + 2,
      start: bounds[index - 1] ?? ('' as Key),
      end,
      generation: 1 + bounds.length,
    }
    return route(shape, (index % 3) + 1)
  })
}

function fill(cluster: ModelCluster, names: Iterable<string>): void {
  for (const name of names) {
    const key = raw(name)
    cluster.rows.set(key, { key, version: 5 as Version, codec: 'utf8', value: Buffer.from(name) })
  }
}

const whole = () => [route({ range: 2, generation: 1 }, 1)]

async function scanAll(
  cluster: ModelCluster,
  asked: { start: Key; end: Key | null; reverse: boolean; limit: number },
  afterPage: (page: Page) => void = () => {},
): Promise<{ keys: Key[]; pages: Page[] }> {
  const span = { start: asked.start, end: asked.end }
  const pages: Page[] = []
  let at: Version | null = null
  for (;;) {
    const page: Page = await cluster.run(cluster.core.scanPage({ ...asked, ...span, keysOnly: false, at }))
    pages.push(page)
    afterPage(page)
    if (page.resume === null) return { keys: pages.flatMap(({ rows }) => rows.map(({ key }) => key)), pages }
    at = page.at
    if (asked.reverse) span.end = page.resume
    else span.start = page.resume
  }
}

describe('get over several ranges', () => {
  it('rows come in the order asked, however the keys lie and whatever the client believed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...letters), { maxLength: 4 }),
        fc.array(fc.constantFrom(...letters), { minLength: 1, maxLength: 12 }),
        fc.subarray(letters),
        fc.boolean(),
        async (cuts, asked, present, isStale) => {
          const truth = routesCut(cuts)
          const cluster = new ModelCluster(truth, isStale ? whole() : truth)
          fill(cluster, present)
          const rows = await cluster.run(cluster.core.get(asked.map(raw)))
          expect(rows.map((row) => row?.key ?? null)).toEqual(
            asked.map((key) => (present.includes(key) ? raw(key) : null)),
          )
        },
      ),
      times(300, 4),
    )
  })

  it('one request per range', async () => {
    const cluster = new ModelCluster(routesCut(['c', 'f']))
    await cluster.run(cluster.core.get(letters.map(raw)))
    expect(cluster.executed.map((request) => (request.kind === 'get' ? request.keys.length : 0))).toEqual([2, 3, 5])
  })

  it('more than a request holds is asked in parts, and rows too large for one answer in halves', async () => {
    const cluster = new ModelCluster()
    cluster.rowsPerGetMax = 400
    const names = Array.from({ length: 1_500 }, (_, index) => `k${index}`)
    fill(cluster, names)
    const rows = await cluster.run(cluster.core.get(names.map(raw)))
    expect(rows.map((row) => row?.key)).toEqual(names.map(raw))
  })

  it('no key is no request', async () => {
    const cluster = new ModelCluster()
    expect(await cluster.core.get([])).toEqual([])
  })
})

describe('a scan over several ranges', () => {
  it('brings every key of the span once, in order, forward and reversed, over stale routes and small pages', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          cuts: fc.array(fc.constantFrom(...letters), { maxLength: 5 }),
          present: fc.subarray(letters),
          start: fc.constantFrom('', ...letters),
          end: fc.constantFrom(null, ...letters),
          reverse: fc.boolean(),
          isStale: fc.boolean(),
          rowsPerPage: fc.integer({ min: 1, max: 4 }),
        }),
        async ({ cuts, end, isStale, present, reverse, rowsPerPage, start }) => {
          fc.pre(end === null || start < end)
          const truth = routesCut(cuts)
          const cluster = new ModelCluster(truth, isStale ? whole() : truth)
          cluster.rowsPerPageMax = rowsPerPage
          fill(cluster, present)
          const asked = { start: raw(start), end: end === null ? RAW_END : raw(end), reverse, limit: 3 }
          const { keys } = await scanAll(cluster, asked)
          const expected = present.filter((name) => name >= start && (end === null || name < end)).map(raw)
          expect(keys).toEqual(reverse ? expected.reverse() : expected)
        },
      ),
      times(300, 5),
    )
  })

  it('an open end is walked to, from either side', async () => {
    for (const reverse of [false, true]) {
      const cluster = new ModelCluster(routesCut(['c', 'f']))
      fill(cluster, letters)
      const { keys } = await scanAll(cluster, { start: raw(''), end: null, reverse, limit: 4 })
      expect(keys).toEqual(reverse ? letters.map(raw).reverse() : letters.map(raw))
    }
  })

  it('one range is read at the version its first page named, the next at its own', async () => {
    const cluster = new ModelCluster(routesCut(['f']))
    fill(cluster, letters)
    const { pages } = await scanAll(cluster, { start: raw('a'), end: null, reverse: false, limit: 3 })
    const asked = cluster.executed.map((request) => (request.kind === 'scan' ? request.at : undefined))
    expect(asked).toEqual([null, 1_000_000, null, 1_000_000])
    expect(pages.map((page) => page.at)).toEqual([1_000_000, null, 1_000_000, null])
  })

  it.each([false, true])('a split meanwhile loses and doubles nothing (reversed: %s)', async (reverse) => {
    const cluster = new ModelCluster(whole())
    fill(cluster, letters)
    let pages = 0
    const { keys } = await scanAll(cluster, { start: raw('a'), end: null, reverse, limit: 2 }, () => {
      pages++
      if (pages === 1) cluster.cut(raw('d'), 2)
      if (pages === 2) cluster.cut(raw('g'), 3)
    })
    expect(keys).toEqual(reverse ? letters.map(raw).reverse() : letters.map(raw))
  })

  it.each([
    [{ start: raw('b'), end: raw('a') }, /upside down.*"b".*"a"/],
    [{ start: raw('b'), end: raw('b') }, /upside down or empty/],
    [{ limit: 0 }, /limit is 0/],
    [{ limit: 1_001 }, /limit is 1001.*1000/],
    [{ bytesMax: 0 }, /bytesMax is 0/],
  ])('%j is refused by name', async (odd, message) => {
    const { core } = new ModelCluster()
    const page = { start: raw('a'), end: raw('b'), reverse: false, limit: 1, keysOnly: false, ...odd }
    await expect(core.scanPage(page)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(message),
    })
  })
})

describe('a late answer of a node that fell silent', () => {
  const halves = [
    route({ range: 2, end: raw('m'), generation: 2 }, 2),
    route({ range: 3, start: raw('m'), generation: 2 }, 3),
  ]

  /** Node 1 owes the answer to a question over the whole, which was split meanwhile. */
  function askedBeforeSplit(ask: (cluster: FakeCluster) => Promise<unknown>) {
    const cluster = new FakeCluster({ routes: whole() })
    const asked = outcomeOf(ask(cluster))
    cluster.turn()
    const [owed] = cluster.node(1).arrived.splice(0)
    cluster.clock.advance(600)
    cluster.nodes.flatMap((node) => node.arrived.splice(0))[0]!.refuse('RANGE_MOVED', { routes: halves })
    cluster.turn()
    return { cluster, asked, owed: owed! }
  }

  const row = (name: string) =>
    ({ key: raw(name), version: 5 as Version, codec: 'utf8', value: Buffer.from(name) }) as const

  it('is no page of the range that is asked now', async () => {
    const page = { start: raw('a'), end: null, reverse: false, limit: 10, keysOnly: false }
    const { asked, cluster, owed } = askedBeforeSplit((it) => it.core.scanPage(page))
    const version = 9 as Version
    owed.reply({ id: owed.request.id, version, kind: 'page', rows: [row('a'), row('z')], more: false })
    const now = cluster.node(2).takeOne('scan')
    now.reply({ id: now.request.id, version, kind: 'page', rows: [row('a')], more: false })
    await settled()
    expect(asked.value).toMatchObject({ rows: [row('a')], resume: raw('m') })
  })

  it('is no answer to half of the keys', async () => {
    const cluster = new FakeCluster({ routes: whole() })
    const asked = outcomeOf(cluster.core.get([raw('z'), raw('a')]))
    cluster.turn()
    const [owed] = cluster.node(1).arrived.splice(0)
    cluster.clock.advance(600)
    const other = cluster.nodes.find((node) => node.arrived.length > 0)!
    other.takeOne('get').refuse('TOO_LARGE')
    cluster.turn()
    const version = 9 as Version
    owed!.reply({ id: owed!.request.id, version, kind: 'rows', rows: [row('z'), row('a')] })
    await settled()
    expect(asked.error).toBeUndefined()
  })

  it('is no answer to a part of the keys', async () => {
    const { asked, cluster, owed } = askedBeforeSplit((it) => it.core.get([raw('z'), raw('a')]))
    const version = 9 as Version
    owed.reply({ id: owed.request.id, version, kind: 'rows', rows: [row('z'), row('a')] })
    for (const [node, name] of [
      [2, 'a'],
      [3, 'z'],
    ] as const) {
      const now = cluster.node(node).takeOne('get')
      expect(now.request.keys).toEqual([raw(name)])
      now.reply({ id: now.request.id, version, kind: 'rows', rows: [row(name)] })
    }
    await settled()
    expect(asked.value).toEqual([row('z'), row('a')])
  })
})

describe('routes', () => {
  it('are listed whole, in key order', async () => {
    const cluster = new ModelCluster(routesCut(['c', 'f']))
    const { nodes, routes } = await cluster.run(cluster.core.routes())
    expect(routes.map(({ descriptor }) => Number(descriptor.range))).toEqual([2, 3, 4])
    expect(nodes.map(({ node }) => Number(node))).toEqual([1, 2, 3])
  })
})
