import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Key } from '../../src/base/ids.js'
import { contains, overlaps } from '../../src/base/span.js'
import { type CachedRoute, RouteCache } from '../../src/client/route-cache.js'
import type { Route } from '../../src/kv/requests.js'
import { times } from '../property.js'
import { asNode, raw, route } from './fake-cluster.js'

const LETTERS = [...'abcdefgh']
const keys = LETTERS.map(raw)

/** The true ranges as they change: every change of a span raises the generation of both halves. */
interface World {
  routes: Route[]
  /** All that ever was true: what a node that lags may tell. */
  readonly past: Route[]
  nextRange: number
  /** The highest generation that the cache was told of, per key. */
  readonly told: Map<Key, number>
}

type Command = fc.Command<World, RouteCache>

function holds(world: World, cache: RouteCache): void {
  const found = new Set<CachedRoute>()
  for (const key of keys) {
    const known = cache.find(key)
    if (known === null) continue
    found.add(known)
    const { descriptor, span } = known
    // Part of what its descriptor covers, and nothing that was never told.
    const isRight = contains(span, key) && cache.has(known) && contains(descriptor.span, span.start)
    const isTold = descriptor.generation <= (world.told.get(key) ?? 0)
    expect([key, isRight, isTold, world.past.some((each) => each.descriptor === descriptor)]).toEqual([
      key,
      true,
      true,
      true,
    ])
  }
  const all = [...found]
  for (const [place, one] of all.entries()) {
    for (const other of all.slice(place + 1)) expect(overlaps(one.span, other.span)).toBe(false)
  }
}

class Splits implements Command {
  readonly #at: Key
  readonly #leader: number
  constructor(at: Key, leader: number) {
    this.#at = at
    this.#leader = leader
  }
  check = ({ routes }: Readonly<World>) => routes.every(({ descriptor }) => descriptor.span.start !== this.#at)
  run(world: World): void {
    const old = world.routes.find(({ descriptor }) => contains(descriptor.span, this.#at))!
    const { range, span, generation } = old.descriptor
    const left = route({ range, start: span.start, end: this.#at, generation: generation + 1 }, this.#leader)
    const shape = { range: world.nextRange++, start: this.#at, end: span.end, generation: generation + 1 }
    const halves = [left, route(shape, this.#leader)]
    world.routes = world.routes.flatMap((each) => (each === old ? halves : [each]))
    world.past.push(...halves)
  }
  toString = () => `split at ${JSON.stringify(this.#at)}`
}

class Learns implements Command {
  readonly #places: readonly number[]
  readonly #from: number | null
  constructor(places: readonly number[], from: number | null) {
    this.#places = places
    this.#from = from
  }
  check = () => true
  run(world: World, cache: RouteCache): void {
    const told = this.#places.map((place) => world.past[place % world.past.length]!)
    const before = new Map(keys.map((key) => [key, cache.find(key)?.descriptor.generation ?? 0]))
    for (const { descriptor } of told) {
      for (const key of keys) {
        if (!contains(descriptor.span, key)) continue
        world.told.set(key, Math.max(world.told.get(key) ?? 0, descriptor.generation))
      }
    }
    cache.learn(told, this.#from === null ? null : asNode(this.#from))
    holds(world, cache)
    const last = told.at(-1)!.descriptor
    for (const key of keys) {
      const now = cache.find(key)
      // What came last is known of each of its keys, or something newer is. (A part of a split takes the place of the whole that was known
      // before: the other part is a gap then, not an old route.)
      if (contains(last.span, key)) expect(now?.descriptor.generation).toBeGreaterThanOrEqual(last.generation)
      if (told.length === 1 && now !== null) expect(now.descriptor.generation).toBeGreaterThanOrEqual(before.get(key)!)
    }
  }
  toString = () => `learn ${this.#places.join()} from ${this.#from}`
}

/** The truth, from whoever knows it: then the cache knows it too. */
class LearnsAll implements Command {
  check = () => true
  run(world: World, cache: RouteCache): void {
    for (const { descriptor } of world.routes) {
      for (const key of keys) if (contains(descriptor.span, key)) world.told.set(key, descriptor.generation)
    }
    cache.learn(world.routes, null)
    holds(world, cache)
    for (const key of keys) {
      const truth = world.routes.find(({ descriptor }) => contains(descriptor.span, key))!
      expect(cache.find(key)?.descriptor).toBe(truth.descriptor)
    }
  }
  toString = () => 'learn the truth'
}

class Forgets implements Command {
  readonly #key: Key
  constructor(key: Key) {
    this.#key = key
  }
  check = () => true
  run(world: World, cache: RouteCache): void {
    const known = cache.find(this.#key)
    if (known === null) return
    cache.forget(known)
    expect(cache.find(this.#key)).toBe(null)
    expect(cache.has(known)).toBe(false)
    holds(world, cache)
  }
  toString = () => `forget ${JSON.stringify(this.#key)}`
}

class FindsBelow implements Command {
  readonly #end: Key | null
  constructor(end: Key | null) {
    this.#end = end
  }
  check = () => true
  run(_world: World, cache: RouteCache): void {
    const found = cache.findBelow(this.#end)
    if (found === null) return
    const { start, end } = found.span
    expect(this.#end === null ? end === null : start < this.#end && (end === null || end >= this.#end)).toBe(true)
  }
  toString = () => `find below ${JSON.stringify(this.#end)}`
}

const key = fc.constantFrom(...keys)
const node = fc.constantFrom(1, 2, 3)
const commands = fc.commands(
  [
    fc.tuple(key, node).map(([at, leader]) => new Splits(at, leader)),
    fc
      .tuple(fc.array(fc.nat(40), { minLength: 1, maxLength: 4 }), fc.option(node))
      .map(([places, from]) => new Learns(places, from)),
    fc.constant(new LearnsAll()),
    key.map((each) => new Forgets(each)),
    fc.option(key).map((end) => new FindsBelow(end)),
  ],
  { maxCommands: 30, size: 'max' },
)

it('routes learned in any order, old and new: never overlapping, never older than before or than told, and the truth once it is told', () => {
  fc.assert(
    fc.property(commands, (list) => {
      fc.modelRun(() => {
        const first = route({ range: 2 }, 1)
        return {
          model: { routes: [first], past: [first], nextRange: 3, told: new Map() },
          real: new RouteCache(),
        }
      }, list)
    }),
    times(100, 63),
  )
})

it('a part learned after the whole leaves a gap, and the whole again fills it', () => {
  const [whole, left] = [route({ range: 2 }, 1), route({ range: 2, end: raw('c'), generation: 2 }, 1)]
  const cache = new RouteCache()
  cache.learn([whole, left], null)
  expect(cache.find(raw('b'))?.descriptor).toBe(left.descriptor)
  expect(cache.find(raw('c'))).toBe(null)
  cache.learn([whole], null)
  expect(cache.find(raw('b'))?.descriptor).toBe(left.descriptor)
  expect(cache.find(raw('c'))?.descriptor).toBe(whole.descriptor)
})
